/* Domains whose mails lately kept the relay silent: only one connection at a time is given to them all, so
 * that they hold up no other's mails. Pure. */
#pragma once
#include "base/str.h"

enum {
    SLOW_DOMAINS = 16,
    SLOW_DOMAIN_BYTES = 254,
    SLOW_DOMAINS_ARRAY_BYTES = SLOW_DOMAINS * (SLOW_DOMAIN_BYTES + 1) + 4
};

struct slow_domains {
    struct {
        char domain[SLOW_DOMAIN_BYTES]; /* lower case */
        int64_t until_ms;               /* busi_now_ms() scale; past: the place is free */
    } list[SLOW_DOMAINS];
};

/* A mail to this recipient was slow, or was not. Past SLOW_DOMAINS the one that would be forgotten first
 * makes room. */
void slow_domains_note(struct slow_domains *domains, struct busi_str recipient, bool slow, int64_t now_ms);
bool slow_domains_has(const struct slow_domains *domains, struct busi_str recipient, int64_t now_ms);
/* As text of an SQL array: "{a.org,b.org}". */
struct busi_str slow_domains_array(const struct slow_domains *domains, int64_t now_ms,
                                   char text[SLOW_DOMAINS_ARRAY_BYTES]);
