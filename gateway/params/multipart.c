/* multipart/form-data (RFC 7578 on RFC 2046), text fields only: nothing is ever written to a file. Each byte
 * of the body is looked at a fixed number of times. */
#define _GNU_SOURCE /* memmem */
#include "http/chars.h"
#include "http/media_type.h"
#include "params/tree.h"

enum { BOUNDARY_MAX = 70, PART_HEAD_MAX = 2048, PART_NAME_MAX = 512 };

struct reader {
    const char *at, *end;
    struct busi_str delimiter; /* CR LF "--" boundary */
};

/* ---- boundary ---- */

static bool boundary_valid(struct busi_str boundary)
{
    for (size_t i = 0; i < boundary.len; i++)
        if (!chars_is_alphanumeric(boundary.ptr[i]) && !chars_is_one_of(boundary.ptr[i], "'()+_,-./:=? "))
            return false;
    return boundary.len > 0 && boundary.len <= BOUNDARY_MAX && boundary.ptr[boundary.len - 1] != ' ';
}

static bool read_delimiter(struct busi_arena *arena, struct busi_str content_type, struct busi_str *out)
{
    char text[BOUNDARY_MAX];
    struct busi_str boundary;
    if (media_type_parameter(content_type, BUSI_STR("boundary"), text, sizeof(text), &boundary) !=
            MEDIA_PARAMETER_FOUND ||
        !boundary_valid(boundary))
        return false;
    *out = busi_arena_printf(arena, "\r\n--%.*s", BUSI_ARG(boundary));
    return out->ptr != NULL;
}

/* ---- lines between the parts ---- */

static bool skip(struct reader *in, struct busi_str text)
{
    if ((size_t)(in->end - in->at) < text.len || memcmp(in->at, text.ptr, text.len) != 0)
        return false;
    in->at += text.len;
    return true;
}

/* Everything before the next delimiter, which is stepped over. */
static bool take_until_delimiter(struct reader *in, struct busi_str *out)
{
    const char *at = memmem(in->at, (size_t)(in->end - in->at), in->delimiter.ptr, in->delimiter.len);
    if (!at)
        return false;
    *out = (struct busi_str){in->at, (size_t)(at - in->at)};
    in->at = at + in->delimiter.len;
    return true;
}

/* Behind a delimiter: "--" (the last one), or the end of its line. */
static bool at_last_delimiter(struct reader *in)
{
    return skip(in, BUSI_STR("--"));
}

static bool skip_line_end(struct reader *in)
{
    while (in->at < in->end && (*in->at == ' ' || *in->at == '\t'))
        in->at++;
    return skip(in, BUSI_STR("\r\n"));
}

/* ---- one part ---- */

struct part {
    struct busi_str disposition, type, encoding; /* header values; absent when not given */
};

static bool keep_header(struct busi_str line, struct part *part)
{
    const char *colon = memchr(line.ptr, ':', line.len);
    if (!colon || colon == line.ptr)
        return false;
    struct busi_str name = {line.ptr, (size_t)(colon - line.ptr)};
    struct busi_str value = {colon + 1, line.len - name.len - 1};
    const struct {
        struct busi_str name, *value;
    } wanted[] = {{BUSI_STR("content-disposition"), &part->disposition},
                  {BUSI_STR("content-type"), &part->type},
                  {BUSI_STR("content-transfer-encoding"), &part->encoding}};
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        if (!busi_str_ieq(name, wanted[i].name))
            continue;
        if (wanted[i].value->ptr)
            return false;
        *wanted[i].value = value;
    }
    return true;
}

/* Up to and with the empty line. */
static bool read_head(struct reader *in, struct part *part)
{
    const char *begin = in->at;
    while (!skip(in, BUSI_STR("\r\n"))) {
        size_t room = (size_t)(in->end - in->at);
        const char *end = memmem(in->at, room < PART_HEAD_MAX ? room : PART_HEAD_MAX, "\r\n", 2);
        if (!end || end - begin > PART_HEAD_MAX)
            return false;
        if (!keep_header((struct busi_str){in->at, (size_t)(end - in->at)}, part))
            return false;
        in->at = end + 2;
    }
    return true;
}

