#include "core/origin.h"
#include "base/log.h"
#include "base/text.h"
#include "http/language.h"
#include "params/fields.h"
#include "rpc/forms.h"

enum { USER_AGENT_MOST_BYTES = 512 };

/* Without BUSI_TRUSTED_PROXIES behind a proxy, all clients would be one to the limits. Once is enough. */
static void warn_of_proxy(struct gateway *gateway, const struct http_request *request)
{
    if (gateway->proxies.n > 0 || atomic_load_explicit(&gateway->proxy_told, memory_order_relaxed) ||
        !http_find_header(request, gateway->proxies.header))
        return;
    if (!atomic_exchange(&gateway->proxy_told, true))
        busi_log(BUSI_WARN, "forwarded_for_ignored", BUSI_S("peer", request->remote_addr),
                 BUSI_C("hint", "if that is a proxy of yours, name it in BUSI_TRUSTED_PROXIES"));
}

static struct busi_str address(struct gateway *gateway, struct http_request *request)
{
    struct busi_address client;
    char text[BUSI_ADDRESS_TEXT];
    if (!proxies_client(&gateway->proxies, request, &client)) {
        warn_of_proxy(gateway, request);
        return busi_form_address(request->remote_addr) ? request->remote_addr : (struct busi_str){0};
    }
    busi_address_print(&client, text);
    return busi_arena_dup(&request->call.arena, busi_str_of(text));
}

static struct busi_str user_agent(const struct http_request *request)
{
    const struct http_header *header = http_find_header(request, BUSI_STR("user-agent"));
    if (!header || !busi_utf8_valid(header->value))
        return (struct busi_str){0};
    return fields_cut(header->value, USER_AGENT_MOST_BYTES);
}

struct busi_origin origin_of(struct gateway *gateway, struct http_request *request)
{
    const struct http_header *languages = http_find_header(request, BUSI_STR("accept-language"));
    return (struct busi_origin){.remote_addr = address(gateway, request),
                                .user_agent = user_agent(request),
                                .language =
                                    languages ? language_first(languages->value) : (struct busi_str){0}};
}
