/* Descriptor-driven coding of the messages. */
#pragma once
#include "base/arena.h"
#include "wire/desc.h"
#include "wire/msgpack.h"

/* Packs the struct as a map of integer keys; absent optional fields are left out. A field over its
 * limit or a missing required one is a bug of the caller and fails the buffer. */
void busi_encode(msgpack_packer *pk, struct busi_buf *buf, const struct busi_desc *desc, const void *message);

/* Fills the struct; texts point into the input, lists live in the arena. Unknown keys are skipped;
 * a missing, duplicate, over-long, wrongly typed or NUL-bearing field is an error: false, and *bad names
 * the field ("sign_in_request.login: too long", arena or static). */
[[nodiscard]] bool busi_decode(struct busi_reader *r, const struct busi_desc *desc, void *message,
                               struct busi_arena *arena, const char **bad);

/* The struct as a JSON object, members in row order, absent optional ones left out. */
void busi_json_message(struct busi_buf *out, const struct busi_desc *desc, const void *message);
/* The same for logs: secrets as "***", texts cut at 64 bytes. */
void busi_dump_message(struct busi_buf *out, const struct busi_desc *desc, const void *message);
