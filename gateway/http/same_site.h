/* Was a form sent from a page of our own? Pure; any thread. */
#pragma once
#include "http/http.h"

/* By Sec-Fetch-Site where the browser sends it, by Origin where it does not. True when it sends neither, as
 * programs do: they have no cookies and no user who could be tricked. */
bool same_site(const struct http_request *request);
/* Does one of our pages, or who sits before the browser, ask for this page itself? Not a link of another
 * site, by Sec-Fetch-Site or Referer, and not a browser that fetches ahead. */
bool same_site_visit(const struct http_request *request);
