/* The audit log: who did what to which account, when and from where (audit.def, table auth.audit). What
 * changes an account writes its row in the statement that changes it (AUDITED() of statements.def), so that
 * there is one if and only if it happened. No secret and no name that was typed goes in: people type
 * passwords where names belong. Loop thread only; functions that return a code suspend the fiber. */
#pragma once
#include "core/auth.h"
#include "loop/fiber.h"

enum auth_audit_event {
#define AUDIT(event) AUTH_AUDIT_##event,
#include "audit/audit.def"
#undef AUDIT
    AUTH_AUDIT_EVENTS
};

/* What happened; who asked, from where and in which request is the call's. */
struct auth_deed {
    enum auth_audit_event event;
    bool failed;            /* it was tried */
    int64_t user_id;        /* whom it is about; 0: the statement knows, or nobody does */
    int64_t actor_id;       /* who did it; 0: on whose behalf the call is */
    struct busi_str name;   /* as typed, of a failure: kept as a keyed hash; or absent */
    struct busi_str door;   /* or absent */
    struct busi_str detail; /* ours: a role's name, why it failed; or absent */
};
/* As the parameter of a statement with AUDITED(). ptr NULL: out of memory. */
[[nodiscard]] struct busi_str auth_audit_row(struct auth *self, struct busi_call *call,
                                             const struct auth_deed *deed);
/* By a statement of its own, which shares its commit with others. */
[[nodiscard]] enum busi_code auth_audit(struct auth *self, struct busi_call *call,
                                        const struct auth_deed *deed);
/* The same for a failure, which is answered whatever becomes of its row: a fault is logged and counted. why
 * is kept as the detail. */
void auth_audit_failed(struct auth *self, struct busi_call *call, const struct auth_deed *deed,
                       const char *why);
/* Of a name as somebody typed it, in whatever spelling finds the same account: as Postgres reads bytea. ptr
 * NULL: out of memory. */
[[nodiscard]] struct busi_str auth_audit_name(struct auth *self, struct busi_call *call,
                                              struct busi_str name);
