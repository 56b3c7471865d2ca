/* The words of JSON: strings, numbers, literals. Strict (RFC 8259), and stricter: no U+0000, no lone
 * surrogate. The text is valid UTF-8 already. Pure. */
#pragma once
#include "base/arena.h"

struct json_reader {
    const char *at, *end; /* unread characters; both NULL when there are none */
};

void json_skip_space(struct json_reader *in);
/* The next character without taking it; 0 at the end. */
char json_peek(const struct json_reader *in);
[[nodiscard]] bool json_take_char(struct json_reader *in, char c);
[[nodiscard]] bool json_take_word(struct json_reader *in, struct busi_str word);
/* With its quotes. Points into the text unless it holds escapes: then into the arena. */
[[nodiscard]] bool json_take_string(struct json_reader *in, struct busi_arena *arena, struct busi_str *out);
/* The characters of one number, at most 128; integer: it has neither fraction nor exponent. */
[[nodiscard]] bool json_take_number(struct json_reader *in, struct busi_str *out, bool *integer);
/* Of what json_take_number() took. False: it does not fit. */
[[nodiscard]] bool json_integer(struct busi_str text, int64_t *out);
[[nodiscard]] bool json_real_finite(struct busi_str text);
