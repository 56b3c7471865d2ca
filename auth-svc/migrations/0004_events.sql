-- What happened to accounts and a subscriber has not heard yet: written with what happened, deleted when heard.
CREATE TABLE auth.events (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key         uuid NOT NULL DEFAULT gen_random_uuid(),
    subscriber  text NOT NULL,
    event       text NOT NULL,
    user_id     bigint NOT NULL, -- no reference: the account may be gone when it is told
    door        text,
    remote_addr text,
    user_agent  text,
    attempts    integer NOT NULL DEFAULT 0,
    due_at      timestamptz NOT NULL DEFAULT now(), -- next attempt; end of the lease while one is made
    created_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX events_due ON auth.events (subscriber, due_at);

-- A mail may wait for a hook's verdict on its account.
GRANT INSERT (due_at) ON auth.outbox TO busi_auth;
GRANT SELECT, DELETE ON auth.events TO busi_auth;
GRANT INSERT (subscriber, event, user_id, door, remote_addr, user_agent) ON auth.events TO busi_auth;
GRANT UPDATE (attempts, due_at) ON auth.events TO busi_auth;
