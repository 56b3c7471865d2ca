-- Every mail that was asked for: the queue, and what became of it.
CREATE TABLE mailer.mails (
    mail_id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    caller          text NOT NULL,                        -- service that asked; keys are its own
    idempotency_key text NOT NULL,
    kind            text NOT NULL,
    recipient       text NOT NULL,
    request         bytea,                                -- enqueue_mail_request as msgpack; wiped when delivered
    state           text NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'delivered', 'failed')),
    created_at      timestamptz NOT NULL DEFAULT now(),
    due_at          timestamptz NOT NULL DEFAULT now(),   -- next attempt; end of the lease while one is made
    attempts        integer NOT NULL DEFAULT 0,           -- begun so far: the fencing token of the lease
    last_error      text,
    delivered_at    timestamptz,
    UNIQUE (caller, idempotency_key),
    CHECK (state <> 'queued' OR request IS NOT NULL)
);
CREATE INDEX mails_due ON mailer.mails (due_at) WHERE state = 'queued';

GRANT USAGE ON SCHEMA mailer TO busi_mailer;
GRANT SELECT ON mailer.mails TO busi_mailer;
GRANT INSERT (caller, idempotency_key, kind, recipient, request) ON mailer.mails TO busi_mailer;
GRANT UPDATE (idempotency_key, request, state, due_at, attempts, last_error, delivered_at)
   ON mailer.mails TO busi_mailer;
