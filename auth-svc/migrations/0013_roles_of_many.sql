-- The statements that keep what accounts have are planned once a connection, by how many accounts the first change
-- is about: after one of hundreds, a single role would be looked for in the whole table, each time. What is looked
-- up by its key suits both.
CREATE OR REPLACE FUNCTION auth.keep_roles() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp SET enable_hashjoin = off SET enable_mergejoin = off AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM changed) THEN -- a sign-up that gives none
        RETURN NULL;
    END IF;
    PERFORM FROM auth.users WHERE id IN (SELECT user_id FROM changed) ORDER BY id FOR NO KEY UPDATE;
    WITH now_has AS (
        SELECT c.user_id, COALESCE(string_agg(name, ',' ORDER BY name COLLATE "C"), '') AS names
        FROM (SELECT DISTINCT user_id FROM changed) AS c LEFT JOIN auth.users_roles USING (user_id)
        LEFT JOIN auth.roles ON roles.id = role_id GROUP BY c.user_id),
    kept AS (
        UPDATE auth.users SET roles = names, roles_version = roles_version + 1 FROM now_has
        WHERE id = user_id AND roles <> names RETURNING id, roles_version)
    INSERT INTO auth.revocations(user_id, epoch, roles_version, expires_at)
    SELECT id, 0, roles_version, now() + interval '366 days' FROM kept;
    IF TG_OP = 'DELETE' AND EXISTS (SELECT FROM changed JOIN auth.roles ON roles.id = role_id
            JOIN auth.users ON users.id = user_id WHERE name = 'root' AND blocked_at IS NULL) THEN
        PERFORM auth.need_root();
    END IF;
    RETURN NULL;
END $$;
