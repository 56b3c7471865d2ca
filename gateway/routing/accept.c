#include "routing/accept.h"

/* Cuts the part before the next separator off *rest, without the spaces around it. */
static struct busi_str cut(struct busi_str *rest, char separator)
{
    const char *stop = rest->len ? memchr(rest->ptr, separator, rest->len) : NULL;
    struct busi_str part = {rest->ptr, stop ? (size_t)(stop - rest->ptr) : rest->len};
    size_t taken = part.len + (stop ? 1 : 0);
    *rest = (struct busi_str){rest->ptr + taken, rest->len - taken};
    while (part.len && (part.ptr[0] == ' ' || part.ptr[0] == '\t'))
        part = (struct busi_str){part.ptr + 1, part.len - 1};
    while (part.len && (part.ptr[part.len - 1] == ' ' || part.ptr[part.len - 1] == '\t'))
        part.len--;
    return part;
}

/* "0", "0.", "0.000" are zero; whatever else stands there is not. */
static bool zero(struct busi_str q)
{
    if (q.len == 0 || q.ptr[0] != '0')
        return false;
    for (size_t i = 1; i < q.len; i++)
        if (q.ptr[i] != (i == 1 ? '.' : '0'))
            return false;
    return true;
}

static bool refused(struct busi_str parameters)
{
    while (parameters.len) {
        struct busi_str value = cut(&parameters, ';');
        struct busi_str name = cut(&value, '=');
        if (busi_str_ieq(name, BUSI_STR("q")))
            return zero(cut(&value, ';'));
    }
    return false;
}

enum { NAMED = 3 };

/* NAMED: names it, 2: names its type, 1: any, 0: does not cover it. */
static int specificity(struct busi_str range, struct busi_str type, struct busi_str subtype)
{
    struct busi_str rest = range;
    struct busi_str have = cut(&rest, '/');
    if (busi_str_eq(have, BUSI_STR("*")))
        return busi_str_eq(rest, BUSI_STR("*")) ? 1 : 0;
    if (!busi_str_ieq(have, type))
        return 0;
    if (busi_str_eq(rest, BUSI_STR("*")))
        return 2;
    return busi_str_ieq(rest, subtype) ? NAMED : 0;
}

struct judged {
    int best;     /* specificity of the deciding range, 0: none yet */
    bool allowed; /* what it says */
    bool empty;   /* no range at all */
};

static void judge(struct judged *judged, struct busi_str header, struct busi_str type,
                  struct busi_str subtype)
{
    while (header.len) {
        struct busi_str parameters = cut(&header, ',');
        if (parameters.len == 0)
            continue;
        judged->empty = false;
        struct busi_str range = cut(&parameters, ';');
        int found = specificity(range, type, subtype);
        if (found == 0 || found < judged->best)
            continue;
        bool allowed = !refused(parameters);
        judged->allowed = found == judged->best ? judged->allowed || allowed : allowed;
        judged->best = found;
    }
}

/* JSON, or a page, by every Accept header of the request. */
static struct judged judge_all(const struct http_request *request, bool json)
{
    struct judged judged = {.empty = true};
    for (size_t i = 0; i < request->n_headers; i++)
        if (busi_str_ieq(request->headers[i].name, BUSI_STR("accept")))
            judge(&judged, request->headers[i].value, json ? BUSI_STR("application") : BUSI_STR("text"),
                  json ? BUSI_STR("json") : BUSI_STR("html"));
    return judged;
}

bool accept_prefers_page(const struct http_request *request)
{
    struct judged page = judge_all(request, false), json = judge_all(request, true);
    return page.best == NAMED && page.allowed && !(json.best == NAMED && json.allowed);
}

bool accept_allows(struct busi_str header, struct busi_str type, struct busi_str subtype)
{
    struct judged judged = {.empty = true};
    judge(&judged, header, type, subtype);
    return judged.empty || judged.allowed;
}

bool accept_request(const struct http_request *request, struct busi_str format, enum route_accept rule)
{
    bool json = rule == ACCEPT_JSON;
    if (rule == ACCEPT_ANY)
        return true;
    if (format.ptr)
        return busi_str_eq(format, json ? BUSI_STR("json") : BUSI_STR("html"));
    struct judged judged = judge_all(request, json);
    return judged.empty || judged.allowed;
}
