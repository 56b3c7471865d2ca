/* Descriptors: what a message is made of, from the rows of proto/messages.def. */
#pragma once
#include "base/str.h"

enum busi_kind { BUSI_TEXT, BUSI_SECRET, BUSI_BYTES, BUSI_INT, BUSI_BOOL, BUSI_TIME, BUSI_LIST, BUSI_NESTED };
enum busi_need { BUSI_OPTIONAL, BUSI_REQUIRED };

struct busi_desc;

struct busi_field {
    const char *name;                     /* for violations, JSON and dumps */
    uint8_t key;                          /* on the wire, 1..127 */
    uint8_t kind;                         /* enum busi_kind */
    uint8_t need;                         /* enum busi_need */
    uint32_t limit;                       /* bytes, items, or absolute value (0: none) */
    uint32_t offset;                      /* in the struct */
    const struct busi_desc *(*sub)(void); /* LIST and NESTED */
};

struct busi_desc {
    const char *name;
    size_t size; /* sizeof the struct */
    const struct busi_field *fields;
    size_t n_fields; /* at most 63 */
};

/* What a LIST field is in the struct. */
struct busi_list {
    void *items; /* array of the sub-message's struct; borrowed from the call's arena */
    size_t n;
};
