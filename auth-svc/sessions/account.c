/* Sessions say who their account is. A change of that does not end them: their records are rewritten. */
#include "core/answers.h"
#include "sessions/feed.h"
#include "sessions/index.h"
#include "sessions/sessions.h"

enum { ATTEMPTS = 8 }; /* so many others are never as quick */

/* What the sessions of an account are to say. */
struct saying {
    const struct auth_account *account;
    struct auth_told *told; /* the gateways */
};

static bool says(const struct auth_session *session, const struct auth_account *account)
{
    return busi_str_eq(session->email, account->email) && busi_str_eq(session->username, account->username) &&
           busi_str_eq(session->meta, account->meta) && session->confirmed == account->confirmed;
}

static bool change(struct auth_session *session, const void *arg)
{
    const struct auth_account *account = arg;
    if (says(session, account))
        return false;
    session->email = account->email;
    session->username = account->username;
    session->meta = account->meta;
    session->confirmed = account->confirmed;
    return true;
}

/* Gateways are told of all, also of those that are right: who made them so may have died before it told. */
static enum busi_code change_some(struct auth *self, struct busi_call *part, const struct busi_str *ids,
                                  size_t n, void *state)
{
    const struct saying *saying = state;
    struct auth_session *sessions;
    enum busi_code code = auth_session_load_named(self, part, ids, n, &sessions);
    for (size_t i = 0; i < n && code == BUSI_OK; i++) {
        struct auth_session stands = {.id = ids[i]};
        if (sessions[i].door && !says(&sessions[i], saying->account))
            code = auth_session_rewrite(self, part, &stands, change, saying->account);
    }
    return code == BUSI_OK && n > 0 ? auth_feed_tell(self, part, ids, n, saying->told) : code;
}

static bool same(const struct auth_account *a, const struct auth_account *b)
{
    return a->id == b->id && busi_str_eq(a->email, b->email) && busi_str_eq(a->username, b->username) &&
           busi_str_eq(a->meta, b->meta) && a->confirmed == b->confirmed;
}

/* Two that change the account may write in the other order than they changed it: each looks once more, and so
 * the last to write has written what is true. */
enum busi_code auth_session_update_account(struct auth *self, struct busi_call *call, int64_t user_id)
{
    struct auth_told told = {.arena = &call->arena};
    struct auth_account before, account;
    struct saying saying = {.account = &before, .told = &told};
    enum busi_code code = auth_account_find_by_id(self, call, user_id, &account);
    for (int i = 0; i < ATTEMPTS && code == BUSI_OK && account.id != 0; i++) {
        before = account;
        code = auth_index_visit(self, call, user_id, change_some, &saying);
        if (code == BUSI_OK)
            code = auth_account_find_by_id(self, call, user_id, &account);
        if (code == BUSI_OK && same(&before, &account))
            return auth_feed_settle(self, call, &told);
    }
    if (code == BUSI_OK && account.id != 0)
        code = busi_call_fail(call, BUSI_UNAVAILABLE, "the account changes all the time");
    return code;
}
