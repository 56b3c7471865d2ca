/* application/x-www-form-urlencoded, and queries. */
#include "http/chars.h"
#include "params/tree.h"

/* '+' and %XX. Text without them stays where it is. */
static enum param_verdict decode(struct busi_arena *arena, struct busi_str raw, struct busi_str *out)
{
    *out = raw;
    if (raw.len == 0 || (!memchr(raw.ptr, '+', raw.len) && !memchr(raw.ptr, '%', raw.len)))
        return params_check_text(raw);
    char *to = busi_arena_alloc(arena, raw.len);
    if (!to)
        return PARAMS_BAD;
    size_t n = 0;
    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.ptr[i];
        if (c == '%') {
            int high = raw.len - i > 2 ? busi_hex_digit(raw.ptr[i + 1]) : -1;
            int low = high >= 0 ? busi_hex_digit(raw.ptr[i + 2]) : -1;
            if (low < 0)
                return PARAMS_BAD;
            c = (char)(high * 16 + low);
            i += 2;
        }
        to[n++] = raw.ptr[i] == '+' ? ' ' : c;
    }
    *out = (struct busi_str){to, n};
    return params_check_text(*out);
}

static size_t count_fields(struct busi_str body)
{
    size_t n = 1;
    for (size_t i = 0; i < body.len; i++)
        n += body.ptr[i] == '&';
    return n;
}

static enum param_verdict decode_field(struct busi_arena *arena, struct busi_str raw, struct param_field *out)
{
    const char *equals = memchr(raw.ptr, '=', raw.len);
    struct busi_str name = {raw.ptr, equals ? (size_t)(equals - raw.ptr) : raw.len};
    enum param_verdict verdict = decode(arena, name, &out->name);
    if (verdict != PARAMS_OK || !equals)
        return verdict;
    struct busi_str value = {equals + 1, raw.len - name.len - 1};
    return decode(arena, value, &out->value);
}

enum param_verdict params_form(struct busi_arena *arena, struct busi_str body, struct param **out)
{
    size_t most = count_fields(body), n = 0;
    if (body.len == 0)
        return params_nest(arena, NULL, 0, out);
    if (most > PARAMS_MAX_FIELDS)
        return PARAMS_BAD;
    struct param_field *fields = busi_arena_array(arena, most, sizeof(*fields));
    if (!fields)
        return PARAMS_BAD;
    for (size_t begin = 0, i = 0; i <= body.len; i++) {
        if (i < body.len && body.ptr[i] != '&')
            continue;
        struct busi_str raw = {body.ptr + begin, i - begin};
        begin = i + 1;
        if (raw.len == 0)
            continue;
        enum param_verdict verdict = decode_field(arena, raw, &fields[n++]);
        if (verdict != PARAMS_OK)
            return verdict;
    }
    return params_nest(arena, fields, n, out);
}
