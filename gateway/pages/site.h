/* What every page has of the house it belongs to: name, style, where its forms are, where it may send a
 * browser. Read once at start, then constant; any thread. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"
#include "http/origins.h"
#include "routing/router.h"

struct page_site {
    struct busi_arena arena; /* of all texts below that are no settings; owned */
    struct busi_str name;    /* of the house, for titles; "" when it has none */
    struct busi_str brand;   /* markup: logo and name above each page; "" when it has neither */
    struct busi_str style;   /* of every page: the built-in one, and the house's behind it */
    struct busi_str policy;  /* Content-Security-Policy of every page */
    struct busi_str home;    /* where a browser goes that nobody sends anywhere */
    struct origins origins;  /* besides paths of this site, where return_to may lead */
    struct busi_str pages;   /* prefix of this surface; absent when it is off */
    struct busi_str account; /* likewise */
    struct busi_str ash;     /* likewise */
    struct busi_str resets;  /* door whose rules hold for passwords that pages set */
    bool sign_in_tokens;     /* pages that mails link to sign in by them */
    struct busi_str cookie;  /* name of the session's cookie */
    bool secure;             /* clients reach the house by https: its cookie is sent by nothing else */
};

/* NULL, with a line in errors: the theme or a setting is wrong, or memory ran out. settings and options are
 * borrowed. */
[[nodiscard]] struct page_site *page_site_new(const struct busi_settings *settings,
                                              const struct router_options *options, struct busi_buf *errors);
void page_site_free(struct page_site **site);
/* Would a form of ours, a link or a hostile hand send a browser to a place of ours? */
bool page_site_may_return(const struct page_site *site, struct busi_str target);
