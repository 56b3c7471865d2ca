/* What a client would rather read: Accept-Language (RFC 9110 section 12.5.4). Pure; any bytes are fine. */
#pragma once
#include "base/str.h"

enum { LANGUAGE_MOST_BYTES = 35 }; /* of a tag: no more fits an envelope */

/* The tag it weighs most, "de-DE"; absent when it names none. Borrowed. */
struct busi_str language_first(struct busi_str header);
/* Index of the offered language ("en", "de") it weighs most; 0 when it wants none of them. */
size_t language_choose(struct busi_str header, const char *const offered[], size_t n);
