-- A repeated idempotency key must come with the mail it came with first: what is mailed is forgotten, its digest is not. Only adds.
SET LOCAL lock_timeout = '3s';
ALTER TABLE mailer.mails ADD COLUMN digest bytea; -- SHA-256 of request; null: stored by the release before
GRANT INSERT (digest) ON mailer.mails TO busi_mailer;
