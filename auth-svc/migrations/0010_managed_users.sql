-- Accounts as those see them who manage them: made without an e-mail address, changed, listed; further things known
-- of them; and what programs of clients keep a record of. Only adds: the service of before works beside it. The
-- indexes read the table once, under a lock that lets readers pass.
SET LOCAL lock_timeout = '3s';

-- What lists filter and sort by. The first: LIKE 'prefix%'.
CREATE INDEX users_username_like ON auth.users (username_key text_pattern_ops);
CREATE INDEX users_inserted ON auth.users (inserted_at, id);
CREATE INDEX users_blocked ON auth.users (id) WHERE blocked_at IS NOT NULL;

-- At most one of a type.
CREATE TABLE auth.users_extra (
    user_id    bigint NOT NULL REFERENCES auth.users ON DELETE CASCADE,
    type       text NOT NULL CONSTRAINT users_extra_type_length CHECK (octet_length(type) BETWEEN 1 AND 64),
    value      text NOT NULL CONSTRAINT users_extra_value_length CHECK (octet_length(value) <= 1024),
    PRIMARY KEY (user_id, type)
);
CREATE INDEX users_extra_type ON auth.users_extra (type, user_id);

-- What programs of clients wrote (auth.WriteLog); no part of the service reads it.
CREATE TABLE auth.log_entries (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT now(),
    type       text NOT NULL,
    content    text NOT NULL CONSTRAINT log_entries_content_length CHECK (octet_length(content) <= 8192),
    meta       text CONSTRAINT log_entries_meta_length CHECK (octet_length(meta) <= 8192), -- a JSON object
    user_id    bigint, -- on whose behalf; no reference: the account may be gone
    request_id text
);
CREATE INDEX log_entries_created ON auth.log_entries (created_at);

-- Last: this lock lets nobody pass.
ALTER TABLE auth.users
    ALTER COLUMN email DROP NOT NULL,
    ALTER COLUMN email_key DROP NOT NULL,
    ADD CONSTRAINT users_email_pair CHECK ((email IS NULL) = (email_key IS NULL)) NOT VALID,
    ADD CONSTRAINT users_named CHECK (email IS NOT NULL OR username IS NOT NULL) NOT VALID;

GRANT INSERT (confirmed_at) ON auth.users TO busi_auth;
GRANT UPDATE (email, email_key, username, username_key, meta) ON auth.users TO busi_auth;
GRANT SELECT, DELETE ON auth.users_extra, auth.log_entries TO busi_auth;
GRANT INSERT (user_id, type, value), UPDATE (value) ON auth.users_extra TO busi_auth;
GRANT INSERT (type, content, meta, user_id, request_id) ON auth.log_entries TO busi_auth;
