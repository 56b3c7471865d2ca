-- Texts are bounded in characters, as the service checks them; `bytes` bounds pages of the list without
-- reading the texts. ids are handed out by the database alone.
CREATE TABLE directory.businesses (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name        text NOT NULL CONSTRAINT businesses_name_length CHECK (char_length(name) BETWEEN 1 AND 255),
    description text NOT NULL CONSTRAINT businesses_description_length
                CHECK (char_length(description) BETWEEN 1 AND 65536),
    tag         text NOT NULL CONSTRAINT businesses_tag_length CHECK (char_length(tag) BETWEEN 1 AND 255),
    created_by  bigint NOT NULL, -- auth.users.id, 0 for seeds; another service's table, so no reference
    inserted_at timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now(),
    bytes       integer NOT NULL GENERATED ALWAYS AS
                (octet_length(name) + octet_length(description) + octet_length(tag)) STORED
);

-- The running service may do this and nothing else.
GRANT USAGE ON SCHEMA directory TO busi_directory;
GRANT SELECT, DELETE ON directory.businesses TO busi_directory;
GRANT INSERT (name, description, tag, created_by) ON directory.businesses TO busi_directory;
GRANT UPDATE (name, description, tag, updated_at) ON directory.businesses TO busi_directory;
