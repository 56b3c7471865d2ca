#include "crypto/jwt_claims.h"
#include "base/log.h"
#include <jansson.h>
#include <stdlib.h>

enum { MOST_DEPTH = 8, NAME_MOST = 11, MOST_DIGITS = 18 };

/* jansson 2.14 does not look whether a character it keeps has been kept (lex_save() in its load.c): without
 * memory it reads texts that nobody wrote, or past their end. */
static void *give(size_t size)
{
    void *memory = malloc(size);
    if (!memory)
        busi_log_abort("no_memory", "for JSON, which would be misread without");
    return memory;
}

void busi_jwt_init(void)
{
    json_set_alloc_funcs(give, free);
}

/* Where each claim goes. */
#define NAME(text) text, sizeof(text) - 1
static const struct row {
    char name[NAME_MOST + 1];
    size_t name_len;
    bool time; /* otherwise text */
    size_t offset;
} rows[] = {
    {NAME("aud"), false, offsetof(struct busi_jwt_payload, audience)},
    {NAME("exp"), true, offsetof(struct busi_jwt_payload, claims.expires_at)},
    {NAME("iat"), true, offsetof(struct busi_jwt_payload, claims.issued_at)},
    {NAME("iss"), false, offsetof(struct busi_jwt_payload, issuer)},
    {NAME("jti"), false, offsetof(struct busi_jwt_payload, claims.jti)},
    {NAME("nbf"), true, offsetof(struct busi_jwt_payload, claims.not_before)},
    {NAME("purpose"), false, offsetof(struct busi_jwt_payload, claims.purpose)},
    {NAME("role"), false, offsetof(struct busi_jwt_payload, role)},
    {NAME("sid"), false, offsetof(struct busi_jwt_payload, claims.session_id)},
    {NAME("sub"), false, offsetof(struct busi_jwt_payload, claims.subject)},
    {NAME("typ"), false, offsetof(struct busi_jwt_payload, claims.type)},
    {NAME("unique_name"), false, offsetof(struct busi_jwt_payload, claims.name)},
};
enum { ROWS = sizeof(rows) / sizeof(rows[0]) };

static int64_t *time_of(struct busi_jwt_payload *payload, const struct row *row)
{
    return (int64_t *)((char *)payload + row->offset);
}

static struct busi_str *text_of(struct busi_jwt_payload *payload, const struct row *row)
{
    return (struct busi_str *)((char *)payload + row->offset);
}

static void clear(struct busi_jwt_payload *payload)
{
    *payload = (struct busi_jwt_payload){.claims = {.issued_at = -1, .not_before = -1, .expires_at = -1}};
}

/* ---- payloads as we write them: nearly all there are, and twenty thousand a second ---- */

/* What is left to read. */
struct reader {
    const char *at, *end;
};

static bool take(struct reader *reader, char c)
{
    if (reader->at == reader->end || *reader->at != c)
        return false;
    reader->at++;
    return true;
}

/* Printable ASCII without quotes and escapes, up to the closing quote. Brackets, which the thorough reader
 * counts even inside texts, are left to it: whatever is read here it reads alike. */
static bool take_text(struct reader *reader, struct busi_str *out)
{
    const char *begin = reader->at;
    while (reader->at < reader->end && *reader->at >= ' ' && *reader->at <= '~' && *reader->at != '"' &&
           *reader->at != '\\' && *reader->at != '{' && *reader->at != '[')
        reader->at++;
    *out = (struct busi_str){begin, (size_t)(reader->at - begin)};
    return take(reader, '"');
}

static bool take_time(struct reader *reader, int64_t *out)
{
    const char *begin = reader->at;
    int64_t n = 0;
    while (reader->at < reader->end && *reader->at >= '0' && *reader->at <= '9' &&
           reader->at - begin < MOST_DIGITS)
        n = n * 10 + (*reader->at++ - '0');
    if (reader->at == begin || (*begin == '0' && reader->at - begin > 1))
        return false;
    *out = n;
    return true;
}

/* "name": of a claim not seen before; NULL for anything else. */
static const struct row *take_name(struct reader *reader, unsigned *seen)
{
    struct busi_str name;
    if (!take(reader, '"') || !take_text(reader, &name) || !take(reader, ':'))
        return NULL;
    for (size_t i = 0; i < ROWS; i++)
        if (name.len == rows[i].name_len && memcmp(rows[i].name, name.ptr, name.len) == 0) {
            bool again = *seen & 1u << i;
            *seen |= 1u << i;
            return again ? NULL : &rows[i];
        }
    return NULL;
}

