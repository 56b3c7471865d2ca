/* What a person would call a program by its User-Agent. Pure; any bytes are fine. */
#pragma once
#include "base/str.h"

enum { AGENT_NAME_BYTES = 64 };

/* "Firefox, Android", "Browser, Linux"; the first word of others, as "curl/8.5.0"; "" when it says nothing.
 */
void agent_name(char out[AGENT_NAME_BYTES], struct busi_str user_agent);
