/* The rows of kinds.def. */
#pragma once
#include "base/str.h"

enum { MAIL_KIND_ARGUMENTS = 8 };

struct mail_kind {
    const char *name;                               /* "account_created"; [a-z_], fit for a file name */
    const char *subject;                            /* template */
    const char *text;                               /* template of the text/plain part */
    const char *html;                               /* template of the text/html part */
    const char *arguments[MAIL_KIND_ARGUMENTS + 1]; /* that must be given; NULL ends the list */
};
/* Static; NULL: no such kind. */
const struct mail_kind *mail_kind_find(struct busi_str name);
