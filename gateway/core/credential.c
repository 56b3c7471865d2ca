#include "core/credential.h"
#include "http/bearer.h"
#include "http/media_type.h"

/* RFC 6750 section 2: one way of sending the token. A query's is otherwise ignored, as is a form's. */
static bool sent_twice(const struct exchange *x)
{
    const struct http_header *type = http_find_header(x->request, BUSI_STR("content-type"));
    bool is_form =
        type && busi_str_ieq(media_type_name(type->value), BUSI_STR("application/x-www-form-urlencoded"));
    return param_find(x->query, "access_token") || (is_form && param_find(x->body, "access_token"));
}

static struct busi_str query_token(const struct exchange *x)
{
    const struct param *token = x->surface->query_token ? param_find(x->query, "access_token") : NULL;
    return token && token->type == PARAM_TEXT ? token->text : (struct busi_str){0};
}

static enum credential_verdict judge(struct busi_str token)
{
    if (!token.ptr)
        return CREDENTIAL_MISSING;
    return bearer_plausible(token) ? CREDENTIAL_FOUND : CREDENTIAL_INVALID;
}

/* One walk over the headers: tokens are checked more often than anything else is done. */
enum credential_verdict credential_find(const struct exchange *x, struct busi_str header,
                                        struct busi_str *token)
{
    const struct http_request *request = x->request;
    const struct http_header *named = NULL, *bearer = NULL;
    size_t n_named = 0, n_bearer = 0;
    *token = (struct busi_str){0};
    for (size_t i = 0; i < request->n_headers; i++) {
        const struct http_header *at = &request->headers[i];
        if (header.ptr && busi_str_ieq(at->name, header)) {
            named = at;
            n_named++;
        } else if (busi_str_ieq(at->name, BUSI_STR("authorization"))) {
            bearer = at;
            n_bearer++;
        }
    }
    if (n_named > 1)
        return CREDENTIAL_MISSING;
    if (n_named == 1) {
        *token = named->value;
        return judge(*token);
    }
    if (n_bearer > 1)
        return CREDENTIAL_TWICE;
    if (n_bearer == 1)
        *token = bearer_token(bearer->value);
    if (token->ptr)
        return sent_twice(x) ? CREDENTIAL_TWICE : judge(*token);
    *token = query_token(x);
    return judge(*token);
}
