-- Sessions that were ended, written before Redis is told, so that a Redis that comes back without having heard of
-- it (an old snapshot, a fail-over that lost the last second) is told again. A row is of no use once the session
-- would have expired by itself.
CREATE TABLE auth.revocations (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id    bigint NOT NULL, -- no reference: the account may be gone
    session_id text,            -- null: every session of the user, who is gone for good
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX revocations_expiry ON auth.revocations (expires_at);

GRANT SELECT, DELETE ON auth.revocations TO busi_auth;
GRANT INSERT (user_id, session_id, expires_at) ON auth.revocations TO busi_auth;
