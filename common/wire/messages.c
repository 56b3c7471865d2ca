/* The descriptors of proto/messages.def. A typedef local to each function gives offsetof its struct. */
#include "wire/messages.h"

#define MESSAGE(name)                                                                                        \
    const struct busi_desc *busi_desc_##name(void)                                                           \
    {                                                                                                        \
        typedef struct busi_##name message_type;                                                             \
        static const char message_name[] = #name;                                                            \
        static const struct busi_field fields[] = {
#define FIELD(key_, name_, kind_, limit_, need_)                                                             \
    {.name = #name_,                                                                                         \
     .key = (key_),                                                                                          \
     .kind = BUSI_##kind_,                                                                                   \
     .need = BUSI_##need_,                                                                                   \
     .limit = (limit_),                                                                                      \
     .offset = offsetof(message_type, name_)},
#define LIST(key_, name_, message_, most_)                                                                   \
    {.name = #name_,                                                                                         \
     .key = (key_),                                                                                          \
     .kind = BUSI_LIST,                                                                                      \
     .need = BUSI_OPTIONAL,                                                                                  \
     .limit = (most_),                                                                                       \
     .offset = offsetof(message_type, name_),                                                                \
     .sub = busi_desc_##message_},
#define NESTED(key_, name_, message_, need_)                                                                 \
    {.name = #name_,                                                                                         \
     .key = (key_),                                                                                          \
     .kind = BUSI_NESTED,                                                                                    \
     .need = BUSI_##need_,                                                                                   \
     .offset = offsetof(message_type, name_),                                                                \
     .sub = busi_desc_##message_},
/* The last entry only keeps the array of a message without fields from being empty. */
#define END(name_)                                                                                           \
    {                                                                                                        \
        .name = NULL                                                                                         \
    }                                                                                                        \
    }                                                                                                        \
    ;                                                                                                        \
    static const struct busi_desc desc = {.name = message_name,                                              \
                                          .size = sizeof(message_type),                                      \
                                          .fields = fields,                                                  \
                                          .n_fields = sizeof fields / sizeof fields[0] - 1};                 \
    _Static_assert(sizeof fields / sizeof fields[0] <= 64, "a message has at most 63 fields");               \
    return &desc;                                                                                            \
    }
#include "proto/messages.def"
