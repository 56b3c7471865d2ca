#include "guard_rules.h"
#include "json_text.h"

/* ---- reading ---- */

struct reading {
    struct guard_rules *rules;
    const struct router_options *options;
    struct busi_buf *errors;
    const char *at, *end; /* unread */
};

static bool fault(struct reading *in, const char *what, struct busi_str culprit)
{
    busi_buf_printf(in->errors, "BUSI_GUARD_RULES: %s '%.*s'\n", what, BUSI_ARG(culprit));
    return false;
}

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

/* The next word of this rule, empty at its end. Quotes keep blanks and semicolons together. */
static struct busi_str take_word(struct reading *in)
{
    bool quoted = false;
    while (in->at < in->end && blank(*in->at))
        in->at++;
    const char *begin = in->at;
    for (; in->at < in->end && (quoted || (!blank(*in->at) && *in->at != ';')); in->at++)
        quoted ^= *in->at == '"';
    return (struct busi_str){begin, (size_t)(in->at - begin)};
}

static bool is_path(struct busi_str path, struct busi_str prefix, const char *of_route)
{
    size_t n = strlen(of_route);
    return path.len == prefix.len + n && busi_str_starts(path, prefix) &&
           memcmp(path.ptr + prefix.len, of_route, n) == 0;
}

/* Marks the routes this rule is for. */
static bool find_routes(const struct reading *in, struct busi_str method, struct busi_str path,
                        bool found[ROUTES])
{
    bool any = false;
    for (size_t i = 0; i < ROUTES; i++) {
        const struct route *route = &routes[i];
        found[i] = in->options->on[route->surface] &&
                   is_path(path, in->options->prefix[route->surface], route->path) &&
                   (busi_str_eq(method, BUSI_STR("*")) || busi_str_eq(method, busi_str_of(route->verb)));
        any = any || found[i];
    }
    return any;
}

static bool read_number(struct busi_str text, struct param *out)
{
    struct json_reader in = {text.ptr, text.ptr + text.len};
    bool integer;
    if (!json_take_number(&in, &out->text, &integer) || in.at != in.end)
        return false;
    out->type = integer ? PARAM_INT : PARAM_REAL;
    return !integer || json_integer(out->text, &out->number);
}

static bool read_value(struct busi_str text, struct param *out)
{
    *out = (struct param){.type = PARAM_TEXT, .text = text};
    const char *quote = text.len ? memchr(text.ptr, '"', text.len) : NULL;
    if (quote) {
        bool whole = text.len >= 2 && quote == text.ptr &&
                     memchr(text.ptr + 1, '"', text.len - 1) == text.ptr + text.len - 1;
        out->text = (struct busi_str){text.ptr + 1, text.len - 2};
        return whole;
    }
    bool yes = busi_str_eq(text, BUSI_STR("true"));
    struct param number = {0};
    if (yes || busi_str_eq(text, BUSI_STR("false")))
        *out = (struct param){.type = PARAM_BOOL, .number = yes};
    else if (read_number(text, &number))
        *out = number;
    return text.len > 0;
}

static bool read_condition(struct busi_str word, struct guard_condition *out)
{
    const struct busi_str meta = BUSI_STR("meta.");
    if (busi_str_eq(word, BUSI_STR("confirmed"))) {
        out->key = (struct busi_str){0};
        return true;
    }
    const char *equals = busi_str_starts(word, meta) ? memchr(word.ptr, '=', word.len) : NULL;
    if (!equals)
        return false;
    const char *key = word.ptr + meta.len, *value = equals + 1;
    out->key = (struct busi_str){key, (size_t)(equals - key)};
    return out->key.len > 0 &&
           read_value((struct busi_str){value, (size_t)(word.ptr + word.len - value)}, &out->value);
}

static bool add(struct reading *in, const bool found[ROUTES], struct guard_condition condition)
{
    struct guard_rules *rules = in->rules;
    for (size_t i = 0; i < ROUTES; i++) {
        if (!found[i])
            continue;
        if (rules->n == GUARD_CONDITIONS_MOST)
            return false;
        condition.route = i;
        rules->list[rules->n++] = condition;
    }
    return true;
}

static bool read_rule(struct reading *in)
{
    bool found[ROUTES];
    struct busi_str method = take_word(in);
    if (method.len == 0)
        return true;
    struct busi_str path = take_word(in), whole = {method.ptr, (size_t)(path.ptr + path.len - method.ptr)};
    if (!find_routes(in, method, path, found))
        return fault(in, "no route (see `gateway routes`)", whole);
    for (size_t i = 0; i < ROUTES; i++)
        in->rules->named[i] = in->rules->named[i] || found[i];
    for (;;) {
        struct busi_str word = take_word(in);
        struct guard_condition condition = {0};
        if (word.len == 0)
            return true;
        if (!read_condition(word, &condition))
            return fault(in, "no condition", word);
        if (!add(in, found, condition))
            return fault(in, "too many conditions from", word);
    }
}

bool guard_rules_read(struct guard_rules *rules, struct busi_str text, const struct router_options *options,
                      struct busi_buf *errors)
{
    struct reading in = {.rules = rules,
                         .options = options,
                         .errors = errors,
                         .at = text.ptr,
                         .end = text.len ? text.ptr + text.len : text.ptr};
    bool ok = true;
    *rules = (struct guard_rules){0};
    while (in.at < in.end) {
        ok = read_rule(&in) && ok;
        while (take_word(&in).len > 0) /* what follows a fault */
            ;
        if (in.at < in.end)
            in.at++; /* the semicolon */
    }
    return ok;
}

/* ---- judging ---- */

static bool same_value(const struct param *have, const struct param *want)
{
    if (!have || have->type != want->type)
        return false;
    if (want->type == PARAM_INT || want->type == PARAM_BOOL)
        return have->number == want->number;
    return busi_str_eq(have->text, want->text);
}

/* The member of this name, as param_find() finds those whose name we know when we write it. */
static const struct param *find_member(const struct param *object, struct busi_str name)
{
    for (const struct param *member = object ? object->children : NULL; member; member = member->next)
        if (busi_str_eq(member->name, name))
            return member;
    return NULL;
}

enum guard_verdict guard_rules_judge(const struct guard_rules *rules, const struct route *route,
                                     const struct busi_principal *principal, struct busi_arena *arena)
{
    struct param *meta = NULL;
    for (size_t i = 0; i < rules->n; i++) {
        const struct guard_condition *condition = &rules->list[i];
        if (condition->route != (size_t)(route - routes))
            continue;
        if (!condition->key.ptr) {
            if (!principal->email_confirmed)
                return GUARD_NOT_CONFIRMED;
            continue;
        }
        if (!meta && params_json(arena, principal->meta, &meta) != PARAMS_OK)
            meta = NULL;
        if (!same_value(find_member(meta, condition->key), &condition->value))
            return GUARD_UNAUTHORIZED;
    }
    return GUARD_PASSES;
}