bool busi_jwt_payload_read_own(struct busi_str json, struct busi_jwt_payload *payload)
{
    struct reader reader = {json.ptr, json.ptr + json.len};
    unsigned seen = 0;
    clear(payload);
    if (!take(&reader, '{'))
        return false;
    do {
        const struct row *row = take_name(&reader, &seen);
        if (!row)
            return false;
        if (row->time ? !take_time(&reader, time_of(payload, row))
                      : !take(&reader, '"') || !take_text(&reader, text_of(payload, row)))
            return false;
    } while (take(&reader, ','));
    return take(&reader, '}') && reader.at == reader.end;
}

/* ---- any JSON ---- */

/* Brackets nest at most MOST_DEPTH deep: jansson recurses, and this runs on a fiber's small stack. Counting
 * those that open, also inside texts, is stricter and simpler. */
static bool is_shallow(struct busi_str json)
{
    int opened = 0;
    for (size_t i = 0; i < json.len; i++)
        if ((json.ptr[i] == '{' || json.ptr[i] == '[') && ++opened > MOST_DEPTH)
            return false;
    return true;
}

static bool read_member(struct busi_arena *arena, const json_t *object, const struct row *row,
                        struct busi_jwt_payload *payload)
{
    const json_t *value = json_object_get(object, row->name);
    if (row->time && json_is_integer(value))
        *time_of(payload, row) = json_integer_value(value);
    if (row->time || !json_is_string(value))
        return true;
    struct busi_str text = {json_string_value(value), json_string_length(value)};
    *text_of(payload, row) = busi_arena_dup(arena, text);
    return text_of(payload, row)->ptr != NULL;
}

bool busi_jwt_payload_read_any(struct busi_arena *arena, struct busi_str json,
                               struct busi_jwt_payload *payload)
{
    clear(payload);
    if (!is_shallow(json))
        return false;
    json_t *object = json_loadb(json.ptr, json.len, JSON_REJECT_DUPLICATES, NULL);
    bool good = json_is_object(object);
    for (size_t i = 0; good && i < ROWS; i++)
        good = read_member(arena, object, &rows[i], payload);
    json_decref(object);
    return good;
}

bool busi_jwt_payload_read(struct busi_arena *arena, struct busi_str json, struct busi_jwt_payload *payload)
{
    return busi_jwt_payload_read_own(json, payload) || busi_jwt_payload_read_any(arena, json, payload);
}

/* ---- what others add ---- */

/* ptr NULL: not one object, or out of memory. Also the claims that this kind of token goes without. */
static json_t *load_more(struct busi_str json)
{
    json_t *more = is_shallow(json) ? json_loadb(json.ptr, json.len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    for (size_t i = 0; i < ROWS; i++)
        json_object_del(more, rows[i].name);
    return more;
}

static struct busi_str dump(struct busi_arena *arena, const json_t *object)
{
    struct busi_str out = {0};
    char *text = json_dumps(object, JSON_COMPACT);
    if (text)
        out = busi_arena_dup(arena, (struct busi_str){text, strlen(text)});
    free(text);
    return out;
}

struct busi_str busi_jwt_payload_add(struct busi_arena *arena, struct busi_str payload, struct busi_str more)
{
    struct busi_str sum = {0};
    json_t *ours = json_loadb(payload.ptr, payload.len, JSON_REJECT_DUPLICATES, NULL);
    json_t *theirs = load_more(more);
    if (json_is_object(ours) && json_is_object(theirs) && json_object_update_missing(ours, theirs) == 0)
        sum = dump(arena, ours);
    json_decref(ours);
    json_decref(theirs);
    return sum;
}

struct busi_str busi_jwt_payload_more(struct busi_arena *arena, struct busi_str payload)
{
    struct busi_str out = {0};
    struct busi_jwt_payload known;
    if (busi_jwt_payload_read_own(payload, &known))
        return out;
    json_t *more = load_more(payload);
    if (json_object_size(more) > 0)
        out = dump(arena, more);
    json_decref(more);
    return out;
}
