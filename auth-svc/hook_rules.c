#include "hook_rules.h"
#include "rpc/client.h"
#include "service/setting_type.h"

enum { DEADLINE_MS = 500, DEADLINE_LEAST_MS = 10, DEADLINE_MOST_MS = 3000 };

static const struct {
    const char *name;
    bool asked;
} events[AUTH_EVENTS] = {
#define ASKED true
#define TOLD false
#define EVENT(name, kind) {#name, kind},
#include "events.def"
#undef EVENT
#undef ASKED
#undef TOLD
};

const char *auth_event_name(enum auth_event event)
{
    return events[event].name;
}

bool auth_event_asked(enum auth_event event)
{
    return events[event].asked;
}

/* ---- words ---- */

static const char blanks[] = " \t\n";

/* The text before the first of separators; *rest becomes what is behind it. Absent: there is no more. */
static struct busi_str next(struct busi_str *rest, const char *separators)
{
    *rest = busi_str_trim(*rest, blanks);
    size_t n = 0;
    if (rest->len == 0)
        return (struct busi_str){0};
    while (n < rest->len && !strchr(separators, rest->ptr[n]))
        n++;
    struct busi_str text = busi_str_trim((struct busi_str){rest->ptr, n}, blanks);
    n += n < rest->len;
    *rest = (struct busi_str){rest->ptr + n, rest->len - n};
    return text;
}

/* "name=value" */
static bool cut_at_equals(struct busi_str text, struct busi_str *name, struct busi_str *value)
{
    const char *equals = text.len ? memchr(text.ptr, '=', text.len) : NULL;
    if (!equals)
        return false;
    *name = (struct busi_str){text.ptr, (size_t)(equals - text.ptr)};
    *value = (struct busi_str){equals + 1, text.len - name->len - 1};
    return name->len > 0 && value->len > 0;
}

/* It becomes a file's name. */
static bool is_name(struct busi_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = busi_lower(name.ptr[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
            return false;
    }
    return name.len > 0 && name.len <= AUTH_SUBSCRIBER_NAME_MOST;
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
    if (!cut_at_equals(text, &name, &endpoints) || !is_name(name))
        return "is not of the form name=host:port,host:port";
    if (!busi_rpc_endpoints_valid(endpoints))
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
    if (!cut_at_equals(next(&rest, blanks), &name, &subscriber))
        return "is not of the form event=subscriber [open|closed] [deadline]";
    if (!find_event(name, &hook.event))
        return "names an event there is not";
    hook.subscriber = find_subscriber(rules, subscriber);
    if (hook.subscriber == rules->n_subscribers)
        return "names a subscriber that BUSI_HOOK_SUBSCRIBERS does not";
    for (size_t i = 0; i < rules->n_hooks; i++)
        if (rules->hooks[i].event == hook.event && rules->hooks[i].subscriber == hook.subscriber)
            return "is there twice";
    while (!fault && (word = next(&rest, blanks)).ptr)
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
    while (!fault && (*culprit = next(&subscribers, blanks)).ptr)
        fault = read_subscriber(rules, *culprit);
    while (!fault && (*culprit = next(&hooks, ";")).ptr)
        fault = culprit->len ? read_hook(rules, *culprit) : NULL;
    return fault;
}
