/* The words of JSON: strings, numbers, literals. Strict (RFC 8259), and stricter: no U+0000, no lone
 * surrogate. The text is valid UTF-8 already. Pure. */
#pragma once
#include "base/arena.h"

struct busi_json_reader {
    const char *at, *end; /* unread characters; both NULL when there are none */
};

void busi_json_skip_space(struct busi_json_reader *in);
/* The next character without taking it; 0 at the end. */
char busi_json_peek(const struct busi_json_reader *in);
[[nodiscard]] bool busi_json_take_char(struct busi_json_reader *in, char c);
[[nodiscard]] bool busi_json_take_word(struct busi_json_reader *in, struct busi_str word);
/* With its quotes. Points into the text unless it holds escapes: then into the arena. */
[[nodiscard]] bool busi_json_take_string(struct busi_json_reader *in, struct busi_arena *arena,
                                         struct busi_str *out);
/* The characters of one number, at most 128; integer: it has neither fraction nor exponent. */
[[nodiscard]] bool busi_json_take_number(struct busi_json_reader *in, struct busi_str *out, bool *integer);
/* Of what busi_json_take_number() took. False: it does not fit. */
[[nodiscard]] bool busi_json_integer(struct busi_str text, int64_t *out);
[[nodiscard]] bool busi_json_real_finite(struct busi_str text);
