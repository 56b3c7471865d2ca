-- An account's life after sign-up: its short name, its data, what ends its sessions, secrets in mails. Only adds:
-- the service of before works beside it. No table is rewritten; the index of codes is built over nulls.
SET LOCAL lock_timeout = '3s';

-- Six characters a-z and 1-9, letters twice as likely as digits. Two may collide: whoever inserts tries again.
CREATE FUNCTION auth.new_code() RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT string_agg(substr('abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz123456789',
                             1 + floor(random() * 61)::integer, 1), '') FROM generate_series(1, 6)
$$;

ALTER TABLE auth.users
    ADD COLUMN code  text CONSTRAINT users_code UNIQUE, -- null only until the service has given one
    ADD COLUMN meta  text NOT NULL DEFAULT '{}',        -- a JSON object, as its owner gave it
    ADD COLUMN epoch integer NOT NULL DEFAULT 0,        -- raised by all that ends every session at once
    ADD CONSTRAINT users_code_form CHECK (code ~ '^[a-z1-9]{6}$') NOT VALID,
    ADD CONSTRAINT users_meta_length CHECK (octet_length(meta) BETWEEN 2 AND 4096) NOT VALID,
    ADD CONSTRAINT users_username_length CHECK (octet_length(username) BETWEEN 1 AND 144) NOT VALID;
ALTER TABLE auth.users ALTER COLUMN code SET DEFAULT auth.new_code(); -- of new rows only

-- Random secrets that went out in mails and work once. Only a keyed hash is kept; a newer one of a kind takes
-- the older one's row.
CREATE TABLE auth.one_time_secrets (
    user_id    bigint NOT NULL REFERENCES auth.users ON DELETE CASCADE,
    kind       text NOT NULL,
    hash       bytea NOT NULL CONSTRAINT one_time_secrets_hash UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, kind)
);
CREATE INDEX one_time_secrets_expiry ON auth.one_time_secrets (expires_at);

-- Mails that somebody asked for by a name, known or not: one row in either case, so that the answer takes the
-- same time. What becomes of it is decided afterwards.
CREATE TABLE auth.mail_requests (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind         text NOT NULL,
    email_key    text, -- the account is looked for by one of these two
    username_key text,
    secret       text, -- with its hash: for kinds that carry one
    hash         bytea,
    lifetime_s   bigint NOT NULL DEFAULT 0, -- of the secret
    language     text,
    created_at   timestamptz NOT NULL DEFAULT now()
);

-- When a mail of a kind last went to an address that somebody else may have asked for.
CREATE TABLE auth.mail_gaps (
    email_key text NOT NULL,
    kind      text NOT NULL,
    sent_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (email_key, kind)
);
CREATE INDEX mail_gaps_sent ON auth.mail_gaps (sent_at);

ALTER TABLE auth.outbox ADD COLUMN language text; -- the reader's, BCP 47; null: the mailer's default

-- The end of all sessions of a user: those opened at a lower epoch but the spared one; all when epoch is null,
-- which is when the account is gone.
ALTER TABLE auth.revocations
    ADD COLUMN epoch integer,
    ADD COLUMN spared_session_id text;

-- Whoever blocks or deletes an account, by the service or by hand: the end of its sessions is journalled.
CREATE FUNCTION auth.raise_epoch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.epoch := GREATEST(NEW.epoch, OLD.epoch + 1);
    RETURN NEW;
END $$;
CREATE TRIGGER users_blocked BEFORE UPDATE OF blocked_at ON auth.users FOR EACH ROW
    WHEN (OLD.blocked_at IS NULL AND NEW.blocked_at IS NOT NULL) EXECUTE FUNCTION auth.raise_epoch();

-- Longer than any session with an end lives (BUSI_JWT_LIFETIME).
CREATE FUNCTION auth.journal_end() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        INSERT INTO auth.revocations(user_id, expires_at) VALUES (OLD.id, now() + interval '366 days');
    ELSE
        INSERT INTO auth.revocations(user_id, epoch, expires_at)
        VALUES (NEW.id, NEW.epoch, now() + interval '366 days');
    END IF;
    RETURN NULL;
END $$;
REVOKE EXECUTE ON FUNCTION auth.journal_end() FROM PUBLIC;
CREATE TRIGGER users_blocked_journal AFTER UPDATE OF blocked_at ON auth.users FOR EACH ROW
    WHEN (OLD.blocked_at IS NULL AND NEW.blocked_at IS NOT NULL) EXECUTE FUNCTION auth.journal_end();
CREATE TRIGGER users_deleted_journal AFTER DELETE ON auth.users FOR EACH ROW EXECUTE FUNCTION auth.journal_end();

GRANT INSERT (meta) ON auth.users TO busi_auth;
GRANT UPDATE (code, epoch, confirmed_at, blocked_at) ON auth.users TO busi_auth;
GRANT SELECT, DELETE ON auth.one_time_secrets, auth.mail_requests, auth.mail_gaps TO busi_auth;
GRANT INSERT (user_id, kind, hash, expires_at), UPDATE (hash, created_at, expires_at)
    ON auth.one_time_secrets TO busi_auth;
GRANT INSERT (kind, email_key, username_key, secret, hash, lifetime_s, language) ON auth.mail_requests TO busi_auth;
GRANT INSERT (email_key, kind), UPDATE (sent_at) ON auth.mail_gaps TO busi_auth;
GRANT INSERT (language) ON auth.outbox TO busi_auth;
GRANT INSERT (epoch, spared_session_id) ON auth.revocations TO busi_auth;
