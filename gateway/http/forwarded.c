#include "http/forwarded.h"
#include "http/chars.h"

#define BLANKS " \t"

/* Whether the quote at this place ends or begins a quoted string: within one, a backslash makes it a letter.
 * Read from the end, only an even number of backslashes before it can mean that. */
static bool is_quote(struct busi_str list, size_t at)
{
    size_t backslashes = 0;
    while (backslashes < at && list.ptr[at - 1 - backslashes] == '\\')
        backslashes++;
    return list.ptr[at] == '"' && backslashes % 2 == 0;
}

struct busi_str forwarded_cut_last(struct busi_str *list)
{
    bool quoted = false;
    size_t at = list->len;
    while (at > 0 && (quoted || list->ptr[at - 1] != ',')) {
        at--;
        if (is_quote(*list, at))
            quoted = !quoted;
    }
    struct busi_str last = {list->ptr + at, list->len - at};
    list->len = at > 0 ? at - 1 : 0;
    return busi_str_trim(last, BLANKS);
}

/* Where the pair that begins the text ends: at a semicolon outside of quotes, or with the text. */
static size_t pair_length(struct busi_str text)
{
    bool quoted = false;
    size_t at = 0;
    for (; at < text.len && (quoted || text.ptr[at] != ';'); at++) {
        if (quoted && text.ptr[at] == '\\' && at + 1 < text.len)
            at++;
        else if (text.ptr[at] == '"')
            quoted = !quoted;
    }
    return at;
}

/* What stands between the quotes; a text without any is itself. Addresses have no need for backslashes. */
static struct busi_str unquote(struct busi_str value)
{
    if (value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"')
        return (struct busi_str){value.ptr + 1, value.len - 2};
    return value;
}

/* ":4711", ":_hidden" or nothing. */
static bool is_port(struct busi_str text)
{
    if (text.len == 0)
        return true;
    for (size_t i = 1; i < text.len; i++)
        if (!chars_is_alphanumeric(text.ptr[i]) && !chars_is_one_of(text.ptr[i], "._-"))
            return false;
    return text.ptr[0] == ':' && text.len > 1;
}

static bool read_node(struct busi_str node, struct busi_address *out)
{
    const bool bracket = node.len > 0 && node.ptr[0] == '[';
    const char *end = node.len > 0 ? memchr(node.ptr, bracket ? ']' : ':', node.len) : NULL;
    size_t length = end ? (size_t)(end - node.ptr) : node.len;
    if (bracket && !end)
        return false;
    struct busi_str host = {node.ptr + bracket, length - bracket};
    struct busi_str port = {node.ptr + length + bracket, node.len - length - bracket};
    struct busi_address address;
    /* an IPv6 address stands in brackets, and nothing else does */
    const bool six = host.len > 0 && memchr(host.ptr, ':', host.len);
    if (six != bracket || !is_port(port) || !busi_address_read(host, &address))
        return false;
    *out = address;
    return true;
}

bool forwarded_for(struct busi_str element, struct busi_address *out)
{
    struct busi_str node = {0};
    while (element.len > 0) {
        size_t length = pair_length(element);
        struct busi_str pair = busi_str_trim((struct busi_str){element.ptr, length}, BLANKS);
        const struct busi_str name = BUSI_STR("for=");
        if (pair.len > name.len && busi_str_ieq((struct busi_str){pair.ptr, name.len}, name)) {
            if (node.ptr)
                return false;
            node = unquote((struct busi_str){pair.ptr + name.len, pair.len - name.len});
        }
        length += length < element.len;
        element = (struct busi_str){element.ptr + length, element.len - length};
    }
    return node.ptr && read_node(node, out);
}
