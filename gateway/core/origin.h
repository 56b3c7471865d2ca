/* Who is at the edge, for the services: limits, the list of sessions, the language of mails. */
#pragma once
#include "core/gateway.h"

/* Texts live in the request's arena or are borrowed from its head; what has not the form an envelope may
 * carry is left out. */
struct busi_origin origin_of(struct gateway *gateway, struct http_request *request);
