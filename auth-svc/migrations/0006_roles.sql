-- Roles: what an account may do besides what every account may. Only adds; no table is rewritten. The service of
-- before works beside it.
SET LOCAL lock_timeout = '3s';

-- What an account has, as sessions and tokens say it: names, sorted, with commas between. Kept by triggers alone,
-- so that SQL by hand counts like the service. The version tells the later of two such texts.
ALTER TABLE auth.users
    ADD COLUMN roles         text NOT NULL DEFAULT '',
    ADD COLUMN roles_version integer NOT NULL DEFAULT 0,
    ADD CONSTRAINT users_roles_length CHECK (octet_length(roles) <= 2048) NOT VALID;

CREATE TABLE auth.roles (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text NOT NULL CONSTRAINT roles_name UNIQUE
                CONSTRAINT roles_name_form CHECK (name ~ '^[a-z0-9_-]{1,64}$'),
    description text CONSTRAINT roles_description_length CHECK (octet_length(description) <= 1024),
    -- when it was deleted: from then on nobody has it, though it may take a while until it is taken from all
    retired_at  timestamptz
);
CREATE INDEX roles_retired ON auth.roles (id) WHERE retired_at IS NOT NULL;
INSERT INTO auth.roles(name, description) VALUES
    ('root', 'May do everything'),
    ('admin', 'Manages accounts'),
    ('guest', 'Has a confirmed address'),
    ('unconfirmed', 'Has not confirmed the address yet');

CREATE TABLE auth.users_roles (
    user_id bigint NOT NULL CONSTRAINT users_roles_user REFERENCES auth.users ON DELETE CASCADE,
    role_id bigint NOT NULL CONSTRAINT users_roles_role REFERENCES auth.roles ON DELETE CASCADE,
    PRIMARY KEY (user_id, role_id)
);
CREATE INDEX users_roles_of_role ON auth.users_roles (role_id, user_id);

-- A journal row with a version: the sessions of the user have the roles of then or later. Its epoch is 0, which
-- to a service of before means no session, and each whose record it cannot read, as those with roles are.
ALTER TABLE auth.revocations ADD COLUMN roles_version integer;

-- Without those that have been deleted and are still being taken away.
CREATE FUNCTION auth.roles_in_force(names text) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN names = '' OR NOT EXISTS (SELECT FROM auth.roles WHERE retired_at IS NOT NULL) THEN names
           ELSE (SELECT COALESCE(string_agg(name, ',' ORDER BY name COLLATE "C"), '')
                 FROM unnest(string_to_array(names, ',')) AS name
                 WHERE name NOT IN (SELECT r.name FROM auth.roles AS r WHERE r.retired_at IS NOT NULL)) END
$$;

-- Somebody is root, once there was one. Whoever takes one away does it alone: the update, which changes nothing,
-- holds off all others, also those whose transactions see only what was when they began.
CREATE FUNCTION auth.need_root() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE auth.roles SET description = description WHERE name = 'root';
    IF NOT EXISTS (SELECT FROM auth.users_roles JOIN auth.roles ON roles.id = role_id
                   JOIN auth.users ON users.id = user_id WHERE name = 'root' AND blocked_at IS NULL) THEN
        RAISE EXCEPTION 'nobody would be root' USING ERRCODE = 'check_violation', CONSTRAINT = 'roles_last_root';
    END IF;
END $$;

CREATE FUNCTION auth.keep_root() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM auth.need_root();
    RETURN NULL;
END $$;
CREATE TRIGGER users_root_blocked AFTER UPDATE OF blocked_at ON auth.users FOR EACH ROW
    WHEN (OLD.blocked_at IS NULL AND NEW.blocked_at IS NOT NULL AND 'root' = ANY (string_to_array(NEW.roles, ',')))
    EXECUTE FUNCTION auth.keep_root();
CREATE TRIGGER users_root_deleted AFTER DELETE ON auth.users FOR EACH ROW
    WHEN (OLD.blocked_at IS NULL AND 'root' = ANY (string_to_array(OLD.roles, ',')))
    EXECUTE FUNCTION auth.keep_root();

-- First the lock on the accounts, then, in a statement of its own, what they have: of two that change the roles of
-- one account the second sees what the first did.
CREATE FUNCTION auth.keep_roles() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
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
CREATE TRIGGER users_roles_given AFTER INSERT ON auth.users_roles REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION auth.keep_roles();
CREATE TRIGGER users_roles_taken AFTER DELETE ON auth.users_roles REFERENCING OLD TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION auth.keep_roles();

-- What no account's text would follow.
CREATE FUNCTION auth.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
END $$;
CREATE TRIGGER roles_root BEFORE DELETE OR UPDATE OF retired_at ON auth.roles FOR EACH ROW WHEN (OLD.name = 'root')
    EXECUTE FUNCTION auth.refuse_change('the role root stays');
CREATE TRIGGER roles_renamed BEFORE UPDATE OF name ON auth.roles FOR EACH ROW WHEN (OLD.name <> NEW.name)
    EXECUTE FUNCTION auth.refuse_change('a role keeps its name');
CREATE TRIGGER users_roles_moved BEFORE UPDATE ON auth.users_roles FOR EACH STATEMENT
    EXECUTE FUNCTION auth.refuse_change('a role is given and taken, not moved');
CREATE TRIGGER users_roles_emptied BEFORE TRUNCATE ON auth.users_roles FOR EACH STATEMENT
    EXECUTE FUNCTION auth.refuse_change('a role is taken from each by DELETE');

REVOKE EXECUTE ON FUNCTION auth.need_root(), auth.keep_root(), auth.keep_roles(), auth.refuse_change() FROM PUBLIC;
GRANT SELECT, DELETE ON auth.roles TO busi_auth;
GRANT INSERT (name, description), UPDATE (description, retired_at) ON auth.roles TO busi_auth;
GRANT SELECT, INSERT, DELETE ON auth.users_roles TO busi_auth;
