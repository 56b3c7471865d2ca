#include "accounts/admission.h"
#include "audit/audit.h"
#include "base/log.h"
#include "core/answers.h"
#include "hooks/hooks.h"
#include "mails/notice.h"
#include "sessions/sessions.h"

enum { OPENINGS_MOST = 4 };

/* Somebody signed in may end all other sessions of the account just now: no reason to tell this one that its
 * password is wrong. It is, once the account has another. */
static enum busi_code open_session(struct auth *self, struct busi_call *call, struct auth_account *account,
                                   const struct auth_door *door, const struct auth_hook_answer *added,
                                   struct busi_session_reply *out)
{
    for (int i = 0;; i++) {
        struct auth_account now;
        enum busi_code code = auth_session_open(self, call, account, door, added, out);
        if (code != BUSI_UNAUTHENTICATED || i == OPENINGS_MOST - 1)
            return code;
        code = auth_account_find_by_id(self, call, account->id, &now);
        if (code != BUSI_OK)
            return code;
        if (now.blocked || now.epoch == account->epoch || !busi_str_eq(now.hash, account->hash))
            return auth_unauthorized(call);
        *account = now;
    }
}

/* A session that began is in the audit log and has been told of, or has not begun. */
static enum busi_code told_or_ended(struct auth *self, struct busi_call *call, struct busi_str door,
                                    struct busi_str how, const struct busi_session_reply *session)
{
    enum busi_code code = auth_audit(self, call,
                                     &(struct auth_deed){.event = AUTH_AUDIT_sign_in,
                                                         .user_id = session->user_id,
                                                         .actor_id = session->user_id,
                                                         .door = door,
                                                         .detail = how});
    if (code == BUSI_OK)
        code = auth_hooks_tell(self->hooks, call, AUTH_EVENT_after_login, session->user_id, door);
    const struct auth_session begun = {.id = session->session_id, .user_id = session->user_id};
    if (code != BUSI_OK && auth_session_revoke(self, call, &begun) != BUSI_OK)
        busi_log(BUSI_WARN, "session_left_behind", BUSI_I("user_id", session->user_id));
    return code;
}

enum busi_code auth_admission_ask(struct auth *self, struct busi_call *call,
                                  const struct auth_account *account, const struct auth_door *door,
                                  struct auth_hook_answer *added)
{
    struct busi_str name = busi_str_of(door->name);
    enum busi_code code = auth_hooks_ask(self->hooks, call, AUTH_EVENT_before_login, account, name, added);
    if (code == BUSI_PERMISSION_DENIED)
        auth_audit_failed(
            self, call,
            &(struct auth_deed){.event = AUTH_AUDIT_sign_in, .user_id = account->id, .door = name}, "hook");
    return code;
}

enum busi_code auth_admit_asked(struct auth *self, struct busi_call *call, struct auth_account *account,
                                const struct auth_door *door, const struct auth_hook_answer *added,
                                struct busi_str how, struct busi_session_reply *out)
{
    enum busi_code code = open_session(self, call, account, door, added, out);
    if (code == BUSI_OK)
        code = told_or_ended(self, call, busi_str_of(door->name), how, out);
    if (code == BUSI_OK)
        auth_notice_address(self, call, account, out->session_id);
    return code;
}

enum busi_code auth_admit(struct auth *self, struct busi_call *call, struct auth_account *account,
                          const struct auth_door *door, struct busi_str how, struct busi_session_reply *out)
{
    struct auth_hook_answer added;
    enum busi_code code = auth_admission_ask(self, call, account, door, &added);
    return code == BUSI_OK ? auth_admit_asked(self, call, account, door, &added, how, out) : code;
}
