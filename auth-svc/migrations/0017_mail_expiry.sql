-- A mail says when the secret in its link expires: a mailer that could not send it until then does not send it. Only adds.
SET LOCAL lock_timeout = '3s';
ALTER TABLE auth.outbox ADD COLUMN expires_at timestamptz; -- as in auth.one_time_secrets; null: it has no secret
GRANT INSERT (expires_at) ON auth.outbox TO busi_auth;
