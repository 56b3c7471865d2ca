#include "service/setting_row.h"
#include <assert.h>
#include <fnmatch.h>

enum { G = BUSI_USER_G, A = BUSI_USER_A, D = BUSI_USER_D, M = BUSI_USER_M, NAME_MAX_BYTES = 64 };

static const struct busi_setting_row rows[] = {
#define SETTING(name, env, type, value, least, most, users, help)                                            \
    {env, BUSI_SETTING_##type, value, least, most, users, help, offsetof(struct busi_settings, name)},
#include "proto/settings.def"
#undef SETTING
};
enum { ROWS = sizeof(rows) / sizeof(rows)[0] };

size_t busi_setting_rows(void)
{
    return ROWS;
}

const struct busi_setting_row *busi_setting_row(size_t index)
{
    assert(index < ROWS);
    return &rows[index];
}

ptrdiff_t busi_setting_row_find(struct busi_str env)
{
    for (size_t i = 0; i < ROWS; i++)
        if (busi_str_eq(env, busi_str_of(rows[i].env)))
            return (ptrdiff_t)i;
    return -1;
}

static unsigned least_of(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;
    return least < c ? least : c;
}

/* Levenshtein's distance of two names of at most NAME_MAX_BYTES. */
static unsigned distance(struct busi_str a, struct busi_str b)
{
    unsigned above[NAME_MAX_BYTES + 1], here[NAME_MAX_BYTES + 1];
    for (unsigned j = 0; j <= b.len; j++)
        above[j] = j;
    for (unsigned i = 1; i <= a.len; i++) {
        here[0] = i;
        for (unsigned j = 1; j <= b.len; j++)
            here[j] = least_of(above[j] + 1, here[j - 1] + 1, above[j - 1] + (a.ptr[i - 1] != b.ptr[j - 1]));
        memcpy(above, here, sizeof(above));
    }
    return above[b.len];
}

const char *busi_setting_row_nearest(struct busi_str env)
{
    const char *nearest = NULL;
    unsigned best = 4; /* further away is another word, not a slip */
    if (env.len > NAME_MAX_BYTES)
        return NULL;
    for (size_t i = 0; i < ROWS; i++) {
        unsigned d = distance(env, busi_str_of(rows[i].env));
        if (d < best) {
            best = d;
            nearest = rows[i].env;
        }
    }
    return nearest;
}

bool busi_setting_is_foreign(struct busi_str env, const char *value)
{
    static const struct {
        const char *name, *value; /* fnmatch patterns */
    } foreign[] = {
#define VARIABLE(name, value, why) {name, value},
#include "proto/environment.def"
#undef VARIABLE
    };
    char name[256];
    if (env.len >= sizeof(name))
        return false;
    memcpy(name, env.ptr, env.len);
    name[env.len] = 0;
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign)[0]; i++)
        if (fnmatch(foreign[i].name, name, 0) == 0 && fnmatch(foreign[i].value, value, 0) == 0)
            return true;
    return false;
}
