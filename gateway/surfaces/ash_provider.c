/* Sign-in by an OpenID provider: to it, and back. What the browser keeps meanwhile is a cookie for these two
 * paths alone. */
#include "core/gateway.h"
#include "core/page_form.h"
#include "http/cookies.h"
#include "pages/site.h"
#include "surfaces/ash_outcome.h"

enum { NAME_MOST = 32 }; /* characters of a provider's name */

/* "busi_corp", "/auth/user/corp" and where the provider sends the browser back to; all absent: it cannot be
 * the name of one. */
struct place {
    struct busi_str cookie, path, callback;
};

static bool is_name(struct busi_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = busi_lower(name.ptr[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
            return false;
    }
    return name.len > 0 && name.len <= NAME_MOST;
}

static struct place place_of(struct exchange *x)
{
    struct busi_arena *arena = &x->request->call.arena;
    const struct page_site *site = x->gateway->site;
    struct busi_str base = busi_str_trim(x->gateway->settings->base_url, "/");
    struct place place = {0};
    if (!is_name(x->id))
        return place;
    place.cookie = busi_arena_printf(arena, "busi_%.*s", BUSI_ARG(x->id));
    place.path = busi_arena_printf(arena, "%.*s/user/%.*s", BUSI_ARG(site->ash), BUSI_ARG(x->id));
    place.callback = busi_arena_printf(arena, "%.*s%.*s/callback", BUSI_ARG(base), BUSI_ARG(place.path));
    return place.cookie.ptr && place.path.ptr && place.callback.ptr ? place : (struct place){0};
}

/* Lax: the provider's redirect is another site's. */
static void set_cookie(struct exchange *x, const struct place *place, struct busi_str value, int64_t seconds)
{
    struct busi_str cookie = busi_arena_printf(
        &x->request->call.arena, "%.*s=%.*s; Max-Age=%lld; Path=%.*s; HttpOnly; SameSite=Lax%s",
        BUSI_ARG(place->cookie), BUSI_ARG(value), (long long)seconds, BUSI_ARG(place->path),
        x->gateway->site->secure ? "; Secure" : "");
    http_add_header(x->response, "Set-Cookie", cookie);
}

/* ---- to the provider ---- */

static void send_there(struct exchange *x, const struct place *place,
                       const struct busi_start_provider_reply *reply)
{
    set_cookie(x, place, reply->cookie, reply->cookie_lifetime);
    http_add_header(x->response, "Location", reply->location);
    busi_buf_printf(&x->response->body, "Redirecting to %.*s", BUSI_ARG(x->id));
    x->response->status = 302;
    x->response->content_type = "text/plain; charset=utf-8";
}

void on_ash_start_provider(struct exchange *x)
{
    const struct ash_activity activity = {.strategy = x->id, .phase = BUSI_STR("request")};
    const struct place place = place_of(x);
    struct busi_start_provider_request request = {.provider = x->id, .redirect_uri = place.callback};
    struct busi_start_provider_reply reply = {0};
    if (!place.path.ptr) {
        exchange_error(x, 404);
        return;
    }
    if (!ash_begin(x, &activity) || !page_form_return_to(x, &request.return_to))
        return;
    enum busi_code code = busi_rpc_auth_start_provider(x->gateway->rpc, &x->request->call, &request, &reply);
    if (code == BUSI_OK)
        send_there(x, &place, &reply);
    else
        exchange_fail(x, code);
}

/* ---- and back ---- */

static struct busi_str query_text(const struct exchange *x, const char *name)
{
    const struct param *param = param_find(x->query, name);
    return param && param->type == PARAM_TEXT ? param->text : (struct busi_str){0};
}

/* Whatever the provider answered, the cookie has served. */
void on_ash_finish_provider(struct exchange *x)
{
    const struct ash_activity activity = {.strategy = x->id, .phase = BUSI_STR("callback")};
    const struct place place = place_of(x);
    struct busi_finish_provider_reply reply = {0};
    if (!place.path.ptr) {
        exchange_error(x, 404);
        return;
    }
    const struct busi_finish_provider_request request = {.door = ash_door(x),
                                                         .provider = x->id,
                                                         .redirect_uri = place.callback,
                                                         .cookie = cookie_find(x->request, place.cookie),
                                                         .state = query_text(x, "state"),
                                                         .code = query_text(x, "code"),
                                                         .issuer = query_text(x, "iss")};
    if (!ash_begin(x, &activity))
        return;
    enum busi_code code = busi_rpc_auth_finish_provider(x->gateway->rpc, &x->request->call, &request, &reply);
    if (code == BUSI_NOT_FOUND) { /* no such provider, so no such route */
        exchange_fail(x, code);
        return;
    }
    struct ash_outcome outcome = {
        .result = ASH_SUCCESS, .session = reply.session, .return_to = reply.return_to};
    if (code != BUSI_OK)
        outcome = (struct ash_outcome){.result = ASH_FAILURE, .reason = code};
    ash_answer(x, &activity, &outcome);
    if (code == BUSI_OK || exchange_is_verdict(code))
        set_cookie(x, &place, BUSI_STR(""), 0);
}
