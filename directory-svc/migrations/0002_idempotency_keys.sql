-- What a creation under an Idempotency-Key was answered, for when it is asked for again. The texts are those of
-- the request, whose digest tells whether it is the same; the rest is here, so the answer is the first one
-- though the business may have changed or gone since.
CREATE TABLE directory.idempotency_keys (
    created_by  bigint NOT NULL, -- a key is its user's
    key         text NOT NULL CONSTRAINT idempotency_keys_key_length CHECK (octet_length(key) BETWEEN 1 AND 255),
    digest      bytea NOT NULL,
    business_id bigint NOT NULL,
    inserted_at timestamptz NOT NULL,
    PRIMARY KEY (created_by, key)
);
CREATE INDEX idempotency_keys_inserted_at ON directory.idempotency_keys (inserted_at);

-- to lock a row wants the right to change it
GRANT SELECT, INSERT, DELETE, UPDATE (inserted_at) ON directory.idempotency_keys TO busi_directory;
