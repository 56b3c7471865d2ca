#include "kind.h"

#define MUST(...)                                                                                            \
    {                                                                                                        \
        __VA_ARGS__ __VA_OPT__(, ) NULL                                                                      \
    }
#define MAY(...)                                                                                             \
    {                                                                                                        \
        __VA_ARGS__ __VA_OPT__(, ) NULL                                                                      \
    }

static const struct mail_kind kinds[MAIL_KINDS] = {
#define KIND(name, must, may) {#name, must, may},
#include "kinds.def"
#undef KIND
};

const struct mail_kind *mail_kind(size_t index)
{
    return &kinds[index];
}

size_t mail_kind_index(const struct mail_kind *kind)
{
    return (size_t)(kind - kinds);
}

const struct mail_kind *mail_kind_find(struct busi_str name)
{
    for (size_t i = 0; i < MAIL_KINDS; i++)
        if (busi_str_eq(name, busi_str_of(kinds[i].name)))
            return &kinds[i];
    return NULL;
}
