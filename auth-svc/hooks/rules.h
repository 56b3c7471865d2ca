/* The settings BUSI_HOOK_SUBSCRIBERS and BUSI_HOOKS, read. Pure.
 *
 *   subscribers  "risk=risk.internal:7001 crm=10.0.0.5:7002,10.0.0.6:7002"
 *   hooks        "before_login=risk closed 300ms; after_login=crm; after_register=risk open 1s"
 *
 * A subscriber's name is that of its certificate, <BUSI_CURVE_SERVER_DIR>/<name>.pub. When an ASKED one is
 * away or late, a closed hook fails what it guards and an open one lets it pass; closed and 500ms if not
 * said. TOLD ones take no such words: they are told until they have answered. */
#pragma once
#include "base/str.h"

enum auth_event {
#define EVENT(name, kind) AUTH_EVENT_##name,
#include "hooks/events.def"
#undef EVENT
    AUTH_EVENTS
};
const char *auth_event_name(enum auth_event event);

enum { AUTH_SUBSCRIBERS_MOST = 8, AUTH_HOOKS_MOST = 32, AUTH_SUBSCRIBER_NAME_MOST = 32 };

struct auth_hook {
    enum auth_event event;
    size_t subscriber;   /* its place in the list */
    bool closed;         /* its absence counts as a refusal */
    int64_t deadline_ms; /* for its answer */
};
struct auth_hook_rules {
    struct {
        struct busi_str name, endpoints; /* borrowed from the settings */
    } subscribers[AUTH_SUBSCRIBERS_MOST];
    size_t n_subscribers;
    struct auth_hook hooks[AUTH_HOOKS_MOST]; /* in the order given, which is the order of asking */
    size_t n_hooks;
};
/* NULL: understood. Otherwise what is wrong (static), and in *culprit where (borrowed). */
[[nodiscard]] const char *auth_hook_rules_read(struct auth_hook_rules *rules, struct busi_str subscribers,
                                               struct busi_str hooks, struct busi_str *culprit);
