#include "routing/router.h"

/* The words of the column `who`; another does not compile. */
#define MAY_PUBLIC .who = WHO_PUBLIC
#define MAY_BEARER .who = WHO_BEARER
#define MAY_KNOWN .who = WHO_KNOWN
#define MAY_OWNED .who = WHO_KNOWN, .owned = true
#define MAY_ROLE(names) .who = WHO_KNOWN, .roles = names
#define MAY_OWNER(names) .who = WHO_KNOWN, .roles = names, .owned = true, .owner = true

/* Those of the column `verb`. */
#define VERB(verb_, also, path_)                                                                             \
    .methods = HTTP_##verb_ | (also), .verb = #verb_, .path = path_, .label = #verb_ " " path_
#define BY_GET(path_) VERB(GET, HTTP_HEAD, path_)
#define BY_GET_ONLY(path_) VERB(GET, 0, path_)
#define BY_POST(path_) VERB(POST, 0, path_)
#define BY_PUT(path_) VERB(PUT, 0, path_)
#define BY_PATCH(path_) VERB(PATCH, 0, path_)
#define BY_DELETE(path_) VERB(DELETE, 0, path_)

#define ROUTE(surface_, verb_, path_, who_, accept_, limit_, time_, handler_, help_)                         \
    {.surface = SURFACE_##surface_,                                                                          \
     BY_##verb_(path_),                                                                                      \
     MAY_##who_,                                                                                             \
     .accept = ACCEPT_##accept_,                                                                             \
     .limit = LIMIT_##limit_,                                                                                \
     .time = TIME_##time_,                                                                                   \
     .handler = on_##surface_##_##handler_,                                                                  \
     .handler_name = #handler_,                                                                              \
     .help = help_},
const struct route routes[ROUTES] = {
#include "routing/routes.def"
};
#undef ROUTE

struct split {
    struct busi_str segments[HTTP_MAX_SEGMENTS];
    size_t n;
    bool strict; /* one slash before each segment, none at the end (but for "/" itself) */
};

/* False when path does not start with a slash or has too many segments. */
static bool split_path(struct busi_str path, struct split *out)
{
    *out = (struct split){.strict = true};
    if (path.len == 0 || path.ptr[0] != '/')
        return false;
    const char *at = path.ptr, *end = path.ptr + path.len;
    while (at < end) {
        at++; /* the slash */
        const char *slash = memchr(at, '/', (size_t)(end - at));
        const char *stop = slash ? slash : end;
        if (stop == at) {
            out->strict = out->strict && path.len == 1;
        } else {
            if (out->n == HTTP_MAX_SEGMENTS)
                return false;
            out->segments[out->n++] = (struct busi_str){at, (size_t)(stop - at)};
        }
        at = stop;
    }
    return true;
}

bool router_prefix_ok(struct busi_str prefix)
{
    struct split split;
    if (prefix.len == 0)
        return true;
    if (prefix.len == 1 || !split_path(prefix, &split) || !split.strict)
        return false;
    for (size_t i = 0; i < prefix.len; i++) {
        char c = prefix.ptr[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!word && c != '/' && c != '-' && c != '_')
            return false;
    }
    return true;
}

static void init_prefix(struct router_row *row, struct busi_str prefix, bool on)
{
    struct split split = {0};
    if (prefix.len == 0 || !split_path(prefix, &split))
        return;
    memcpy(row->segments, split.segments, split.n * sizeof split.segments[0]);
    row->n_segments = split.n;
    row->on = on;
}

struct busi_str router_path(const struct router_options *options, const struct route *route)
{
    if (route->handler == on_ash_site_sign_out && options->sign_out.len > 0)
        return options->sign_out;
    return busi_str_of(route->path);
}

void router_init(struct router *router, const struct router_options *options)
{
    *router = (struct router){0};
    for (size_t i = 0; i < SURFACES; i++)
        init_prefix(&router->prefixes[i], options->prefix[i], options->on[i]);
    for (size_t i = 0; i < ROUTES; i++) {
        struct router_row *row = &router->rows[i];
        struct split prefix = {0}, path = {0};
        struct busi_str text = options->prefix[routes[i].surface];
        bool fits = (text.len == 0 || split_path(text, &prefix)) &&
                    split_path(router_path(options, &routes[i]), &path) &&
                    prefix.n + path.n <= HTTP_MAX_SEGMENTS;
        if (!fits)
            continue;
        memcpy(row->segments, prefix.segments, prefix.n * sizeof prefix.segments[0]);
        memcpy(row->segments + prefix.n, path.segments, path.n * sizeof path.segments[0]);
        row->n_segments = prefix.n + path.n;
        row->on = options->on[routes[i].surface];
    }
}

/* Is it one of the texts with commas between? */
static bool is_listed(const char *list, struct busi_str text)
{
    for (const char *at = list; at && *at; at += strcspn(at, ","), at += *at == ',')
        if (busi_str_eq(text, (struct busi_str){at, strcspn(at, ",")}))
            return true;
    return false;
}

static bool same_path(const struct router_row *row, const struct split *path, const struct surface *surface,
                      struct busi_str *id)
{
    if (!row->on || row->n_segments != path->n)
        return false;
    *id = (struct busi_str){0};
    for (size_t i = 0; i < path->n; i++) {
        if (row->segments[i].ptr[0] == ':' && !is_listed(surface->not_ids, path->segments[i]))
            *id = path->segments[i];
        else if (!busi_str_eq(row->segments[i], path->segments[i]))
            return false;
    }
    return true;
}

static bool stands_below(const struct router_row *prefix, const struct split *path)
{
    if (!prefix->on || prefix->n_segments > path->n)
        return false;
    for (size_t i = 0; i < prefix->n_segments; i++)
        if (!busi_str_eq(prefix->segments[i], path->segments[i]))
            return false;
    return true;
}

/* The longest prefix is the one that was meant. */
static enum surface_id whose_path(const struct router *router, const struct split *path)
{
    size_t found = 0, n = 0;
    for (size_t i = 0; i < SURFACES; i++)
        if (router->prefixes[i].n_segments > n && stands_below(&router->prefixes[i], path)) {
            found = i;
            n = router->prefixes[i].n_segments;
        }
    return (enum surface_id)found;
}

struct route_match router_match(const struct router *router, enum http_method method, struct busi_str path)
{
    struct route_match match = {0};
    struct split split;
    if (!split_path(path, &split))
        return match;
    for (size_t i = 0; i < ROUTES && !match.route; i++) {
        struct busi_str id;
        const struct surface *surface = surface_get(routes[i].surface);
        if (!split.strict && !surface->any_slashes)
            continue;
        if (!same_path(&router->rows[i], &split, surface, &id))
            continue;
        if (!match.path)
            match.path = &routes[i];
        if (routes[i].surface == match.path->surface)
            match.methods |= routes[i].methods;
        if (routes[i].methods & method) {
            match.route = match.path = &routes[i];
            match.id = id;
        }
    }
    match.surface = match.path ? match.path->surface : whose_path(router, &split);
    return match;
}
