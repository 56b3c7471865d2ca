/* The JSON of the magic surface and its refusals, {"message":"..","field":".."}. Any thread. */
#pragma once
#include "core/exchange.h"

enum { MAGIC_SHOWN_MOST = 100 }; /* bytes of what a client sent, in a refusal */
#define MAGIC_DOOR BUSI_STR("magic")

/* {"result":"<text>"} */
void magic_answer(struct exchange *x, int status, const char *result);
/* {"<name>":<n>}, as "count" and "affected" */
void magic_answer_number(struct exchange *x, int status, const char *name, int64_t n);
/* {"ticket":".."} */
void magic_answer_ticket(struct exchange *x, const struct busi_session_reply *session);
/* A refusal of our own; field may be absent. */
[[gnu::format(printf, 4, 5)]] void magic_refuse(struct exchange *x, int status, struct busi_str field,
                                                const char *format, ...);
/* A failed call: what it refuses in Magic's words, 409 for what is taken; else as exchange_fail(). */
void magic_fail(struct exchange *x, enum busi_code code);
/* The same, where NOT_FOUND and ALREADY_EXISTS are about what this argument names. */
void magic_fail_about(struct exchange *x, enum busi_code code, const char *field);

/* What names an account to Magic's clients. */
struct busi_str magic_username(struct busi_str username, struct busi_str email);
/* As part of a query: what is reserved there is escaped. */
void magic_write_url(struct busi_buf *out, struct busi_str text);
/* To the same with another cursor, the ticket left out. */
void magic_link_next(struct exchange *x, const char *cursor, int64_t at);
/* ["a","b"] of "a,b" */
void magic_write_roles(struct busi_buf *out, struct busi_str roles);
