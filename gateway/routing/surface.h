/* What differs from surface to surface apart from its routes: how it words what went wrong. */
#pragma once
#include "http/http.h"

struct exchange;

enum surface_id {
#define SURFACE(name) SURFACE_##name,
#include "routing/surfaces.def"
#undef SURFACE
    SURFACES
};

enum token_fault {
    TOKEN_MISSING, /* nowhere it could be, or another scheme */
    TOKEN_INVALID  /* not ours, expired, revoked, or its user is gone */
};

struct surface {
    const char *name;
    bool any_slashes;     /* repeated and trailing slashes equal none; otherwise they are another path */
    bool method_override; /* a POST may be another method by its body's _method */
    bool tells_methods;   /* a wrong verb is 405 with Allow; otherwise 404 */
    bool no_store;        /* every answer, not just those of PASSWORD routes */
    bool cross_origin;    /* pages of origins named in BUSI_CORS_ORIGINS may read its answers */
    bool for_people;      /* its answers are pages, in the client's language */
    /* answers those who would rather have a page; NULL: the same for all */
    const struct surface *for_browsers;
    const char *not_ids;          /* texts that no ":id" takes, with commas between; NULL: any is taken */
    int forbidden;                /* status for who is known but may not; 0: 403 */
    struct busi_str token_header; /* where the access token is sent; absent: in Authorization only */
    bool query_token;             /* where there is none, the query's access_token counts */
    /* What a request must look like before it is asked whose it is; false: answered. NULL: anything may come
     */
    bool (*check)(struct exchange *x);
    /* Each sets status (those that do not take one), content type and body. */
    void (*error)(struct http_response *response, int status); /* every status without a function below */
    void (*unauthenticated)(struct http_response *response, enum token_fault fault);
    void (*invalid)(struct http_response *response, const struct busi_call *call); /* call->violations */
};

#define SURFACE(name) extern const struct surface surface_##name;
#include "routing/surfaces.def"
#undef SURFACE

/* Never NULL. */
const struct surface *surface_get(enum surface_id id);
