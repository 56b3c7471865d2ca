#include "slow_domains.h"
#include <stdio.h>

enum { REMEMBER_MS = 60000 };

/* Addresses are valid: letters, digits, dots and dashes behind the one @. */
static void domain_of(struct busi_str recipient, char domain[SLOW_DOMAIN_BYTES])
{
    const char *at = recipient.len ? memchr(recipient.ptr, '@', recipient.len) : NULL;
    size_t from = at ? (size_t)(at - recipient.ptr) + 1 : recipient.len, n = 0;
    for (size_t i = from; i < recipient.len && n < SLOW_DOMAIN_BYTES - 1; i++)
        domain[n++] = busi_lower(recipient.ptr[i]);
    domain[n] = 0;
}

/* Its place; -1: it is not slow. */
static int find(const struct slow_domains *domains, const char *domain, int64_t now_ms)
{
    for (int i = 0; i < SLOW_DOMAINS; i++)
        if (domains->list[i].until_ms > now_ms && strcmp(domains->list[i].domain, domain) == 0)
            return i;
    return -1;
}

/* A free place, or that of the domain to be forgotten next. */
static int oldest(const struct slow_domains *domains)
{
    int place = 0;
    for (int i = 1; i < SLOW_DOMAINS; i++)
        if (domains->list[i].until_ms < domains->list[place].until_ms)
            place = i;
    return place;
}

void slow_domains_note(struct slow_domains *domains, struct busi_str recipient, bool slow, int64_t now_ms)
{
    char domain[SLOW_DOMAIN_BYTES];
    domain_of(recipient, domain);
    int place = find(domains, domain, now_ms);
    if (!slow) {
        if (place >= 0)
            domains->list[place].until_ms = 0;
        return;
    }
    if (place < 0)
        place = oldest(domains);
    memcpy(domains->list[place].domain, domain, sizeof(domain));
    domains->list[place].until_ms = now_ms + REMEMBER_MS;
}

bool slow_domains_has(const struct slow_domains *domains, struct busi_str recipient, int64_t now_ms)
{
    char domain[SLOW_DOMAIN_BYTES];
    domain_of(recipient, domain);
    return find(domains, domain, now_ms) >= 0;
}

struct busi_str slow_domains_array(const struct slow_domains *domains, int64_t now_ms,
                                   char text[SLOW_DOMAINS_ARRAY_BYTES])
{
    size_t len = 0;
    text[len++] = '{';
    for (int i = 0; i < SLOW_DOMAINS; i++)
        if (domains->list[i].until_ms > now_ms)
            len += (size_t)snprintf(text + len, SLOW_DOMAINS_ARRAY_BYTES - len, "%s%s", len > 1 ? "," : "",
                                    domains->list[i].domain);
    text[len++] = '}';
    return (struct busi_str){text, len};
}
