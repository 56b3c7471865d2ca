#include "surfaces/magic_arguments.h"
#include "base/roles.h"
#include "base/text.h"
#include "core/gateway.h"
#include "params/fields.h"
#include "surfaces/magic_date.h"
#include "surfaces/magic_shape.h"

enum { PASSWORD_MOST = 1024, URL_MOST = 1024 }; /* bytes */

#define TEXT(most_) .kind = MAGIC_TEXT, .most = most_
#define NAME(pattern, most_) .kind = MAGIC_NAME, .words = pattern, .least = 1, .most = most_
#define PASSWORD(least_) .kind = MAGIC_PASSWORD, .least = least_, .most = PASSWORD_MOST
#define SECRET(most_) .kind = MAGIC_SECRET, .most = most_
#define ENUM(words_) .kind = MAGIC_ENUM, .words = words_
#define INTEGER(least_, most_) .kind = MAGIC_INTEGER, .least = least_, .most = most_
#define DATE .kind = MAGIC_DATE
#define URL .kind = MAGIC_URL, .most = URL_MOST
#define OBJECT .kind = MAGIC_OBJECT
static const struct magic_argument rows[] = {
#define ARGUMENT(handler_, name_, need_, ...)                                                                \
    {.handler = on_magic_##handler_, .name = name_, .need = MAGIC_##need_, __VA_ARGS__},
#include "surfaces/magic_arguments.def"
#undef ARGUMENT
};
enum { ROWS = sizeof rows / sizeof rows[0] };

/* ---- where they are ---- */

static bool in_query(const struct exchange *x)
{
    return x->route->methods & (HTTP_GET | HTTP_DELETE);
}

static const struct param *given(const struct exchange *x)
{
    return in_query(x) ? x->query : x->body;
}

static const struct param *find(const struct exchange *x, const char *name)
{
    const struct param *value = param_find(given(x), name);
    return value && value->type != PARAM_NULL ? value : NULL;
}

struct busi_str magic_text(const struct exchange *x, const char *name)
{
    const struct param *value = find(x, name);
    if (!value || value->type != PARAM_TEXT)
        return (struct busi_str){0};
    return value->text.ptr ? value->text : BUSI_STR("");
}

static bool read_integer(const struct param *value, int64_t *out)
{
    if (value->type == PARAM_TEXT)
        return busi_str_int(value->text, out);
    *out = value->number;
    return value->type == PARAM_INT;
}

int64_t magic_integer(const struct exchange *x, const char *name, int64_t otherwise)
{
    const struct param *value = find(x, name);
    int64_t number;
    return value && read_integer(value, &number) ? number : otherwise;
}

int64_t magic_date(const struct exchange *x, const char *name, int64_t otherwise)
{
    int64_t us;
    return magic_date_read(magic_text(x, name), &us) ? us : otherwise;
}

const struct param *magic_object(const struct exchange *x, const char *name)
{
    const struct param *value = find(x, name);
    return value && value->type == PARAM_OBJECT ? value : NULL;
}

/* ---- what is wrong with one: answers, and is false ---- */

static bool refuse(struct exchange *x, const struct magic_argument *row, const char *what)
{
    struct busi_str name = busi_str_of(row->name);
    magic_refuse(x, 400, name, "%s for [%s]", what, row->name);
    return false;
}

/* With the value in it, as Magic does it. */
static bool refuse_value(struct exchange *x, const struct magic_argument *row, struct busi_str value,
                         const char *what)
{
    struct busi_str name = busi_str_of(row->name), shown = fields_cut(value, MAGIC_SHOWN_MOST);
    magic_refuse(x, 400, name, "'%.*s' %s for [%s]", BUSI_ARG(shown), what, row->name);
    return false;
}

static bool refuse_missing(struct exchange *x, const struct magic_argument *row)
{
    magic_refuse(x, 400, busi_str_of(row->name), "Mandatory argument '%s' not given", row->name);
    return false;
}

static bool refuse_length(struct exchange *x, const struct magic_argument *row)
{
    magic_refuse(x, 400, busi_str_of(row->name),
                 "Not a valid string between %lld and %lld in length for [%s]", (long long)row->least,
                 (long long)row->most, row->name);
    return false;
}

/* ['a', 'b'] of "a,b" */
static struct busi_str list_words(struct busi_arena *arena, struct busi_str words)
{
    struct busi_str list = BUSI_STR("["), left = words;
    for (struct busi_str word = busi_roles_next(&left); word.ptr; word = busi_roles_next(&left))
        list = busi_arena_printf(arena, "%.*s%s'%.*s'", BUSI_ARG(list), list.len > 1 ? ", " : "",
                                 BUSI_ARG(word));
    return busi_arena_printf(arena, "is not a valid enum of %.*s]", BUSI_ARG(list));
}

static bool check_enum(struct exchange *x, const struct magic_argument *row, struct busi_str text)
{
    struct busi_str words = busi_str_of(row->words), left = words;
    for (struct busi_str word = busi_roles_next(&left); word.ptr; word = busi_roles_next(&left))
        if (busi_str_eq(word, text))
            return true;
    struct busi_str what = list_words(&x->request->call.arena, words);
    return refuse_value(x, row, text, what.ptr ? what.ptr : "is not a valid enum");
}

static bool check_name(struct exchange *x, const struct magic_argument *row, struct busi_str text)
{
    if (busi_role_name_valid(text))
        return true;
    if (text.len > (size_t)row->most)
        return refuse_length(x, row);
    struct busi_str what = busi_arena_printf(&x->request->call.arena,
                                             "does not conform to regular expression of '%s'", row->words);
    return refuse_value(x, row, text, what.ptr ? what.ptr : "is not a valid name");
}

static bool check_text(struct exchange *x, const struct magic_argument *row, struct busi_str text)
{
    const struct busi_settings *settings = x->gateway->settings;
    int64_t us;
    switch (row->kind) {
    case MAGIC_ENUM:
        return check_enum(x, row, text);
    case MAGIC_NAME:
        return check_name(x, row, text);
    case MAGIC_DATE:
        return magic_date_read(text, &us) || refuse_value(x, row, text, "is not a valid date");
    case MAGIC_URL:
        return magic_url_allowed(text, settings->magic_frontend_urls, settings->base_url) ||
               refuse_value(x, row, text, "is not a valid URL");
    default:
        break;
    }
    bool fits =
        text.len <= (size_t)row->most && (row->least == 0 || busi_utf8_length(text) >= (size_t)row->least);
    return fits || refuse_length(x, row);
}

static bool check_integer(struct exchange *x, const struct magic_argument *row, const struct param *value)
{
    int64_t number;
    if (read_integer(value, &number) && number >= row->least && number <= row->most)
        return true;
    return refuse_value(x, row, value->text, "is not a valid integer");
}

static bool check_value(struct exchange *x, const struct magic_argument *row, const struct param *value)
{
    if (row->kind == MAGIC_INTEGER)
        return check_integer(x, row, value);
    if (row->kind == MAGIC_OBJECT)
        return value->type == PARAM_OBJECT || refuse(x, row, "Not a valid object");
    if (value->type != PARAM_TEXT)
        return refuse(x, row, "Not a valid string");
    return check_text(x, row, value->text.ptr ? value->text : BUSI_STR(""));
}

/* ---- all of a request ---- */

static bool is_allowed(const struct exchange *x, const struct magic_argument *row)
{
    return row->need != MAGIC_CREDENTIAL || x->gateway->settings->magic_query_credentials;
}

static bool is_declared(const struct exchange *x, struct busi_str name)
{
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].handler == x->route->handler && busi_str_eq(name, busi_str_of(rows[i].name)))
            return is_allowed(x, &rows[i]);
    return false;
}

