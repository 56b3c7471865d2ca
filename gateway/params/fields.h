/* Text members of a request body on their way into a message, and the refusals on their way back. A member of
 * another type is sent as blank, which a service always refuses, so that it judges the other members too and
 * stores nothing; its refusal is then reworded "is invalid". */
#pragma once
#include "params/params.h"
#include "rpc/call.h"

/* Bytes of one field that are passed on: each is well past what the services allow, and together they fit a
 * request frame. */
enum {
    FIELDS_USERNAME_MOST = 1024,
    FIELDS_EMAIL_MOST = 4096,
    FIELDS_PASSWORD_MOST = 8192,
    FIELDS_LOGIN_MOST = 65536,
    FIELDS_NAME_MOST = 4096,
    FIELDS_DESCRIPTION_MOST = 512 * 1024,
};

struct fields_wrong {
    const char *field; /* as refusals name it; static */
    enum busi_rule rule;
    int64_t limit; /* of the rule */
};

struct fields {
    const struct param *object;
    struct fields_wrong wrong[8]; /* what we refuse ourselves */
    size_t n_wrong;
};

/* Absent when there is no such member, blank when it is null. A text longer than most bytes is cut there,
 * which must be far past what the service allows: it refuses what is left. */
[[nodiscard]] struct busi_str fields_text(struct fields *fields, const char *name, size_t most);
/* The same, of a member that refusals call by the name of another field. */
[[nodiscard]] struct busi_str fields_text_as(struct fields *fields, const char *name, const char *field,
                                             size_t most);
/* Notes a refusal of ours; send the field blank. */
void fields_refuse(struct fields *fields, const char *field, enum busi_rule rule, int64_t limit);
/* Rewords call->violations; returns the code to answer with. */
[[nodiscard]] enum busi_code fields_judge(const struct fields *fields, struct busi_call *call,
                                          enum busi_code code);
/* For requests no service needs to see when a member is wrong: false, with our refusals in call->violations.
 */
[[nodiscard]] bool fields_fine(const struct fields *fields, struct busi_call *call);
/* At most `most` bytes of valid UTF-8, cut between characters. */
struct busi_str fields_cut(struct busi_str text, size_t most);
