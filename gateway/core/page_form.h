/* Forms of pages: what was typed, and what was wrong with it. */
#pragma once
#include "core/exchange.h"
#include "pages/page.h"

/* A text of the form, "email" of "user" or (object NULL) one of its own; absent when there is none. Borrowed
 * from the request. */
struct busi_str page_form_text(const struct exchange *x, const char *object, const char *name);
/* Why this field was refused, in the reader's language; absent when it was not. In the call's arena. */
struct busi_str page_form_fault(struct exchange *x, const char *field);
/* Where the reader is sent afterwards, by form or query: absent for nowhere. False: to a place that is none
 * of ours, and that is answered. */
[[nodiscard]] bool page_form_return_to(struct exchange *x, struct busi_str *target);
/* The beginning of a query that tells the target: "?return_to=..." and, with more to come, "&"; "" or "?"
 * without a target. In the call's arena. */
struct busi_str page_form_onward(struct exchange *x, struct busi_str target, bool more);
