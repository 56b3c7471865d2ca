#include "core/common_passwords.h"
#include "service/small_file.h"
#include <stdlib.h>

static int order(struct busi_str a, struct busi_str b)
{
    int by_bytes = memcmp(a.ptr, b.ptr, a.len < b.len ? a.len : b.len);
    return by_bytes ? by_bytes : (a.len > b.len) - (a.len < b.len);
}

static int order_lines(const void *a, const void *b)
{
    return order(*(const struct busi_str *)a, *(const struct busi_str *)b);
}

static size_t count_lines(struct busi_str text)
{
    size_t n = 1;
    for (size_t i = 0; i < text.len; i++)
        n += text.ptr[i] == '\n';
    return n;
}

/* In place: the arena's copy of the file is ours. */
static void split(struct auth_common_passwords *common, char *text, size_t len)
{
    for (size_t begin = 0, end; begin < len; begin = end + 1) {
        for (end = begin; end < len && text[end] != '\n'; end++)
            text[end] = busi_lower(text[end]);
        struct busi_str line = {text + begin, end - begin};
        if (line.len > 0 && line.ptr[line.len - 1] == '\r')
            line.len--;
        if (line.len > 0)
            common->lines[common->n++] = line;
    }
    qsort(common->lines, common->n, sizeof(*common->lines), order_lines);
}

const char *auth_common_passwords_open(struct auth_common_passwords *common, struct busi_str path)
{
    struct busi_str text;
    *common = (struct auth_common_passwords){0};
    if (path.len == 0)
        return NULL;
    busi_arena_init(&common->arena, (size_t)8 * AUTH_COMMON_MOST_BYTES);
    const char *error = busi_small_file_read(path.ptr, AUTH_COMMON_MOST_BYTES, &common->arena, &text);
    if (error)
        return error;
    common->lines = busi_arena_array(&common->arena, count_lines(text), sizeof(*common->lines));
    if (!common->lines)
        return "out of memory";
    /* some editors begin a file with a byte order mark: the first line is the most common password */
    size_t mark = busi_str_starts(text, BUSI_STR("\xEF\xBB\xBF")) ? 3 : 0;
    split(common, (char *)(uintptr_t)text.ptr + mark, text.len - mark);
    return NULL;
}

void auth_common_passwords_close(struct auth_common_passwords *common)
{
    busi_arena_fini(&common->arena);
    *common = (struct auth_common_passwords){0};
}

static bool is_in_list(const struct auth_common_passwords *common, struct busi_str password)
{
    enum { LONGEST = 128 }; /* nobody tries longer ones first */
    char lower[LONGEST];
    if (password.len > LONGEST)
        return false;
    for (size_t i = 0; i < password.len; i++)
        lower[i] = busi_lower(password.ptr[i]);
    struct busi_str key = {lower, password.len};
    return bsearch(&key, common->lines, common->n, sizeof(*common->lines), order_lines) != NULL;
}

static bool is_name(struct busi_str password, struct busi_str name)
{
    return name.len > 0 && busi_str_ieq(password, name);
}

bool auth_password_is_common(const struct auth_common_passwords *common, struct busi_str password,
                             struct busi_str email, struct busi_str username)
{
    if (!common->lines || password.len == 0)
        return false;
    const char *at = email.len ? memchr(email.ptr, '@', email.len) : NULL;
    struct busi_str local = {email.ptr, at ? (size_t)(at - email.ptr) : 0};
    return is_in_list(common, password) || is_name(password, email) || is_name(password, local) ||
           is_name(password, username);
}
