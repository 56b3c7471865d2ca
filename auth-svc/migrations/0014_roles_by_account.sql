-- One account after the other, each by its key: no plan that suits one change suits another badly, whatever the
-- first one of a connection was about and whatever is known of the tables by then.
CREATE OR REPLACE FUNCTION auth.keep_roles() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    account bigint;
    version integer;
BEGIN
    FOR account IN SELECT DISTINCT user_id FROM changed ORDER BY user_id LOOP
        PERFORM FROM auth.users WHERE id = account FOR NO KEY UPDATE;
        UPDATE auth.users SET roles = names, roles_version = roles_version + 1
        FROM (SELECT COALESCE(string_agg(name, ',' ORDER BY name COLLATE "C"), '') AS names
              FROM auth.users_roles JOIN auth.roles ON roles.id = role_id WHERE user_id = account) AS now_has
        WHERE id = account AND roles <> names RETURNING roles_version INTO version;
        IF FOUND THEN
            INSERT INTO auth.revocations(user_id, epoch, roles_version, expires_at)
            VALUES (account, 0, version, now() + interval '366 days');
        END IF;
    END LOOP;
    IF TG_OP = 'DELETE' AND EXISTS (SELECT FROM changed JOIN auth.roles ON roles.id = role_id
            JOIN auth.users ON users.id = user_id WHERE name = 'root' AND blocked_at IS NULL) THEN
        PERFORM auth.need_root();
    END IF;
    RETURN NULL;
END $$;
