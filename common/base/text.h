/* Encodings of bytes as text and the UTF-8 check. All functions are total and keep no state. */
#pragma once
#include "base/str.h"

/* RFC 3629: no overlong form, no surrogate, nothing past U+10FFFF. */
bool busi_utf8_valid(struct busi_str s);
/* Code points of a valid UTF-8 text. */
size_t busi_utf8_length(struct busi_str s);
/* The longest beginning of s that has at most max_bytes and does not end within a code point. Total: of
 * invalid UTF-8 at most three bytes more are cut off. */
struct busi_str busi_utf8_cut(struct busi_str s, size_t max_bytes);
/* Empty or nothing but Unicode white space; s must be valid UTF-8. */
bool busi_utf8_blank(struct busi_str s);

/* Unpadded base64url, RFC 4648 section 5. out has room for (n * 4 + 2) / 3 bytes; returns the length. */
size_t busi_base64url_encode(char *out, const void *bytes, size_t n);
/* Strict: no padding, no white space, canonical last character. -1 if not, or if out is too small. */
ptrdiff_t busi_base64url_decode(void *out, size_t room, struct busi_str text);
/* Lower case; out has room for 2n. */
void busi_hex_encode(char *out, const void *bytes, size_t n);
