/* The descriptors of every message of proto/messages.def, in its order. */
#pragma once
#include "wire/messages.h"

typedef const struct busi_desc *describe(void);
static describe *const every_message[] = {
#define MESSAGE(name) busi_desc_##name,
#define FIELD(...)
#define LIST(...)
#define NESTED(...)
#define END(name)
#include "proto/messages.def"
};
enum { EVERY_MESSAGE = sizeof every_message / sizeof every_message[0] };
