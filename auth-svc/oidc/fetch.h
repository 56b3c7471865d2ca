/* HTTP to OpenID providers, over libcurl. Blocking: on threads that may wait, never on the loop. Redirects
 * are not followed, proxies of the environment not used. */
#pragma once
#include "base/buf.h"

struct auth_oidc_web {
    bool anywhere; /* private addresses and plain http are allowed, for providers within the house */
    /* PEM: whom the provider's certificate must be signed by; absent: the system's. Borrowed */
    struct busi_str ca_file;
};
/* Once in a process. False: libcurl could not. */
[[nodiscard]] bool auth_oidc_web_begin(void);
void auth_oidc_web_end(void);

struct auth_oidc_request {
    struct busi_str url;
    struct busi_str form; /* a POST of this body (application/x-www-form-urlencoded); absent: a GET */
    struct busi_str user, password; /* HTTP Basic; absent: none */
    struct busi_str bearer;         /* absent: none */
    int64_t until_ms;               /* busi_now_ms() scale */
};
struct auth_oidc_answer {
    int status;           /* 0: there was none */
    struct busi_buf body; /* at most 64 KiB; the caller's busi_buf_fini() */
    char fault[160];      /* without status: why, for logs */
};
/* Whatever comes back is in answer, which need not be initialised. */
void auth_oidc_fetch(const struct auth_oidc_web *web, const struct auth_oidc_request *request,
                     struct auth_oidc_answer *answer);

/* May a provider be asked at this address, without "anywhere"? Not where only we can reach: loopback,
 * private, link-local, shared and multicast networks (IANA's special-purpose registries). */
struct sockaddr;
bool auth_oidc_address_public(const struct sockaddr *address);
