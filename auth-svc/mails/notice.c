#include "mails/notice.h"
#include "base/address.h"
#include "base/log.h"
#include "mails/outbox.h"
#include "rpc/forms.h"

enum { AGENT_MOST_BYTES = 128 };

static bool is_same_network(struct busi_str one, struct busi_str other)
{
    struct busi_address a, b;
    if (!busi_address_read(one, &a) || !busi_address_read(other, &b))
        return busi_str_eq(one, other);
    a = busi_address_site(&a);
    b = busi_address_site(&b);
    return memcmp(a.bytes, b.bytes, sizeof(a.bytes)) == 0;
}

/* No session but this one came from there. */
static enum busi_code is_new(struct auth *self, struct busi_call *call, int64_t user_id,
                             struct busi_str session_id, bool *new)
{
    struct busi_list_sessions_reply list = {0};
    enum busi_code code =
        auth_list_sessions(self, call, &(struct busi_user_id_request){.user_id = user_id}, &list);
    *new = true;
    for (size_t i = 0; code == BUSI_OK && i < list.sessions.n; i++) {
        const struct busi_session_info *other = &list.sessions.items[i];
        if (!busi_str_eq(other->session_id, session_id) &&
            is_same_network(other->remote_addr, call->origin.remote_addr))
            *new = false;
    }
    return code;
}

/* Whoever signed in wrote this, maybe not the owner: no room for a message, nothing that breaks lines or
 * turns them around. */
static struct busi_str shown_agent(struct busi_str agent)
{
    if (agent.len > AGENT_MOST_BYTES)
        agent.len = AGENT_MOST_BYTES;
    return busi_form_visible(agent) ? agent : (struct busi_str){0};
}

static enum busi_code promise(struct auth *self, struct busi_call *call, int64_t user_id)
{
    struct busi_pg_result result;
    const struct busi_str params[] = {busi_arena_int(&call->arena, user_id), call->origin.remote_addr,
                                      shown_agent(call->origin.user_agent), auth_mail_language(call)};
    if (!params[0].ptr)
        return BUSI_INTERNAL;
    enum busi_code code = busi_pg_run(self->pg, AUTH_NOTICE_ADDRESS, params, call->until_ms, &result);
    busi_pg_clear(&result);
    if (code == BUSI_OK)
        auth_outbox_wake(self->outbox);
    return code;
}

void auth_notice_address(struct auth *self, struct busi_call *call, const struct auth_account *account,
                         struct busi_str session_id)
{
    bool new;
    if (!self->settings->notice_new_address || call->origin.remote_addr.len == 0)
        return;
    enum busi_code code = is_new(self, call, account->id, session_id, &new);
    if (code == BUSI_OK && new)
        code = promise(self, call, account->id);
    if (code != BUSI_OK)
        busi_log(BUSI_WARN, "address_not_noticed", BUSI_I("user_id", account->id),
                 BUSI_C("code", busi_code_name((int)code)));
}
