/* The rows of proto/settings.def as a table. */
#pragma once
#include "service/setting_type.h"
#include "service/settings.h"

struct busi_setting_row {
    const char *env; /* "BUSI_HTTP_PORT" */
    enum busi_setting_kind kind;
    const char *fallback; /* default, as text */
    int64_t least, most;  /* bounds of the type's measure */
    unsigned users;       /* enum busi_user bits of the processes that read it */
    const char *help;
    size_t offset; /* in struct busi_settings */
};

size_t busi_setting_rows(void);
/* index is below busi_setting_rows(). Static. */
const struct busi_setting_row *busi_setting_row(size_t index);
/* Row of an environment name, -1 if none. */
ptrdiff_t busi_setting_row_find(struct busi_str env);
/* The name that looks most like env, NULL when none is close: for "did you mean". */
const char *busi_setting_row_nearest(struct busi_str env);
/* A BUSI_ variable that is no setting but may be there (proto/environment.def). value is NUL-terminated. */
bool busi_setting_is_foreign(struct busi_str env, const char *value);
