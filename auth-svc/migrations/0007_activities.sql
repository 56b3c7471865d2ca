-- What of a surface's strategies an event was of: password, sign_in.
SET LOCAL lock_timeout = '3s';
ALTER TABLE auth.events
    ADD COLUMN strategy text,
    ADD COLUMN phase    text;
GRANT INSERT (strategy, phase) ON auth.events TO busi_auth;
