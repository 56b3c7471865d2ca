/* CivetWeb's own mg_stop() waits until its accept thread happens to look up, every two seconds. */
#pragma once

struct mg_context;

/* mg_stop(), within milliseconds: knocks at the server's own port until it has stopped. server may be NULL.
 */
void busi_web_stop(struct mg_context *server);
