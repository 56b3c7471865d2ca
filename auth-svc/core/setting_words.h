/* Settings that are lists of words. Pure. */
#pragma once
#include "base/str.h"

#define AUTH_BLANKS " \t\r\n"

/* The text before the first of separators, without blanks around it; *rest becomes what is behind it. Absent:
 * there is no more. */
struct busi_str auth_words_next(struct busi_str *rest, const char *separators);
/* "name=value", neither empty. */
bool auth_words_cut(struct busi_str text, struct busi_str *name, struct busi_str *value);
/* 1 to most of a-z 0-9 - _, regardless of case: it may become part of a path. */
bool auth_words_name(struct busi_str name, size_t most);
