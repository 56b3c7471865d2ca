/* Refused fields as JSON, worded as proto/rules.def says. Pure; any thread. */
#pragma once
#include "base/buf.h"
#include "wire/messages.h"

/* {"name":["can't be blank"],...}: a member per field, newest refusal of it first. */
void violations_json(struct busi_buf *out, const struct busi_violation *violations, size_t n);
