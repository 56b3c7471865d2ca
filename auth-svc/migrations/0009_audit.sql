-- Who did what to which account, when and from where. Rows are only added; those that are old enough go by way of
-- auth.expire_audit(), which is all the service may do to them.
CREATE TABLE auth.audit (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT now(),
    event       text NOT NULL,              -- auth-svc/audit.def
    outcome     text NOT NULL CONSTRAINT audit_outcome CHECK (outcome IN ('ok', 'failed')),
    actor       text,                       -- the service that asked, or "operator " and a name
    actor_id    bigint,                     -- the user on whose behalf, when known
    user_id     bigint,                     -- whom it is about; no reference: the account may be gone
    name_hash   bytea,                      -- of a name that is nobody's: a keyed hash
    door        text,
    remote_addr text,
    user_agent  text,
    request_id  text,
    trace_id    text,
    detail      text
);
CREATE INDEX audit_at ON auth.audit (at);
CREATE INDEX audit_event ON auth.audit (event, id);
CREATE INDEX audit_user ON auth.audit (user_id, id) WHERE user_id IS NOT NULL;
CREATE INDEX audit_actor ON auth.audit (actor_id, id) WHERE actor_id IS NOT NULL;
CREATE INDEX audit_name ON auth.audit (name_hash, id) WHERE name_hash IS NOT NULL;

-- Deletes some rows older than keep, which is no less than a week whatever is asked for, and says how many. Of the
-- oldest thousand: their order is that of their ids but for moments.
CREATE FUNCTION auth.expire_audit(keep interval) RETURNS bigint LANGUAGE sql SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp AS $$
    WITH gone AS (
        DELETE FROM auth.audit WHERE id IN (SELECT id FROM auth.audit ORDER BY id LIMIT 1000)
                                 AND at < now() - GREATEST(keep, interval '7 days') RETURNING 1)
    SELECT count(*) FROM gone
$$;
REVOKE EXECUTE ON FUNCTION auth.expire_audit(interval) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION auth.expire_audit(interval) TO busi_auth;

GRANT SELECT ON auth.audit TO busi_auth;
GRANT INSERT (event, outcome, actor, actor_id, user_id, name_hash, door, remote_addr, user_agent, request_id, trace_id,
              detail) ON auth.audit TO busi_auth;
