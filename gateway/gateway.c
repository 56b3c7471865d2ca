#include "core/gateway.h"
#include "base/log.h"
#include "base/metrics.h"
#include "pipeline.h"
#include "rpc/endpoints.h"
#include "service/public_url.h"
#include "surfaces/magic_arguments.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    MOST_IN_FLIGHT = 512, /* calls per worker: below a worker's fibers, which two gateways share */
    TICK_MS = 50,
    WHO_WIDEST = 32, /* of a column of `gateway routes`; a rule may be longer */
};

struct router_options gateway_router_options(const struct busi_settings *settings)
{
    struct router_options options = {0};
#define SURFACE(name)                                                                                        \
    options.on[SURFACE_##name] = !settings || settings->surface_##name;                                      \
    if (settings)                                                                                            \
        options.prefix[SURFACE_##name] = settings->surface_##name##_prefix;
#include "routing/surfaces.def"
#undef SURFACE
    if (settings)
        options.sign_out = settings->ash_sign_out;
    options.on[SURFACE_ash_site] = options.on[SURFACE_ash_site] && options.on[SURFACE_ash];
    options.on[SURFACE_pages] =
        options.on[SURFACE_pages] && (options.on[SURFACE_accesspass] || options.on[SURFACE_ash]);
    options.on[SURFACE_account] = options.on[SURFACE_account] && options.on[SURFACE_ash];
    return options;
}

/* Columns of `gateway routes`, in characters. */
struct widths {
    size_t path, handler, who;
};

static void widen(size_t *width, size_t n)
{
    *width = n > *width ? n : *width;
}

static struct widths measure(const struct router_options *options, const struct guard_rules *rules)
{
    struct widths widths = {0};
    struct busi_buf who;
    busi_buf_init(&who, GUARD_CONDITIONS_MOST * 4096);
    for (size_t i = 0; i < ROUTES; i++) {
        if (!options->on[routes[i].surface])
            continue;
        busi_buf_clear(&who);
        guard_rules_print(&who, rules, &routes[i]);
        widen(&widths.path, options->prefix[routes[i].surface].len + router_path(options, &routes[i]).len);
        widen(&widths.handler, strlen(routes[i].handler_name));
        widen(&widths.who, who.len < WHO_WIDEST ? who.len : WHO_WIDEST);
    }
    busi_buf_fini(&who);
    return widths;
}

void gateway_print_routes(struct busi_buf *out, const struct router_options *options,
                          const struct guard_rules *rules)
{
    const struct widths widths = measure(options, rules);
    for (size_t i = 0; i < ROUTES; i++) {
        const struct route *route = &routes[i];
        struct busi_str prefix = options->prefix[route->surface], path = router_path(options, route);
        if (!options->on[route->surface])
            continue;
        busi_buf_printf(out, "%12s  %-6s  %.*s%.*s%-*s  %-*s  ", surface_get(route->surface)->name,
                        route->verb, BUSI_ARG(prefix), BUSI_ARG(path),
                        (int)(widths.path - prefix.len - path.len), "", (int)widths.handler,
                        route->handler_name);
        size_t begun = out->len;
        guard_rules_print(out, rules, route);
        while (out->len - begun < widths.who && !out->failed)
            busi_buf_char(out, ' ');
        busi_buf_printf(out, "  %s\n", route->help);
    }
}

static bool check_prefix(struct busi_str value, const char *surface, struct busi_buf *errors)
{
    if (router_prefix_ok(value))
        return true;
    busi_buf_printf(errors, "BUSI_SURFACE_");
    for (const char *at = surface; *at; at++)
        busi_buf_char(errors, *at >= 'a' && *at <= 'z' ? (char)(*at - 'a' + 'A') : *at);
    busi_buf_printf(
        errors, "_PREFIX: must be empty or a path as /name, of letters, digits, hyphens and underscores\n");
    return false;
}

static bool check_prefixes(const struct router_options *options, struct busi_buf *errors)
{
    bool ok = true;
    for (int i = 0; i < SURFACES; i++)
        ok = check_prefix(options->prefix[i], surface_get((enum surface_id)i)->name, errors) && ok;
    return ok;
}

static int run_routes(const struct busi_settings *settings, int argc, char **argv)
{
    struct busi_buf out, errors;
    struct guard_rules rules;
    struct router_options options = gateway_router_options(settings);
    (void)argc;
    (void)argv;
    busi_buf_init(&out, 1024 * 1024);
    busi_buf_init(&errors, 64 * 1024);
    bool fine = check_prefixes(&options, &errors);
    fine = guard_rules_read(&rules, settings->guard_rules, &options, &errors) && fine;
    if (fine)
        gateway_print_routes(&out, &options, &rules);
    else
        fprintf(stderr, "%.*s", (int)errors.len, errors.ptr);
    fine = fine && !out.failed && fwrite(out.ptr, 1, out.len, stdout) == out.len && fflush(stdout) == 0;
    busi_buf_fini(&errors);
    busi_buf_fini(&out);
    return fine ? 0 : 1;
}

static bool check_endpoints(struct busi_str value, const char *name, struct busi_buf *errors)
{
    bool valid = busi_endpoints_valid(value);
    if (!valid)
        busi_buf_printf(errors, "%s: must name at least one worker, as host:port,host:port\n", name);
    return valid;
}

static bool check_proxies(const struct busi_settings *settings, struct busi_buf *errors)
{
    struct proxies proxies;
    struct busi_str bad;
    bool known = proxies_write(&(struct proxies){0}, settings->forwarded_header);
    if (!known)
        busi_buf_printf(errors, "BUSI_FORWARDED_HEADER: '%.*s' is neither x-forwarded-for nor forwarded\n",
                        BUSI_ARG(settings->forwarded_header));
    if (proxies_init(&proxies, settings->trusted_proxies, &bad))
        return known;
    if (bad.ptr)
        busi_buf_printf(
            errors,
            "BUSI_TRUSTED_PROXIES: '%.*s' is no network, as 10.0.0.0/8 or 2001:db8::1, or is wider than "
            "/8 (IPv6: /7)\n",
            BUSI_ARG(bad));
    else
        busi_buf_printf(errors, "BUSI_TRUSTED_PROXIES: names more than %d networks\n", PROXIES_MOST);
    return false;
}

static bool check_origins(struct busi_str list, struct busi_buf *errors)
{
    struct origins cors;
    struct busi_str bad;
    if (origins_init(&cors, list, &bad))
        return true;
    if (bad.ptr)
        busi_buf_printf(errors, "BUSI_CORS_ORIGINS: '%.*s' is no origin, as https://app.example.com\n",
                        BUSI_ARG(bad));
    else
        busi_buf_printf(errors, "BUSI_CORS_ORIGINS: names more than %d origins\n", ORIGINS_MOST);
    return false;
}

static bool check_frontends(struct busi_str list, struct busi_buf *errors)
{
    struct busi_str bad;
    if (magic_urls_valid(list, &bad))
        return true;
    busi_buf_printf(errors, "BUSI_MAGIC_FRONTEND_URLS: '%.*s' is not like https://app.example.com/confirm\n",
                    BUSI_ARG(bad));
    return false;
}

/* The front gives bodies half of that memory, and each takes twice its size. */
static bool check_large(const struct busi_settings *settings, struct busi_buf *errors)
{
    if (settings->http_large_memory >= 4 * settings->http_body_limit &&
        settings->http_large_memory >= 4 * settings->http_business_body_limit)
        return true;
    busi_buf_printf(errors, "BUSI_HTTP_LARGE_MEMORY: must be at least four times BUSI_HTTP_BODY_LIMIT and "
                            "BUSI_HTTP_BUSINESS_BODY_LIMIT, or no such body could ever be taken\n");
    return false;
}

/* A path, and one that no other route has. */
static bool check_sign_out(const struct router_options *options, struct busi_buf *errors)
{
    struct router_options others = *options;
    struct router router;
    char path[512];
    others.on[SURFACE_ash_site] = false;
    router_init(&router, &others);
    snprintf(path, sizeof path, "%.*s%.*s", BUSI_ARG(options->prefix[SURFACE_ash_site]),
             BUSI_ARG(options->sign_out));
    bool taken = options->on[SURFACE_ash_site] && router_match(&router, HTTP_GET, busi_str_of(path)).path;
    if (options->sign_out.len > 0 && router_prefix_ok(options->sign_out) && !taken)
        return true;
    busi_buf_printf(errors, "BUSI_ASH_SIGN_OUT: '%.*s' is %s\n", BUSI_ARG(options->sign_out),
                    taken ? "the path of another route" : "no path as /sign-out");
    return false;
}

static bool check(const struct busi_settings *settings, struct busi_buf *errors)
{
    struct router_options options = gateway_router_options(settings);
    bool ok = check_endpoints(settings->auth_endpoints, "BUSI_AUTH_ENDPOINTS", errors);
    ok = check_endpoints(settings->directory_endpoints, "BUSI_DIRECTORY_ENDPOINTS", errors) && ok;
    ok = check_proxies(settings, errors) && ok;
    ok = check_origins(settings->cors_origins, errors) && ok;
    if (!busi_public_url_valid(settings->base_url)) {
        busi_buf_printf(errors,
                        "BUSI_BASE_URL: '%.*s' is not like https://example.com, without a slash at its end\n",
                        BUSI_ARG(settings->base_url));
        ok = false;
    }
    ok = check_frontends(settings->magic_frontend_urls, errors) && ok;
    if (!http_front_bind_valid(settings->http_bind)) {
        busi_buf_printf(errors, "BUSI_HTTP_BIND: '%.*s' is not an IPv4 address\n",
                        BUSI_ARG(settings->http_bind));
        ok = false;
    }
    ok = check_large(settings, errors) && ok;
    if (settings->curve_key_file.len && !settings->curve_server_dir.len) {
        busi_buf_printf(errors, "BUSI_CURVE_SERVER_DIR: needed together with BUSI_CURVE_KEY_FILE\n");
        ok = false;
    }
    ok = check_prefixes(&options, errors) && ok;
    ok = check_sign_out(&options, errors) && ok;
    struct page_site *site = page_site_new(settings, &options, errors);
    ok = site && ok;
    page_site_free(&site);
    struct guard_rules rules;
    return guard_rules_read(&rules, settings->guard_rules, &options, errors) && ok;
}

static bool open_client(struct gateway *gateway, struct busi_process *process, const char **error)
{
    const struct busi_settings *settings = process->settings;
    struct busi_str dir = settings->curve_server_dir;
    char auth_key[1100], directory_key[1100];
    snprintf(auth_key, sizeof auth_key, "%.*s/auth-svc.pub", BUSI_ARG(dir));
    snprintf(directory_key, sizeof directory_key, "%.*s/directory-svc.pub", BUSI_ARG(dir));
    const struct busi_rpc_target targets[] = {
        {"auth", settings->auth_endpoints, busi_str_of(dir.len ? auth_key : NULL)},
        {"directory", settings->directory_endpoints, busi_str_of(dir.len ? directory_key : NULL)},
    };
    const struct busi_rpc_client_options options = {.targets = targets,
                                                    .n_targets = sizeof targets / sizeof targets[0],
                                                    .curve = process->curve,
                                                    .max_in_flight = MOST_IN_FLIGHT,
                                                    .refusals_are_ours = true};
    gateway->rpc = busi_rpc_client_new(process->loop, &options, error);
    return gateway->rpc != NULL;
}

static bool open_histograms(struct gateway *gateway)
{
    const char *name = "busi_http_request_duration_seconds";
    const char *help = "Time from a request's head to its answer";
    for (size_t i = 0; i < ROUTES; i++) {
        gateway->histograms[i] = busi_histogram_new(name, help, "route", routes[i].label);
        if (!gateway->histograms[i])
            return false;
    }
    gateway->unmatched = busi_histogram_new(name, help, "route", "none");
    return gateway->unmatched != NULL;
}

static bool open_front(struct gateway *gateway, const char **error)
{
    const struct http_front_options options = {.settings = gateway->settings,
                                               .app = {.state = gateway,
                                                       .body_limit = pipeline_body_limit,
                                                       .answer = pipeline_answer,
                                                       .refuse = pipeline_refuse,
                                                       .done = pipeline_done}};
    gateway->front = http_front_open(&options, error);
    return gateway->front != NULL;
}

static bool open_sessions(struct gateway *gateway, struct busi_process *process)
{
    gateway->sessions = session_cache_new((size_t)gateway->settings->session_cache);
    if (gateway->sessions)
        gateway->watch = session_watch_new(process->loop, process->fibers, gateway->rpc, gateway->sessions);
    return gateway->watch != NULL;
}

static void on_tick(void *arg)
{
    struct gateway *gateway = arg;
    http_front_tend(gateway->front);
}

static bool start_tick(struct gateway *gateway, struct busi_loop *loop)
{
    gateway->tick = busi_loop_every(loop, TICK_MS, on_tick, gateway);
    return gateway->tick != NULL;
}

/* The front goes first: its threads use all else. */
static void stop(void *state)
{
    struct gateway *gateway = state;
    busi_timer_free(&gateway->tick);
    if (gateway->front)
        http_front_close(&gateway->front);
    session_watch_free(&gateway->watch);
    session_cache_free(&gateway->sessions);
    page_site_free(&gateway->site);
    if (gateway->rpc)
        busi_rpc_client_free(&gateway->rpc);
    free(gateway);
}

/* check() has read them once: they are fine. But a theme's files may have changed since. */
static bool read_rules(struct gateway *gateway, const struct router_options *options, const char **error)
{
    struct busi_buf errors;
    busi_buf_init(&errors, 4096);
    (void)!guard_rules_read(&gateway->rules, gateway->settings->guard_rules, options, &errors);
    gateway->site = page_site_new(gateway->settings, options, &errors);
    busi_buf_fini(&errors);
    if (!gateway->site)
        *error = "the theme of pages cannot be read";
    return gateway->site != NULL;
}

static void *start(struct busi_process *process)
{
    struct gateway *gateway = calloc(1, sizeof *gateway);
    const char *error = "out of memory";
    if (!gateway)
        return NULL;
    gateway->settings = process->settings;
    struct router_options options = gateway_router_options(process->settings);
    router_init(&gateway->router, &options);
    (void)!proxies_init(&gateway->proxies, process->settings->trusted_proxies, &(struct busi_str){0});
    (void)!proxies_write(&gateway->proxies, process->settings->forwarded_header);
    (void)!origins_init(&gateway->cors, process->settings->cors_origins, &(struct busi_str){0});
    if (read_rules(gateway, &options, &error) && open_histograms(gateway) &&
        open_client(gateway, process, &error) && open_sessions(gateway, process) &&
        open_front(gateway, &error) && start_tick(gateway, process->loop)) {
        busi_log(BUSI_INFO, "listening", BUSI_S("bind", process->settings->http_bind),
                 BUSI_I("port", http_front_port(gateway->front)));
        return gateway;
    }
    busi_log(BUSI_ERR, "cannot_start", BUSI_C("why", error));
    stop(gateway);
    return NULL;
}

static bool ready(void *state)
{
    const struct gateway *gateway = state;
    return busi_rpc_client_ready(gateway->rpc);
}

static void leave(void *state)
{
    const struct gateway *gateway = state;
    http_front_leave(gateway->front);
}

static void drain(void *state)
{
    const struct gateway *gateway = state;
    http_front_drain(gateway->front);
    session_watch_stop(gateway->watch);
}

static bool idle(void *state)
{
    const struct gateway *gateway = state;
    return http_front_busy(gateway->front) == 0 && session_watch_stopped(gateway->watch);
}

const struct busi_service *gateway_service(void)
{
    static const struct busi_command commands[] = {
        {.name = "routes", .help = "print the table of routes", .run = run_routes}};
    static const struct busi_service service = {
        .name = "gateway",
        .summary = "HTTP in front of busi's services",
        .user = BUSI_USER_G,
        .commands = commands,
        .n_commands = sizeof commands / sizeof commands[0],
        .check = check,
        .start = start,
        .ready = ready,
        .leave = leave,
        .drain = drain,
        .idle = idle,
        .stop = stop,
    };
    return &service;
}
