/* What routes ask of a token besides being good: by the column `who` of routes.def, and by configuration
 * (BUSI_GUARD_RULES).
 *
 *     rules      = rule *( ";" rule )
 *     rule       = method path *condition       with blanks between; all conditions must hold
 *     method     = one of a route, or "*"
 *     path       = of a route, as `gateway routes` prints it
 *     condition  = "confirmed"                  the account's e-mail address was confirmed
 *                / "meta." key "=" value        this member of the account's meta has this value
 *                / "role=" names                the account has one of these roles, with commas between, or
 * root / "owner"                      it created what the route is about (or has the role root) /
 * "owner|role=" names          one of both value      = text without blanks and ";", or any text in double
 * quotes; a bare number, true or false is no text
 *
 * Several rules of one route must all hold. Conditions on role and owner replace those of routes.def; who
 * does not hold to them is refused in the surface's own words. The others are AccessPass' plugs: the token
 * may be sent as its clients do, and refusals are worded as its plugs do, whatever the surface; so are those
 * of a rule without conditions, which asks for a good token. */
#pragma once
#include "params/params.h"
#include "routing/router.h"

enum { GUARD_CONDITIONS_MOST = 128 };

enum guard_kind { GUARD_CONFIRMED, GUARD_META, GUARD_ROLES };
struct guard_condition {
    size_t route; /* index in routes[] */
    enum guard_kind kind;
    struct busi_str text;  /* as it was written */
    struct busi_str key;   /* META */
    struct param value;    /* META: TEXT, INT, REAL or BOOL */
    struct busi_str roles; /* ROLES: names with commas between, or absent */
    bool owner;            /* ROLES: or the owner */
};
struct guard_rules {
    bool named[ROUTES];        /* is there a rule at all? */
    bool plugged[ROUTES];      /* is one AccessPass' plug? */
    bool judges_roles[ROUTES]; /* do they say who may, instead of routes.def? */
    struct guard_condition list[GUARD_CONDITIONS_MOST];
    size_t n;
};

/* Texts are borrowed from text. False: a line per fault was written to errors. */
[[nodiscard]] bool guard_rules_read(struct guard_rules *rules, struct busi_str text,
                                    const struct router_options *options, struct busi_buf *errors);

enum guard_verdict { GUARD_PASSES, GUARD_NOT_CONFIRMED, GUARD_UNAUTHORIZED, GUARD_FORBIDDEN };
/* arena: for reading meta. Meta that cannot be read has no members. *owner_id: whose the route's object must
 * be, 0 for anybody's. */
enum guard_verdict guard_rules_judge(const struct guard_rules *rules, const struct route *route,
                                     const struct busi_principal *principal, struct busi_arena *arena,
                                     int64_t *owner_id);

/* "public", "token" or what is asked of it, as conditions. */
void guard_rules_print(struct busi_buf *out, const struct guard_rules *rules, const struct route *route);
