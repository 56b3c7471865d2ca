/* The rows of kinds.def. */
#pragma once
#include "base/str.h"

enum { MAIL_KIND_ARGUMENTS = 8 };

enum {
#define KIND(name, ...) MAIL_KIND_##name,
#include "kinds.def"
#undef KIND
    MAIL_KINDS
};

struct mail_kind {
    const char *name;                          /* "account_created"; [a-z_], fit for a file name */
    const char *must[MAIL_KIND_ARGUMENTS + 1]; /* arguments that must be given; NULL ends the list */
    const char *may[MAIL_KIND_ARGUMENTS + 1];  /* that templates may name, too; likewise */
};
/* The row MAIL_KIND_x; index is below MAIL_KINDS. Static. */
const struct mail_kind *mail_kind(size_t index);
size_t mail_kind_index(const struct mail_kind *kind);
/* Static; NULL: no such kind. */
const struct mail_kind *mail_kind_find(struct busi_str name);
