-- Mails are tried for a while and not a number of times; what is done with is deleted after a while.
ALTER TABLE mailer.mails
    ADD COLUMN tried_at  timestamptz, -- first attempt; a dead letter that is put back begins anew
    ADD COLUMN failed_at timestamptz; -- became a dead letter
UPDATE mailer.mails SET failed_at = now() WHERE state = 'failed';

CREATE INDEX mails_delivered ON mailer.mails (delivered_at) WHERE state = 'delivered';
CREATE INDEX mails_failed ON mailer.mails (failed_at) WHERE state = 'failed';

GRANT UPDATE (tried_at, failed_at) ON mailer.mails TO busi_mailer;
GRANT DELETE ON mailer.mails TO busi_mailer;
