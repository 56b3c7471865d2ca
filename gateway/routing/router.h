/* Finds the row of routes.def for a method and a path. Pure: total over any bytes, no memory, any thread. */
#pragma once
#include "http/http.h"
#include "routing/surface.h"

struct exchange;
typedef void route_handler(struct exchange *x);
#define ROUTE(surface_, verb_, path_, who_, accept_, limit_, time_, handler_, help_)                         \
    route_handler on_##surface_##_##handler_;
#include "routing/routes.def"
#undef ROUTE

enum route_who { WHO_PUBLIC, WHO_BEARER, WHO_KNOWN };
enum route_accept { ACCEPT_JSON, ACCEPT_HTML, ACCEPT_ANY };
enum route_limit { LIMIT_SMALL, LIMIT_BUSINESS };
enum route_time { TIME_NORMAL, TIME_PASSWORD };

struct route {
    enum surface_id surface;
    unsigned methods;  /* it takes, or'ed: HEAD beside most GETs */
    const char *verb;  /* "GET" */
    const char *path;  /* without the surface's prefix */
    const char *label; /* "GET /api/businesses/:id", for metrics and logs */
    enum route_who who;
    const char *roles; /* one of these, with commas between; NULL: whatever the roles */
    bool owned;        /* what it is about has an owner */
    bool owner;        /* who may use it even without such a role */
    enum route_accept accept;
    enum route_limit limit;
    enum route_time time;
    route_handler *handler;
    const char *handler_name;
    const char *help;
};

enum {
    ROUTES = 0
#define ROUTE(...) +1
#include "routing/routes.def"
#undef ROUTE
};
extern const struct route routes[ROUTES];

/* Which surfaces are on, and below which prefix. */
struct router_options {
    bool on[SURFACES];
    struct busi_str prefix[SURFACES]; /* "" or "/name/name", see router_prefix_ok(); borrowed by the router */
    struct busi_str sign_out; /* path of ash_site's route in place of its row's, likewise; empty: none */
};
bool router_prefix_ok(struct busi_str prefix);
/* The path of a route behind its prefix. */
struct busi_str router_path(const struct router_options *options, const struct route *route);

struct router_row {
    struct busi_str segments[HTTP_MAX_SEGMENTS]; /* prefix and path; ":id" takes any */
    size_t n_segments;
    bool on;
};
struct router {
    struct router_row rows[ROUTES];
    struct router_row prefixes[SURFACES]; /* off: the surface is, or stands at the root */
};
/* A prefix that leaves no room for a path's segments switches that route off. */
void router_init(struct router *router, const struct router_options *options);

struct route_match {
    const struct route *route; /* NULL: no such path, or not with this method */
    const struct route *path;  /* route, or else the first row with this path; NULL: no such path */
    enum surface_id surface;   /* path's; without one that whose prefix it stands below, or the first */
    struct busi_str id;        /* what ":id" took, raw; absent without */
    unsigned methods; /* route NULL: every method this path has on the surface of its first row, or'ed */
};
/* path: raw bytes as sent, before any '?'. */
struct route_match router_match(const struct router *router, enum http_method method, struct busi_str path);
