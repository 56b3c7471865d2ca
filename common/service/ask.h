/* What only a person at a terminal can say. Commands only: blocks. */
#pragma once
#include "base/arena.h"

/* The terminal is there to be asked. */
bool busi_ask_possible(void);
/* Asks on stderr and reads a line from stdin without showing it; a signal that ends the process leaves the
 * terminal as it was. The text is in the arena, which wipes it. False: the input ended, or out of memory. */
[[nodiscard]] bool busi_ask_secret(const char *question, struct busi_arena *arena, struct busi_str *out);
/* "question [y/N] ": whether the answer was yes. */
bool busi_ask_yes(const char *question);
/* The first line of stdin when it is no terminal. False: it is empty, longer than max_bytes, or cannot be
 * read. */
[[nodiscard]] bool busi_read_line(struct busi_arena *arena, size_t max_bytes, struct busi_str *out);
