#include "base/json_text.h"
#include "base/roles.h"
#include "routing/guard_rules.h"

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

static bool is_path(struct busi_str path, struct busi_str prefix, struct busi_str of_route)
{
    return path.len == prefix.len + of_route.len && busi_str_starts(path, prefix) &&
           memcmp(path.ptr + prefix.len, of_route.ptr, of_route.len) == 0;
}

/* Marks the routes this rule is for. */
static bool find_routes(const struct reading *in, struct busi_str method, struct busi_str path,
                        bool found[ROUTES])
{
    bool any = false;
    for (size_t i = 0; i < ROUTES; i++) {
        const struct route *route = &routes[i];
        found[i] = in->options->on[route->surface] &&
                   is_path(path, in->options->prefix[route->surface], router_path(in->options, route)) &&
                   (busi_str_eq(method, BUSI_STR("*")) || busi_str_eq(method, busi_str_of(route->verb)));
        any = any || found[i];
    }
    return any;
}

static bool read_number(struct busi_str text, struct param *out)
{
    struct busi_json_reader in = {text.ptr, text.ptr + text.len};
    bool integer;
    if (!busi_json_take_number(&in, &out->text, &integer) || in.at != in.end)
        return false;
    out->type = integer ? PARAM_INT : PARAM_REAL;
    return !integer || busi_json_integer(out->text, &out->number);
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

static struct busi_str behind(struct busi_str text, struct busi_str prefix)
{
    return (struct busi_str){text.ptr + prefix.len, text.len - prefix.len};
}

/* "KEY=VALUE" */
static bool read_meta(struct busi_str text, struct guard_condition *out)
{
    const char *equals = text.len ? memchr(text.ptr, '=', text.len) : NULL;
    if (!equals)
        return false;
    out->kind = GUARD_META;
    out->key = (struct busi_str){text.ptr, (size_t)(equals - text.ptr)};
    return out->key.len > 0 &&
           read_value((struct busi_str){equals + 1, text.len - out->key.len - 1}, &out->value);
}

static bool read_roles(struct busi_str text, struct guard_condition *out)
{
    out->kind = GUARD_ROLES;
    out->roles = text;
    struct busi_str rest = text;
    for (struct busi_str name = busi_roles_next(&rest); name.ptr; name = busi_roles_next(&rest))
        if (!busi_role_name_valid(name))
            return false;
    return text.len > 0 && text.ptr[text.len - 1] != ',';
}

static bool read_condition(struct busi_str word, struct guard_condition *out)
{
    const struct busi_str meta = BUSI_STR("meta."), role = BUSI_STR("role="),
                          or_role = BUSI_STR("owner|role=");
    out->text = word;
    if (busi_str_starts(word, meta))
        return read_meta(behind(word, meta), out);
    if (busi_str_starts(word, role))
        return read_roles(behind(word, role), out);
    if (busi_str_eq(word, BUSI_STR("confirmed"))) {
        out->kind = GUARD_CONFIRMED;
        return true;
    }
    out->kind = GUARD_ROLES;
    out->owner = true;
    return busi_str_eq(word, BUSI_STR("owner")) ||
           (busi_str_starts(word, or_role) && read_roles(behind(word, or_role), out));
}

static bool all_owned(const bool found[ROUTES])
{
    for (size_t i = 0; i < ROUTES; i++)
        if (found[i] && !routes[i].owned)
            return false;
    return true;
}

/* What the whole rule says of its routes. */
static void mark(struct guard_rules *rules, const bool found[ROUTES], bool plugged, bool judges_roles)
{
    for (size_t i = 0; i < ROUTES; i++) {
        rules->named[i] = rules->named[i] || found[i];
        rules->plugged[i] = rules->plugged[i] || (found[i] && plugged);
        rules->judges_roles[i] = rules->judges_roles[i] || (found[i] && judges_roles);
    }
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
    size_t n_plugs = 0, n_roles = 0;
    for (struct busi_str word = take_word(in); word.len > 0; word = take_word(in)) {
        struct guard_condition condition = {0};
        if (!read_condition(word, &condition))
            return fault(in, "no condition", word);
        if (condition.owner && !all_owned(found))
            return fault(in, "nothing has an owner at", whole);
        if (!add(in, found, condition))
            return fault(in, "too many conditions from", word);
        n_plugs += condition.kind != GUARD_ROLES;
        n_roles += condition.kind == GUARD_ROLES;
    }
    mark(in->rules, found, n_plugs > 0 || n_roles == 0, n_roles > 0);
    return true;
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
