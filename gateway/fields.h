/* Text members of a request body on their way into a message, and the refusals on their way back. A member of
 * another type is sent as blank, which a service always refuses, so that it judges the other members too and
 * stores nothing; its refusal is then reworded "is invalid". */
#pragma once
#include "params.h"
#include "rpc/call.h"

struct fields {
    const struct param *object;
    const char *wrong[8]; /* members of another type; static */
    size_t n_wrong;
};

/* Absent when there is no such member, blank when it is null. A text longer than most bytes is cut there,
 * which must be far past what the service allows: it refuses what is left. */
[[nodiscard]] struct busi_str fields_text(struct fields *fields, const char *name, size_t most);
/* Rewords call->violations; returns the code to answer with. */
[[nodiscard]] enum busi_code fields_judge(const struct fields *fields, struct busi_call *call,
                                          enum busi_code code);
/* At most `most` bytes of valid UTF-8, cut between characters. */
struct busi_str fields_cut(struct busi_str text, size_t most);
