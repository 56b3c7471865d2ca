/* Status codes and refusal rules: the rows of proto/errors.def and proto/rules.def as C. */
#pragma once
#include "base/buf.h"

enum busi_code {
#define ERROR(name, number, http, retry) BUSI_##name = number,
#include "proto/errors.def"
#undef ERROR
};

enum busi_rule {
#define RULE(name, number, text) BUSI_RULE_##name = number,
#include "proto/rules.def"
#undef RULE
};

/* Both: a number without a row is UNKNOWN's row. Static storage. */
const char *busi_code_name(int code); /* "NOT_FOUND" */
int busi_code_http(int code);         /* 404 */
/* It says something of the request, not of us: 4xx over HTTP. */
bool busi_code_is_verdict(int code);

/* printf format with one %d (the limit) or none; "is invalid" for a number without a row. */
const char *busi_rule_text(int rule);
/* The same with its limit in it. */
void busi_rule_print(struct busi_buf *out, int rule, int64_t limit);
