#include "http/same_site.h"

static bool is_one_of(struct busi_str value, const char *a, const char *b)
{
    return busi_str_ieq(value, busi_str_of(a)) || busi_str_ieq(value, busi_str_of(b));
}

/* "https://example.com:8443" of a request to Host: example.com:8443. The scheme is the proxy's business. */
static bool is_origin_of(struct busi_str origin, struct busi_str host)
{
    static const char *const schemes[] = {"https://", "http://"};
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t n = strlen(schemes[i]);
        if (origin.len > n && busi_str_ieq((struct busi_str){origin.ptr, n}, busi_str_of(schemes[i])))
            return busi_str_ieq((struct busi_str){origin.ptr + n, origin.len - n}, host);
    }
    return false;
}

bool same_site(const struct http_request *request)
{
    const struct busi_str site_name = BUSI_STR("sec-fetch-site"), origin_name = BUSI_STR("origin");
    const struct http_header *site = http_find_header(request, site_name);
    const struct http_header *origin = http_find_header(request, origin_name);
    const struct http_header *host = http_find_header(request, BUSI_STR("host"));
    if (http_count_header(request, site_name) > 1 || http_count_header(request, origin_name) > 1)
        return false;
    if (site)
        return is_one_of(site->value, "same-origin", "none");
    if (!origin)
        return true;
    return host && is_origin_of(origin->value, host->value);
}

/* Our pages tell no more than their origin: "https://example.com/". */
static bool is_ours(struct busi_str referer, const struct http_header *host)
{
    for (size_t i = 0, slashes = 0; i < referer.len; i++)
        if (referer.ptr[i] == '/' && ++slashes == 3)
            referer.len = i;
    return host && is_origin_of(referer, host->value);
}

bool same_site_visit(const struct http_request *request)
{
    const struct http_header *referer = http_find_header(request, BUSI_STR("referer"));
    if (http_find_header(request, BUSI_STR("sec-purpose")) || !same_site(request))
        return false;
    if (http_find_header(request, BUSI_STR("sec-fetch-site")) || !referer)
        return true;
    return is_ours(referer->value, http_find_header(request, BUSI_STR("host")));
}
