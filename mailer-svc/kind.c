#include "kind.h"
#include "store/embed.h"

#define KIND(name, subject, ...)                                                                             \
    BUSI_EMBED(text_##name, "templates/" #name ".txt");                                                      \
    BUSI_EMBED(html_##name, "templates/" #name ".html");
#include "kinds.def"
#undef KIND

static const struct mail_kind kinds[] = {
#define KIND(name, subject, ...) {#name, subject, text_##name, html_##name, {__VA_ARGS__}},
#include "kinds.def"
#undef KIND
};

const struct mail_kind *mail_kind_find(struct busi_str name)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds)[0]; i++)
        if (busi_str_eq(name, busi_str_of(kinds[i].name)))
            return &kinds[i];
    return NULL;
}