static bool refuse_unknown(struct exchange *x, struct busi_str name, const char *what)
{
    struct busi_str shown = fields_cut(name, MAGIC_SHOWN_MOST);
    magic_refuse(x, 400, shown, "I don't know how to handle the '%.*s' %s", BUSI_ARG(shown), what);
    return false;
}

static bool check_names(struct exchange *x)
{
    const bool query = in_query(x), token = x->gateway->settings->magic_query_credentials;
    for (const struct param *at = x->query->children; at; at = at->next)
        if (!(query && is_declared(x, at->name)) &&
            !(token && busi_str_eq(at->name, BUSI_STR("access_token"))))
            return refuse_unknown(x, at->name, "query parameter");
    for (const struct param *at = x->body->children; at; at = at->next)
        if (query || !is_declared(x, at->name))
            return refuse_unknown(x, at->name, "argument");
    return true;
}

bool magic_arguments_check(struct exchange *x)
{
    if (!check_names(x))
        return false;
    for (size_t i = 0; i < ROWS; i++) {
        const struct magic_argument *row = &rows[i];
        if (row->handler != x->route->handler)
            continue;
        const struct param *value = find(x, row->name);
        bool missing = !value || (value->type == PARAM_TEXT && value->text.len == 0);
        if (missing && row->need == MAGIC_MANDATORY)
            return refuse_missing(x, row);
        if (!missing && !check_value(x, row, value))
            return false;
    }
    return true;
}

/* ---- links ---- */

/* How many characters at the URL's begin are a dot to browsers: they take "%2e" for one. */
static size_t dot(struct busi_str url)
{
    const struct busi_str encoded = BUSI_STR("%2e");
    if (url.len > 0 && url.ptr[0] == '.')
        return 1;
    return url.len >= encoded.len && busi_str_ieq((struct busi_str){url.ptr, encoded.len}, encoded)
               ? encoded.len
               : 0;
}

/* Of characters that cannot end it, and no way up. */
static bool is_plain(struct busi_str url)
{
    for (size_t i = 0; i < url.len; i++) {
        char c = url.ptr[i];
        if (c <= ' ' || c > '~' || strchr("\"'<>\\^`{|}?#", c))
            return false;
        size_t first = dot((struct busi_str){url.ptr + i, url.len - i});
        if (first && dot((struct busi_str){url.ptr + i + first, url.len - i - first}))
            return false;
    }
    return url.len > 0 && url.len <= URL_MOST;
}

bool magic_urls_valid(struct busi_str list, struct busi_str *bad)
{
    const struct busi_str http = BUSI_STR("http://"), https = BUSI_STR("https://");
    while (list.len > 0) {
        *bad = busi_str_trim(busi_roles_next(&list), " \t");
        bool web = busi_str_starts(*bad, http) ? bad->len > http.len
                                               : busi_str_starts(*bad, https) && bad->len > https.len;
        if (!web || !is_plain(*bad))
            return false;
    }
    return true;
}

/* It, or below it. */
static bool is_below(struct busi_str url, struct busi_str page)
{
    if (page.len > 0 && page.ptr[page.len - 1] == '/')
        page.len--;
    return page.len > 0 && busi_str_starts(url, page) && (url.len == page.len || url.ptr[page.len] == '/');
}

bool magic_url_allowed(struct busi_str url, struct busi_str allowed, struct busi_str base_url)
{
    if (!is_plain(url))
        return false;
    if (allowed.len == 0)
        return is_below(url, base_url);
    for (struct busi_str one = busi_roles_next(&allowed); one.ptr; one = busi_roles_next(&allowed))
        if (is_below(url, busi_str_trim(one, " \t")))
            return true;
    return false;
}
