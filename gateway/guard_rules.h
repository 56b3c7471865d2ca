/* What routes ask of a token besides being good, by configuration (BUSI_GUARD_RULES): AccessPass' plugs.
 *
 *     rules      = rule *( ";" rule )
 *     rule       = method path *condition       with blanks between; all conditions must hold
 *     method     = one of a route, or "*"
 *     path       = of a route, as `gateway routes` prints it
 *     condition  = "confirmed"                  the account's e-mail address was confirmed
 *                / "meta." key "=" value        this member of the account's meta has this value
 *     value      = text without blanks and ";", or any text in double quotes; a bare number, true or false is
 *                  no text
 *
 * A rule without conditions asks for a good token. Several rules of one route must all hold. */
#pragma once
#include "params.h"
#include "router.h"

enum { GUARD_CONDITIONS_MOST = 128 };

struct guard_condition {
    size_t route;        /* index in routes[] */
    struct busi_str key; /* of meta; absent: `confirmed` */
    struct param value;  /* TEXT, INT, REAL or BOOL */
};
struct guard_rules {
    bool named[ROUTES]; /* is there a rule at all? */
    struct guard_condition list[GUARD_CONDITIONS_MOST];
    size_t n;
};

/* Texts are borrowed from text. False: a line per fault was written to errors. */
[[nodiscard]] bool guard_rules_read(struct guard_rules *rules, struct busi_str text,
                                    const struct router_options *options, struct busi_buf *errors);

enum guard_verdict { GUARD_PASSES, GUARD_NOT_CONFIRMED, GUARD_UNAUTHORIZED };
/* arena: for reading meta. Meta that cannot be read has no members. */
enum guard_verdict guard_rules_judge(const struct guard_rules *rules, const struct route *route,
                                     const struct busi_principal *principal, struct busi_arena *arena);
