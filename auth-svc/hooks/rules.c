#include "hooks/rules.h"
#include "core/setting_words.h"
#include "rpc/client.h"
#include "rpc/endpoints.h"
#include "service/setting_type.h"

enum { DEADLINE_MS = 500, DEADLINE_LEAST_MS = 10, DEADLINE_MOST_MS = 3000 };

static const struct {
    const char *name;
    bool asked;
} events[AUTH_EVENTS] = {
#define ASKED true
#define TOLD false
#define EVENT(name, kind) {#name, kind},
#include "hooks/events.def"
#undef EVENT
#undef ASKED
#undef TOLD
};

const char *auth_event_name(enum auth_event event)
{
    return events[event].name;
}

/* ---- the two lists ---- */

static size_t find_subscriber(const struct auth_hook_rules *rules, struct busi_str name)
{
    size_t i = 0;
    while (i < rules->n_subscribers && !busi_str_eq(rules->subscribers[i].name, name))
        i++;
    return i;
}

static const char *read_subscriber(struct auth_hook_rules *rules, struct busi_str text)
{
    struct busi_str name, endpoints;
    if (!auth_words_cut(text, &name, &endpoints) || !auth_words_name(name, AUTH_SUBSCRIBER_NAME_MOST))
        return "is not of the form name=host:port,host:port";
    if (!busi_endpoints_valid(endpoints))
        return "must name workers, as name=host:port,host:port";
    if (find_subscriber(rules, name) < rules->n_subscribers)
        return "is there twice";
    if (rules->n_subscribers == AUTH_SUBSCRIBERS_MOST)
        return "is one subscriber too many, there may be 8";
    rules->subscribers[rules->n_subscribers].name = name;
    rules->subscribers[rules->n_subscribers++].endpoints = endpoints;
    return NULL;
}

static bool find_event(struct busi_str name, enum auth_event *event)
{
    for (int i = 0; i < AUTH_EVENTS; i++)
        if (busi_str_eq(name, busi_str_of(events[i].name))) {
            *event = (enum auth_event)i;
            return true;
        }
    return false;
}

static const char *read_word(struct auth_hook *hook, struct busi_str word)
{
    bool open = busi_str_eq(word, BUSI_STR("open"));
    if (open || busi_str_eq(word, BUSI_STR("closed"))) {
        hook->closed = !open;
        return NULL;
    }
    if (!busi_setting_type(BUSI_SETTING_MS)->parse(word, &hook->deadline_ms))
        return "has a word that is neither open, closed nor a time as 300ms";
    if (hook->deadline_ms < DEADLINE_LEAST_MS || hook->deadline_ms > DEADLINE_MOST_MS)
        return "has a deadline outside 10ms..3s";
    return NULL;
}

static const char *read_hook(struct auth_hook_rules *rules, struct busi_str text)
{
    struct busi_str rest = text, name, subscriber, word;
    struct auth_hook hook = {.closed = true, .deadline_ms = DEADLINE_MS};
    const char *fault = NULL;
    if (!auth_words_cut(auth_words_next(&rest, AUTH_BLANKS), &name, &subscriber))
        return "is not of the form event=subscriber [open|closed] [deadline]";
    if (!find_event(name, &hook.event))
        return "names an event there is not";
    hook.subscriber = find_subscriber(rules, subscriber);
    if (hook.subscriber == rules->n_subscribers)
        return "names a subscriber that BUSI_HOOK_SUBSCRIBERS does not";
    for (size_t i = 0; i < rules->n_hooks; i++)
        if (rules->hooks[i].event == hook.event && rules->hooks[i].subscriber == hook.subscriber)
            return "is there twice";
    while (!fault && (word = auth_words_next(&rest, AUTH_BLANKS)).ptr)
        fault = events[hook.event].asked ? read_word(&hook, word)
                                         : "takes no more words: this event is told until it is heard";
    if (!fault && rules->n_hooks == AUTH_HOOKS_MOST)
        fault = "is one hook too many, there may be 32";
    if (!fault)
        rules->hooks[rules->n_hooks++] = hook;
    return fault;
}

const char *auth_hook_rules_read(struct auth_hook_rules *rules, struct busi_str subscribers,
                                 struct busi_str hooks, struct busi_str *culprit)
{
    const char *fault = NULL;
    *rules = (struct auth_hook_rules){0};
    while (!fault && (*culprit = auth_words_next(&subscribers, AUTH_BLANKS)).ptr)
        fault = read_subscriber(rules, *culprit);
    while (!fault && (*culprit = auth_words_next(&hooks, ";")).ptr)
        fault = culprit->len ? read_hook(rules, *culprit) : NULL;
    return fault;
}
