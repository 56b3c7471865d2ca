/* Services that hear of what happens to accounts: asked while it happens, or told afterwards. Loop thread
 * only; functions that take a call suspend its fiber. */
#pragma once
#include "core/account.h"
#include "core/auth.h"
#include "hooks/rules.h"

struct auth_hooks;
struct auth_hooks_options {
    struct busi_pg *pg;                   /* borrowed */
    struct busi_fibers *fibers;           /* borrowed: one is kept for each subscriber */
    struct busi_curve *curve;             /* borrowed; NULL: plain, for tests only */
    const struct busi_settings *settings; /* borrowed */
    bool alone;                           /* writes what others tell, and calls nobody */
};
/* NULL and *error (static): the settings or a subscriber's certificate are unusable, or out of memory. */
[[nodiscard]] struct auth_hooks *auth_hooks_new(struct busi_loop *loop,
                                                const struct auth_hooks_options *options, const char **error);
/* The longest that asking it may take; 0 when nobody listens. */
int64_t auth_hooks_patience_ms(const struct auth_hooks *hooks, enum auth_event event);

/* What subscribers add to a session: JSON objects in the call's arena, absent when nobody does. */
struct auth_hook_answer {
    struct busi_str claims; /* of its JWT */
    struct busi_str data;   /* kept with it, told by every check */
};
/* Asks every subscriber of an ASKED event, in turn. PERMISSION_DENIED: one refused. UNAVAILABLE: a closed one
 * is away. */
[[nodiscard]] enum busi_code auth_hooks_ask(struct auth_hooks *hooks, struct busi_call *call,
                                            enum auth_event event, const struct auth_account *account,
                                            struct busi_str door, struct auth_hook_answer *answer);

/* A TOLD event as the parameter of the statement that makes it happen, which has TOLD() among its parts
 * (statements.def), so that it is told if and only if it happened. Call auth_hooks_wake() after the commit.
 * Absent, which is NULL, when nobody listens. False: out of memory. */
[[nodiscard]] bool auth_hooks_told(const struct auth_hooks *hooks, struct busi_call *call,
                                   enum auth_event event, struct busi_str door, struct busi_str *told);
/* The same by a statement of its own; at once OK when nobody listens. */
[[nodiscard]] enum busi_code auth_hooks_tell(struct auth_hooks *hooks, struct busi_call *call,
                                             enum auth_event event, int64_t user_id, struct busi_str door);
void auth_hooks_wake(struct auth_hooks *hooks);
/* sign_in_failed, of an account or (user_id 0) of none. Anybody can make as many as he wants: those past a
 * number a second are not told, nor those that no subscriber is there to hear. What happens is no failure of
 * the call's. */
void auth_hooks_tell_failure(struct auth_hooks *hooks, struct busi_call *call, int64_t user_id,
                             struct busi_str door);

void auth_hooks_stop(struct auth_hooks *hooks);
bool auth_hooks_stopped(const struct auth_hooks *hooks);
void auth_hooks_free(struct auth_hooks **hooks);
