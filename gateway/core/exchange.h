/* One request on its way through the gateway: what a handler gets, and how it fails. Lives on the stack of
 * the connection's thread; what it points to lives in the request's call arena. */
#pragma once
#include "params/params.h"
#include "routing/router.h"

struct gateway;

struct exchange {
    struct gateway *gateway;
    struct http_request *request;
    struct http_response *response;
    const struct surface *surface;
    const struct route *route;              /* NULL until matched */
    bool plugged;                           /* guarded as by AccessPass' plugs: guard_rules.h */
    struct busi_str id;                     /* what ":id" took, raw */
    const struct param *body;               /* an OBJECT, empty when there was no body of a known type */
    const struct param *query;              /* likewise */
    struct busi_str token;                  /* the good one it came with; absent until that is known */
    const struct busi_principal *principal; /* whose token it is; NULL until that is known */
    int64_t owner_id;                       /* only what is this user's; 0: anybody's */
};

/* Answers with the surface's shape of this status. */
void exchange_error(struct exchange *x, int status);
/* Answers a failed call: its violations if it has any, 429 with RateLimit headers when its quota is used up,
 * else the status of code, with Retry-After on 503. Who asked for what is not his is forbidden. */
void exchange_fail(struct exchange *x, enum busi_code code);
/* Did the service say no to what was asked, or could it not say anything? */
bool exchange_is_verdict(enum busi_code code);
void exchange_unauthenticated(struct exchange *x, enum token_fault fault);
/* Known, but without the right: status and shape are the surface's. */
void exchange_forbidden(struct exchange *x);
/* Before one page more of a list is asked for: memory for it beside what is written already. False: there are
 * too many long lists under way, which has been answered (503). */
[[nodiscard]] bool exchange_hold_page(struct exchange *x);
/* Answers with plain text. */
void exchange_text(struct exchange *x, int status, struct busi_str text);
/* 303: the browser goes there by GET. location: fit for a header. */
void exchange_redirect(struct exchange *x, struct busi_str location);
/* 405, with these methods in Allow. */
void exchange_wrong_method(struct exchange *x, unsigned methods);

/* Answers status with the JSON in response->body; 500 instead when it did not fit. */
void exchange_json(struct exchange *x, int status);

enum id_verdict { ID_OK, ID_BAD, ID_UNKNOWN };
/* A row id: ID_BAD when it is no canonical decimal, ID_UNKNOWN when no row can have it (below 1, past int64).
 */
enum id_verdict exchange_id(struct busi_str text, int64_t *out);
