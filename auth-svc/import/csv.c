#include "import/csv.h"

/* Up to the next comma. */
static const char *take_plain(struct busi_str *rest, struct busi_str *field)
{
    const char *comma = rest->len > 0 ? memchr(rest->ptr, ',', rest->len) : NULL;
    size_t len = comma ? (size_t)(comma - rest->ptr) : rest->len;
    if (len > 0 && memchr(rest->ptr, '"', len))
        return "has a quote within a field that has none around it";
    *field = (struct busi_str){len > 0 ? rest->ptr : NULL, len};
    rest->ptr += len;
    rest->len -= len;
    return NULL;
}

/* Behind the opening quote. */
static const char *take_quoted(struct busi_arena *arena, struct busi_str *rest, struct busi_str *field)
{
    char *text = busi_arena_alloc(arena, rest->len);
    size_t i = 0, len = 0;
    if (!text)
        return "is too much at once";
    for (; i < rest->len; i++) {
        if (rest->ptr[i] == '"' && (++i == rest->len || rest->ptr[i] != '"')) {
            *field = (struct busi_str){text, len};
            rest->ptr += i;
            rest->len -= i;
            return rest->len == 0 || *rest->ptr == ',' ? NULL : "has text behind a closing quote";
        }
        text[len++] = rest->ptr[i];
    }
    return "a quote is not closed";
}

const char *auth_import_csv_split(struct busi_arena *arena, struct busi_str record, struct busi_str *fields,
                                  size_t most, size_t *n)
{
    struct busi_str rest = record;
    for (*n = 0;; rest.ptr++, rest.len--) {
        if (*n == most)
            return "has more fields than the first line";
        bool quoted = rest.len > 0 && *rest.ptr == '"';
        if (quoted) {
            rest.ptr++;
            rest.len--;
        }
        const char *fault = quoted ? take_quoted(arena, &rest, &fields[*n]) : take_plain(&rest, &fields[*n]);
        if (fault)
            return fault;
        ++*n;
        if (rest.len == 0)
            return NULL;
    }
}