static bool encoding_plain(struct busi_str encoding)
{
    struct busi_str name = media_type_name(encoding);
    return !encoding.ptr || busi_str_ieq(name, BUSI_STR("7bit")) || busi_str_ieq(name, BUSI_STR("8bit")) ||
           busi_str_ieq(name, BUSI_STR("binary"));
}

static bool type_plain(struct busi_str type)
{
    static const char multipart[] = "multipart/";
    struct busi_str name = media_type_name(type);
    const size_t n = sizeof(multipart) - 1;
    return name.len < n || !busi_str_ieq((struct busi_str){name.ptr, n}, BUSI_STR(multipart));
}

/* Whether the part is a text field; *field then has its name. */
static enum param_verdict read_name(struct busi_arena *arena, const struct part *part, bool *is_field,
                                    struct param_field *field)
{
    char text[PART_NAME_MAX];
    struct busi_str name;
    *is_field = false;
    if (!busi_str_ieq(media_type_name(part->disposition), BUSI_STR("form-data")) || !type_plain(part->type) ||
        !encoding_plain(part->encoding))
        return PARAMS_BAD;
    enum media_parameter file = media_type_parameter(part->disposition, BUSI_STR("filename"), NULL, 0, &name);
    enum media_parameter coded_file =
        media_type_parameter(part->disposition, BUSI_STR("filename*"), NULL, 0, &name);
    if (media_type_parameter(part->disposition, BUSI_STR("name"), text, sizeof(text), &name) !=
        MEDIA_PARAMETER_FOUND)
        return PARAMS_BAD;
    if (file != MEDIA_PARAMETER_ABSENT || coded_file != MEDIA_PARAMETER_ABSENT)
        return PARAMS_OK;
    *is_field = true;
    field->name = busi_arena_dup(arena, name);
    return field->name.ptr ? params_check_text(field->name) : PARAMS_BAD;
}

static enum param_verdict read_part(struct busi_arena *arena, struct reader *in, struct param_field *fields,
                                    size_t *n)
{
    struct part part = {0};
    struct param_field field = {0};
    bool is_field;
    if (!skip_line_end(in) || !read_head(in, &part))
        return PARAMS_BAD;
    enum param_verdict verdict = read_name(arena, &part, &is_field, &field);
    if (verdict != PARAMS_OK)
        return verdict;
    in->at -= 2; /* the empty line's end may be the next delimiter's beginning: an empty value */
    if (!take_until_delimiter(in, &field.value))
        return PARAMS_BAD;
    if (field.value.len >= 2)
        field.value = (struct busi_str){field.value.ptr + 2, field.value.len - 2};
    if (!is_field)
        return PARAMS_OK;
    fields[(*n)++] = field;
    return params_check_text(field.value);
}

enum param_verdict params_multipart(struct busi_arena *arena, struct busi_str body,
                                    struct busi_str content_type, struct param **out)
{
    struct reader in = {body.ptr, body.ptr + body.len, {0}};
    struct param_field fields[PARAMS_MAX_PARTS];
    struct busi_str preamble;
    size_t parts = 0, n = 0;
    if (!read_delimiter(arena, content_type, &in.delimiter) || body.len == 0)
        return PARAMS_BAD;
    struct busi_str first = {in.delimiter.ptr + 2, in.delimiter.len - 2}; /* needs no line before it */
    if (!skip(&in, first) && !take_until_delimiter(&in, &preamble))
        return PARAMS_BAD;
    while (!at_last_delimiter(&in)) {
        if (++parts > PARAMS_MAX_PARTS)
            return PARAMS_BAD;
        enum param_verdict verdict = read_part(arena, &in, fields, &n);
        if (verdict != PARAMS_OK)
            return verdict;
    }
    return params_nest(arena, fields, n, out);
}
