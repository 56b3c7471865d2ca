-- A mail whose link has expired is of no use: it is given up, not sent. Only adds; the release before sends it.
SET LOCAL lock_timeout = '3s';
ALTER TABLE mailer.mails ADD COLUMN expires_at timestamptz; -- of the secret in its link; null: never
CREATE INDEX mails_expiry ON mailer.mails (expires_at) WHERE state = 'queued' AND expires_at IS NOT NULL;
GRANT INSERT (expires_at) ON mailer.mails TO busi_mailer;
