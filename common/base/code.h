/* Status codes and refusal rules: the rows of proto/errors.def and proto/rules.def as C. */
#pragma once
#include "base/str.h"

enum busi_code {
#define ERROR(name, number, http, retry, text) BUSI_##name = number,
#include "proto/errors.def"
#undef ERROR
};

enum busi_rule {
#define RULE(name, number, text) BUSI_RULE_##name = number,
#include "proto/rules.def"
#undef RULE
};

/* All three: a number without a row is UNKNOWN's row. Static storage. */
const char *busi_code_name(int code); /* "NOT_FOUND" */
const char *busi_code_text(int code); /* "Not Found", for clients */
int busi_code_http(int code);         /* 404 */
bool busi_code_retryable(int code);

/* printf format with one %d (the limit) or none; "is invalid" for a number without a row. */
const char *busi_rule_text(int rule);
