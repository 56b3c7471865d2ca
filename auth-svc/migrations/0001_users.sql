-- An account. Names are compared by their keys (ASCII lower case of the whole), so that Bob and bob are one
-- whatever door they came through; what was typed is kept for mails and answers.
CREATE TABLE auth.users (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email         text NOT NULL CONSTRAINT users_email_length CHECK (octet_length(email) BETWEEN 3 AND 254),
    email_key     text NOT NULL CONSTRAINT users_email_key UNIQUE,
    username      text,
    username_key  text CONSTRAINT users_username_key UNIQUE,
    password_hash text, -- null: no password, signs in by other means
    confirmed_at  timestamptz,
    blocked_at    timestamptz,
    inserted_at   timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT users_username_pair CHECK ((username IS NULL) = (username_key IS NULL))
);

-- Mails that were promised in the transaction that made them due, until a mailer has taken them. A row that
-- was handed out is due again later, should whoever took it die; the key lets the mailer see a repetition.
CREATE TABLE auth.outbox (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key         uuid NOT NULL DEFAULT gen_random_uuid() CONSTRAINT outbox_key UNIQUE,
    kind        text NOT NULL,
    recipient   text NOT NULL,
    arguments   jsonb NOT NULL DEFAULT '{}' CONSTRAINT outbox_arguments CHECK (jsonb_typeof(arguments) = 'object'),
    attempts    integer NOT NULL DEFAULT 0,
    due_at      timestamptz NOT NULL DEFAULT now(),
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX outbox_due ON auth.outbox (due_at);

-- The running service may do this and nothing else.
GRANT USAGE ON SCHEMA auth TO busi_auth;
GRANT SELECT, DELETE ON auth.users TO busi_auth;
GRANT INSERT (email, email_key, username, username_key, password_hash) ON auth.users TO busi_auth;
GRANT UPDATE (password_hash, updated_at) ON auth.users TO busi_auth;
GRANT SELECT, DELETE ON auth.outbox TO busi_auth;
GRANT INSERT (kind, recipient, arguments) ON auth.outbox TO busi_auth;
GRANT UPDATE (attempts, due_at) ON auth.outbox TO busi_auth;
