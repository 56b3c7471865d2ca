#include "http/media_type.h"
#include "http/chars.h"

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

struct busi_str media_type_name(struct busi_str value)
{
    const char *semicolon = value.len > 0 ? memchr(value.ptr, ';', value.len) : NULL;
    if (semicolon)
        value.len = (size_t)(semicolon - value.ptr);
    return busi_str_trim(value, " \t");
}

struct reader {
    const char *at, *end;
};

static void skip_spaces(struct reader *in)
{
    while (in->at < in->end && is_space(*in->at))
        in->at++;
}

static bool skip_char(struct reader *in, char c)
{
    if (in->at == in->end || *in->at != c)
        return false;
    in->at++;
    return true;
}

static struct busi_str take_token(struct reader *in)
{
    const char *begin = in->at;
    while (in->at < in->end && chars_is_token(*in->at))
        in->at++;
    return (struct busi_str){begin, (size_t)(in->at - begin)};
}

/* Behind the opening quote; unquoted bytes go to text while they fit, *len counts all. False: no closing
 * quote. */
static bool take_quoted(struct reader *in, char *text, size_t room, size_t *len)
{
    for (*len = 0; in->at < in->end; in->at++) {
        if (*in->at == '"') {
            in->at++;
            return true;
        }
        if (*in->at == '\\' && ++in->at == in->end)
            return false;
        if (*len < room)
            text[*len] = *in->at;
        ++*len;
    }
    return false;
}

/* One "name=value"; the value goes to text while it fits. */
static bool take_parameter(struct reader *in, struct busi_str *name, char *text, size_t room, size_t *len)
{
    *name = take_token(in);
    if (name->len == 0 || !skip_char(in, '='))
        return false;
    if (skip_char(in, '"'))
        return take_quoted(in, text, room, len);
    struct busi_str token = take_token(in);
    *len = token.len;
    if (token.len > 0 && token.len <= room)
        memcpy(text, token.ptr, token.len);
    return token.len > 0;
}

enum media_parameter media_type_parameter(struct busi_str value, struct busi_str name, char *text,
                                          size_t room, struct busi_str *found)
{
    const char *semicolon = value.len > 0 ? memchr(value.ptr, ';', value.len) : NULL;
    if (!semicolon)
        return MEDIA_PARAMETER_ABSENT;
    struct reader in = {semicolon, value.ptr + value.len};
    bool seen = false;
    while (in.at < in.end) {
        struct busi_str this_name;
        size_t len;
        if (!skip_char(&in, ';'))
            return MEDIA_PARAMETER_BROKEN;
        skip_spaces(&in);
        if (in.at == in.end || *in.at == ';')
            continue; /* "a;" and "a;;b=c" are allowed */
        struct reader before = in;
        if (!take_parameter(&in, &this_name, NULL, 0, &len))
            return MEDIA_PARAMETER_BROKEN;
        if (busi_str_ieq(this_name, name)) {
            if (seen || len > room || !take_parameter(&before, &this_name, text, room, &len))
                return MEDIA_PARAMETER_BROKEN;
            *found = (struct busi_str){text, len};
            seen = true;
        }
        skip_spaces(&in);
    }
    return seen ? MEDIA_PARAMETER_FOUND : MEDIA_PARAMETER_ABSENT;
}
