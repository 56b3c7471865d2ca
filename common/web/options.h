/* What every handle of libcurl is told first, whoever uses it; and how it is told more. Any thread. */
#pragma once
#include "base/str.h"
#include <curl/curl.h>

/* These protocols and no other, straight to the host, over TLS that is verified (where there is TLS), with
 * nothing taken from the environment or the home folder, and no signals. False, of all of these: out of
 * memory. */
[[nodiscard]] bool busi_web_begin(CURL *curl, const char *protocols);
/* libcurl has a copy; no other is left. ptr NULL: the option stays as it is. */
[[nodiscard]] bool busi_web_text(CURL *curl, CURLoption option, struct busi_str text);
[[nodiscard]] bool busi_web_number(CURL *curl, CURLoption option, long number);
