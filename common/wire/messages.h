/* The structs of proto/messages.def, their descriptors and the service prototypes' types.
 * struct busi_<message>; const struct busi_desc *busi_desc_<message>(void).
 * Every struct begins with one unused byte, since C has no empty struct.
 * A LIST field is a struct { struct busi_<sub> *items; size_t n; }, a NESTED one a pointer (NULL: absent).
 */
#pragma once
#include "wire/desc.h"

#define BUSI_CTYPE_TEXT struct busi_str
#define BUSI_CTYPE_SECRET struct busi_str
#define BUSI_CTYPE_BYTES struct busi_str
#define BUSI_CTYPE_INT int64_t
#define BUSI_CTYPE_BOOL bool
#define BUSI_CTYPE_TIME int64_t

#define MESSAGE(name)                                                                                        \
    struct busi_##name {                                                                                     \
        char unused_;
#define FIELD(key, name, kind, limit, need) BUSI_CTYPE_##kind name;
#define LIST(key, name, message, most)                                                                       \
    struct {                                                                                                 \
        struct busi_##message *items;                                                                        \
        size_t n;                                                                                            \
    } name;
#define NESTED(key, name, message, need) struct busi_##message *name;
#define END(name)                                                                                            \
    }                                                                                                        \
    ;                                                                                                        \
    const struct busi_desc *busi_desc_##name(void);
#include "proto/messages.def"
#undef MESSAGE
#undef FIELD
#undef LIST
#undef NESTED
#undef END
