/* From a checked request to its answer: parameters, method override, route, Accept, token, handler - in this
 * order, which clients can see. These are the functions the front calls (http.h); state is the gateway. */
#pragma once
#include "core/gateway.h"
#include "params/params.h"

int64_t pipeline_body_limit(void *state, const struct http_request *request);
void pipeline_answer(void *state, struct http_request *request, struct http_response *response);
void pipeline_refuse(void *state, const struct http_request *request, struct busi_str path,
                     struct http_response *response);
void pipeline_done(void *state, const struct http_request *request, const struct http_response *response,
                   int64_t us);

/* The method a POST really is, by its body's _method (any case); only PUT, PATCH and DELETE can be asked for.
 */
enum http_method pipeline_method(enum http_method method, const struct param *body);
