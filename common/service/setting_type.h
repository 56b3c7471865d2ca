/* The types a setting can have: one row of functions each, found by the type's name in proto/settings.def. */
#pragma once
#include "base/buf.h"

enum busi_setting_kind {
    BUSI_SETTING_TEXT,
    BUSI_SETTING_PATH,
    BUSI_SETTING_SECRET,
    BUSI_SETTING_COUNT,
    BUSI_SETTING_MS,
    BUSI_SETTING_BYTES,
    BUSI_SETTING_FLAG,
    BUSI_SETTING_RATES,
    BUSI_SETTING_KINDS
};

struct busi_setting_type {
    const char *wanted; /* what a value is, after "is not": "a whole number" */
    bool secret;        /* a value is never shown */
    /* Fills the field (of the C type in settings.h); texts are borrowed. False: not of this type. */
    bool (*parse)(struct busi_str text, void *field);
    /* What least..most of the row bound; NULL: unbounded. */
    int64_t (*measure)(const void *field);
    /* before a measure in a message, "its length of "; "" when the value is the measure */
    const char *measured;
    /* A measure in the type's own unit. */
    void (*print_measure)(struct busi_buf *out, int64_t measure);
    /* A value as it could be written into the environment. */
    void (*print)(struct busi_buf *out, const void *field);
};

/* Static; kind is below BUSI_SETTING_KINDS. */
const struct busi_setting_type *busi_setting_type(enum busi_setting_kind kind);
