#include "service/config_lines.h"

void busi_config_lines_init(struct busi_config_lines *lines, struct busi_str text)
{
    struct busi_str mark = BUSI_STR("\xef\xbb\xbf");
    if (busi_str_starts(text, mark))
        text = (struct busi_str){text.ptr + mark.len, text.len - mark.len};
    *lines = (struct busi_config_lines){.rest = text};
}

static struct busi_str trim(struct busi_str s)
{
    return busi_str_trim(s, " \t\r");
}

static bool is_key(struct busi_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!((s.ptr[i] >= 'a' && s.ptr[i] <= 'z') || (s.ptr[i] >= '0' && s.ptr[i] <= '9') ||
              s.ptr[i] == '_'))
            return false;
    return s.len > 0;
}

static struct busi_str take_line(struct busi_config_lines *lines)
{
    const char *end = memchr(lines->rest.ptr, '\n', lines->rest.len);
    size_t len = end ? (size_t)(end - lines->rest.ptr) : lines->rest.len;
    struct busi_str line = {lines->rest.ptr, len};
    size_t used = end ? len + 1 : len;
    lines->rest = (struct busi_str){lines->rest.ptr + used, lines->rest.len - used};
    lines->line++;
    return trim(line);
}

/* A comment that goes on to the end of the file would take all settings with it. */
static const char *complain_of_ends(struct busi_str line)
{
    return memchr(line.ptr, '\r', line.len) ? "has a carriage return within; lines end with LF or CR LF"
                                            : NULL;
}

static const char *split(struct busi_str line, struct busi_config_lines *out)
{
    if (memchr(line.ptr, 0, line.len))
        return "holds a NUL byte";
    const char *equals = memchr(line.ptr, '=', line.len);
    if (!equals)
        return "is not \"key = value\"";
    size_t at = (size_t)(equals - line.ptr);
    out->key = trim((struct busi_str){line.ptr, at});
    out->value = trim((struct busi_str){equals + 1, line.len - at - 1});
    return is_key(out->key) ? NULL : "has no key of lower-case letters, digits and _ before the =";
}

bool busi_config_lines_next(struct busi_config_lines *lines)
{
    while (lines->rest.len > 0) {
        struct busi_str line = take_line(lines);
        lines->error = line.len ? complain_of_ends(line) : NULL;
        if (!lines->error && (line.len == 0 || line.ptr[0] == '#'))
            continue;
        if (!lines->error)
            lines->error = split(line, lines);
        return true;
    }
    return false;
}
