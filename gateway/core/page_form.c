#include "core/page_form.h"
#include "core/gateway.h"
#include "http/return_to.h"

struct busi_str page_form_text(const struct exchange *x, const char *object, const char *name)
{
    const struct param *holder = object ? param_find(x->body, object) : x->body;
    const struct param *text = param_find(holder, name);
    return text && text->type == PARAM_TEXT ? text->text : (struct busi_str){0};
}

static enum page_text text_of(int64_t rule, bool is_password)
{
    switch (rule) {
    case BUSI_RULE_BLANK:
        return PAGE_TEXT_rule_blank;
    case BUSI_RULE_TOO_SHORT:
        return PAGE_TEXT_rule_too_short;
    case BUSI_RULE_TOO_LONG:
        return PAGE_TEXT_rule_too_long;
    case BUSI_RULE_MISMATCH:
        return PAGE_TEXT_rule_mismatch;
    case BUSI_RULE_FORMAT:
        return PAGE_TEXT_rule_format;
    case BUSI_RULE_TAKEN:
        return PAGE_TEXT_rule_taken;
    default:
        return is_password ? PAGE_TEXT_rule_other_password : PAGE_TEXT_rule_other;
    }
}

struct busi_str page_form_fault(struct exchange *x, const char *field)
{
    struct busi_call *call = &x->request->call;
    for (size_t i = 0; i < call->n_violations; i++) {
        const struct busi_violation *violation = &call->violations[i];
        if (!busi_str_eq(violation->field, busi_str_of(field)))
            continue;
        enum page_text found = text_of(violation->rule, strstr(field, "password") != NULL);
        const char *text = page_text(found, x->response->language);
        const char *limit = strstr(text, "%d");
        if (!limit)
            return busi_str_of(text);
        return busi_arena_printf(&call->arena, "%.*s%lld%s", (int)(limit - text), text,
                                 (long long)violation->limit, limit + 2);
    }
    return (struct busi_str){0};
}

bool page_form_return_to(struct exchange *x, struct busi_str *target)
{
    const struct param *wish = param_find(x->body, "return_to");
    wish = wish ? wish : param_find(x->query, "return_to");
    *target = (struct busi_str){0};
    if (!wish || wish->type == PARAM_NULL || (wish->type == PARAM_TEXT && wish->text.len == 0))
        return true;
    if (wish->type == PARAM_TEXT && page_site_may_return(x->gateway->site, wish->text)) {
        *target = wish->text;
        return true;
    }
    exchange_error(x, 400);
    return false;
}

static bool is_unreserved(char c)
{
    char low = busi_lower(c);
    return (low >= 'a' && low <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' ||
           c == '/';
}

static void add_encoded(struct busi_buf *out, struct busi_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (is_unreserved(text.ptr[i]))
            busi_buf_char(out, text.ptr[i]);
        else
            busi_buf_printf(out, "%%%02X", (unsigned char)text.ptr[i]);
    }
}

struct busi_str page_form_onward(struct exchange *x, struct busi_str target, bool more)
{
    struct busi_buf out;
    busi_buf_init(&out, 4 * RETURN_TO_MOST);
    if (target.len) {
        busi_buf_str(&out, BUSI_STR("?return_to="));
        add_encoded(&out, target);
    }
    if (more)
        busi_buf_char(&out, target.len ? '&' : '?');
    struct busi_str text = {0};
    if (!out.failed && out.len)
        text = busi_arena_dup(&x->request->call.arena, (struct busi_str){out.ptr, out.len});
    busi_buf_fini(&out);
    return text.ptr ? text : BUSI_STR("");
}
