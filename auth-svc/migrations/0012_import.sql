-- Accounts that came from elsewhere (auth-svc import-users), by the ids they had there: what was imported once is
-- not imported again, whatever has become of its names.
CREATE TABLE auth.external_ids (
    external_id text PRIMARY KEY CONSTRAINT external_ids_length CHECK (octet_length(external_id) BETWEEN 1 AND 255),
    user_id     bigint NOT NULL REFERENCES auth.users ON DELETE CASCADE
);
CREATE INDEX external_ids_user ON auth.external_ids (user_id);

GRANT INSERT (inserted_at) ON auth.users TO busi_auth;
GRANT SELECT, INSERT ON auth.external_ids TO busi_auth;
