#include "surfaces/account_forms.h"
#include "core/gateway.h"
#include "params/fields.h"
#include "routing/accept.h"

#define VALUE(name_, text)                                                                                   \
    {                                                                                                        \
        .name = BUSI_STR(name_), .value = (text)                                                             \
    }
enum { TYPED_MOST = 1024 }; /* bytes that are shown again */

static struct busi_str typed_email(const struct exchange *x)
{
    return fields_cut(page_form_text(x, "user", "email"), TYPED_MOST);
}

/* Links to the OpenID providers there are, as markup: their names are words. None when that cannot be told.
 * What the call told of the form is forgotten by it. */
static struct busi_str providers(struct exchange *x, struct busi_str onward)
{
    struct busi_call *call = &x->request->call;
    struct busi_list_providers_reply reply = {0};
    struct busi_str links = BUSI_STR("");
    const char *text = page_text(PAGE_TEXT_provider_link, x->response->language);
    if (busi_rpc_auth_list_providers(x->gateway->rpc, call, &(struct busi_empty){0}, &reply) != BUSI_OK)
        return links;
    for (size_t i = 0; i < reply.providers.n && links.ptr; i++)
        links = busi_arena_printf(&call->arena, "%.*s<a href=\"%.*s/user/%.*s%.*s\">%s %.*s</a>\n",
                                  BUSI_ARG(links), BUSI_ARG(x->gateway->site->ash),
                                  BUSI_ARG(reply.providers.items[i].name), BUSI_ARG(onward), text,
                                  BUSI_ARG(reply.providers.items[i].name));
    return links;
}

void account_forms_sign_in(struct exchange *x, int status, const struct account_form *form)
{
    struct busi_str onward = page_form_onward(x, form->return_to, false);
    const struct busi_template_value values[] = {
        VALUE("email", typed_email(x)),
        VALUE("alert", busi_str_of(form->alert)),
        VALUE("return_to", form->return_to),
        VALUE("onward", onward),
        {.name = BUSI_STR("providers"), .value = providers(x, onward), .markup = true}};
    page_write(x->response, status, PAGE_sign_in, values, sizeof values / sizeof values[0]);
}

void account_forms_register(struct exchange *x, int status, const struct account_form *form)
{
    struct busi_str onward = page_form_onward(x, form->return_to, false);
    struct busi_str email = page_form_fault(x, "email"), password = page_form_fault(x, "password"),
                    again = page_form_fault(x, "password_confirm");
    const struct busi_template_value values[] = {
        VALUE("email", typed_email(x)),
        VALUE("alert", busi_str_of(form->alert)),
        VALUE("return_to", form->return_to),
        VALUE("onward", onward),
        {.name = BUSI_STR("providers"), .value = providers(x, onward), .markup = true},
        VALUE("email_fault", email),
        VALUE("password_fault", password),
        VALUE("confirm_fault", again)};
    page_write(x->response, status, PAGE_register, values, sizeof values / sizeof values[0]);
}

void account_forms_ask(struct exchange *x, int status, enum page_id page)
{
    const char *action = page == PAGE_ask_magic ? "/user/magic_link/request" : "/user/password/reset_request";
    const char *fault = status == 200 ? NULL : page_text(PAGE_TEXT_rule_blank, x->response->language);
    const struct busi_template_value values[] = {VALUE("email", typed_email(x)),
                                                 VALUE("action", busi_str_of(action)),
                                                 VALUE("email_fault", busi_str_of(fault))};
    page_write(x->response, status, page, values, sizeof values / sizeof values[0]);
}

/* ---- their own routes ---- */

static void show(struct exchange *x,
                 void (*write)(struct exchange *x, int status, const struct account_form *form))
{
    struct account_form form = {0};
    if (page_form_return_to(x, &form.return_to))
        write(x, 200, &form);
}

void on_account_show_sign_in(struct exchange *x)
{
    show(x, account_forms_sign_in);
}

/* Another surface may have this path to post to: its programs are told that, as if there were no page. */
void on_account_show_register(struct exchange *x)
{
    struct route_match post = router_match(&x->gateway->router, HTTP_POST, x->request->path);
    if (!post.route || accept_prefers_page(x->request)) {
        show(x, account_forms_register);
        return;
    }
    x->surface = surface_get(post.route->surface);
    exchange_wrong_method(x, HTTP_POST);
}

void on_account_show_ask_reset(struct exchange *x)
{
    account_forms_ask(x, 200, PAGE_ask_reset);
}

void on_account_show_ask_magic(struct exchange *x)
{
    account_forms_ask(x, 200, PAGE_ask_magic);
}

void on_account_show_mail_sent(struct exchange *x)
{
    page_write(x->response, 200, PAGE_mail_sent, NULL, 0);
}
