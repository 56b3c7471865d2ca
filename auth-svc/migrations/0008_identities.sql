-- Who an account is to an OpenID provider: sub of its tokens. Only adds.
SET LOCAL lock_timeout = '3s';

CREATE TABLE auth.identities (
    provider   text NOT NULL, -- name of a row of BUSI_OIDC_PROVIDERS
    subject    text NOT NULL CONSTRAINT identities_subject_length CHECK (octet_length(subject) BETWEEN 1 AND 255),
    user_id    bigint NOT NULL REFERENCES auth.users ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (provider, subject)
);
CREATE INDEX identities_user ON auth.identities (user_id);

GRANT SELECT, DELETE ON auth.identities TO busi_auth;
GRANT INSERT (provider, subject, user_id) ON auth.identities TO busi_auth;
GRANT INSERT (confirmed_at) ON auth.users TO busi_auth;
