/* What else is known of users: texts of any type, one of each. */
#include "core/gateway.h"
#include "surfaces/magic_arguments.h"
#include "surfaces/magic_list.h"
#include "surfaces/magic_shape.h"

#define LITERAL(out, text) busi_buf_add((out), (text), sizeof(text) - 1)

static struct busi_list_user_extra_request filters(const struct exchange *x)
{
    return (struct busi_list_user_extra_request){.name = magic_text(x, "user.eq"),
                                                 .type = magic_text(x, "type.eq"),
                                                 .value_like = magic_text(x, "value.like")};
}

static enum busi_code extras_page(struct magic_list *list, struct busi_call *call, int64_t limit, bool *more)
{
    struct exchange *x = list->x;
    struct busi_list_user_extra_request request = filters(x);
    struct busi_list_user_extra_reply reply = {0};
    struct busi_buf *out = &x->response->body;
    size_t mark;
    request.descending = busi_str_eq(magic_text(x, "direction"), BUSI_STR("desc"));
    request.limit = limit;
    request.offset = list->offset;
    enum busi_code code = busi_rpc_auth_list_user_extra(x->gateway->rpc, call, &request, &reply);
    for (size_t i = 0; i < reply.extras.n && magic_list_begin(list, &mark); i++) {
        const struct busi_user_extra *extra = &reply.extras.items[i];
        LITERAL(out, "{\"type\":");
        busi_buf_json(out, extra->type);
        LITERAL(out, ",\"value\":");
        busi_buf_json(out, extra->value);
        LITERAL(out, ",\"user\":");
        busi_buf_json_or_null(out, magic_username(extra->username, extra->email));
        busi_buf_char(out, '}');
        if (!magic_list_end(list, mark))
            break;
    }
    *more = reply.extras.n == (size_t)limit;
    return code;
}

void on_magic_extras(struct exchange *x)
{
    magic_list_answer(x, extras_page);
}

void on_magic_extras_count(struct exchange *x)
{
    struct busi_list_user_extra_request request = filters(x);
    struct busi_count_reply reply = {0};
    enum busi_code code =
        busi_rpc_auth_count_user_extra(x->gateway->rpc, &x->request->call, &request, &reply);
    if (code == BUSI_OK)
        magic_answer_number(x, 200, "count", reply.count);
    else
        magic_fail(x, code);
}

static struct busi_user_extra_request extra_of(const struct exchange *x)
{
    return (struct busi_user_extra_request){
        .name = magic_text(x, "user"), .type = magic_text(x, "type"), .value = magic_text(x, "value")};
}

void on_magic_create_extra(struct exchange *x)
{
    struct busi_user_extra_request request = extra_of(x);
    struct busi_empty nothing = {0};
    enum busi_code code =
        busi_rpc_auth_create_user_extra(x->gateway->rpc, &x->request->call, &request, &nothing);
    if (code == BUSI_OK)
        magic_answer(x, 201, "success");
    else
        magic_fail_about(x, code, code == BUSI_NOT_FOUND ? "user" : "type");
}

void on_magic_update_extra(struct exchange *x)
{
    struct busi_user_extra_request request = extra_of(x);
    struct busi_count_reply reply = {0};
    enum busi_code code =
        busi_rpc_auth_update_user_extra(x->gateway->rpc, &x->request->call, &request, &reply);
    if (code == BUSI_OK && reply.count > 0)
        magic_answer_number(x, 202, "affected", reply.count);
    else if (code == BUSI_OK || code == BUSI_NOT_FOUND)
        magic_answer(x, 404, "Record not found");
    else
        magic_fail_about(x, code, "type");
}

void on_magic_delete_extra(struct exchange *x)
{
    struct busi_user_extra_request request = extra_of(x);
    struct busi_count_reply reply = {0};
    enum busi_code code =
        busi_rpc_auth_delete_user_extra(x->gateway->rpc, &x->request->call, &request, &reply);
    if (code == BUSI_OK || code == BUSI_NOT_FOUND)
        magic_answer_number(x, 200, "affected", reply.count);
    else
        magic_fail_about(x, code, "type");
}

/* ---- by the user ---- */

/* Whether there is one of this type or not. */
static enum busi_code set(struct exchange *x, const struct busi_user_extra_request *request)
{
    struct busi_rpc_client *rpc = x->gateway->rpc;
    struct busi_call *call = &x->request->call;
    struct busi_count_reply reply = {0};
    struct busi_empty nothing = {0};
    enum busi_code code = busi_rpc_auth_update_user_extra(rpc, call, request, &reply);
    if (code != BUSI_OK || reply.count > 0)
        return code;
    code = busi_rpc_auth_create_user_extra(rpc, call, request, &nothing);
    if (code == BUSI_ALREADY_EXISTS) /* since a moment ago */
        code = busi_rpc_auth_update_user_extra(rpc, call, request, &reply);
    return code;
}

void on_magic_update_extra_info(struct exchange *x)
{
    const struct busi_user_extra_request request = {
        .user_id = x->principal->user_id, .type = BUSI_STR("name"), .value = magic_text(x, "name")};
    enum busi_code code = set(x, &request);
    if (code == BUSI_OK)
        magic_answer(x, 200, "success");
    else
        magic_fail(x, code);
}
