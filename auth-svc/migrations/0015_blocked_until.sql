-- Blocked for a time: the sweeper lets in again. Null in an account that is blocked: until somebody does.
ALTER TABLE auth.users ADD COLUMN blocked_until timestamptz;
CREATE INDEX users_blocked_until ON auth.users (blocked_until) WHERE blocked_until IS NOT NULL;
GRANT UPDATE (blocked_until) ON auth.users TO busi_auth;
