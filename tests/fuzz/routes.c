/* The router over any bytes: first byte chooses the method, the rest is the path. What it finds must be a row
 * with that method whose id, if any, lies in the path; the same path with more slashes must find the same. */
#include "http/bearer.h"
#include "routing/accept.h"
#include "routing/router.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_match(struct route_match match, enum http_method method, struct busi_str path)
{
    if (match.route && (!match.path || !(match.route->methods & method)))
        abort();
    if (match.id.ptr && (match.id.ptr <= path.ptr || match.id.ptr + match.id.len > path.ptr + path.len ||
                         match.id.len == 0 || memchr(match.id.ptr, '/', match.id.len)))
        abort();
}

static void check_slashes(const struct router *router, enum http_method method, struct busi_str path,
                          struct route_match match)
{
    size_t n = 0;
    char *twice = malloc(path.len * 2 + 1);
    if (!twice)
        return;
    for (size_t i = 0; i < path.len; i++) {
        twice[n++] = path.ptr[i];
        if (path.ptr[i] == '/')
            twice[n++] = '/';
    }
    twice[n++] = '/';
    bool rooted = path.len && path.ptr[0] == '/';
    if (rooted && router_match(router, method, (struct busi_str){twice, n}).route != match.route)
        abort();
    free(twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct router router;
    static bool ready;
    if (!ready) {
        struct router_options options = {.on = {true}, .prefix = {{"", 0}}};
        router_init(&router, &options);
        ready = true;
    }
    if (size == 0)
        return 0;
    enum http_method method = (enum http_method)(1 << data[0] % 7);
    struct busi_str rest = {(const char *)data + 1, size - 1};
    struct route_match match = router_match(&router, method, rest);
    check_match(match, method, rest);
    check_slashes(&router, method, rest, match);
    accept_allows(rest, BUSI_STR("application"), BUSI_STR("json"));
    struct busi_str token = bearer_token(rest);
    if (token.ptr && token.len == 0)
        abort();
    bearer_plausible(token);
    return 0;
}
