-- Links of mails that lead to pages of others, as a surface's clients want them. Only adds.
SET LOCAL lock_timeout = '3s';
ALTER TABLE auth.mail_requests ADD COLUMN link text; -- with {secret} in it; null: to a page of the gateway
GRANT INSERT (link) ON auth.mail_requests TO busi_auth;
