/* busi for other programs in C: calls to its services over CURVE, answered by any of their workers.
 *
 *     char error[BUSI_CLIENT_ERROR];
 *     struct busi_client *client = busi_client_open(&(struct busi_client_options){
 *         .auth = {"auth.internal:5001", "auth-svc.pub"}, .key_file = "billing.key"}, error);
 *     struct busi_call call;
 *     struct busi_principal who;
 *     busi_call_init(&call, 1 << 20);
 *     call.until_ms = busi_now_ms() + 500;
 *     const struct busi_check_token_request request = {.token = busi_str_of(token)};
 *     enum busi_code code = busi_rpc_auth_check_token(busi_client_rpc(client), &call, &request, &who);
 *     ...                      on BUSI_OK who is filled; its texts live in the call
 *     busi_call_fini(&call);
 *     busi_client_close(&client);
 *
 * There is a busi_rpc_<service>_<method>() for each row of proto/methods.def, with the structs of
 * proto/messages.def. Names are resolved to every address, again and again; a call goes to the less loaded of
 * two healthy workers, and if it may be repeated to another when its worker dies. busi_rpc_cancel() calls one
 * off that another thread waits for. What is wrong on the library's own side (a name that is not resolved, an
 * answer that is none) is a line of JSON on stderr. After fork() a child cannot use or close its
 * parent's client; it opens one of its own. C23 (gcc -std=gnu2x). */
#pragma once
#include "rpc/client.h"

/* A service to be called; all NULL: it is not. Texts are copied. */
struct busi_client_service {
    const char *endpoints;   /* "host:port,host:port" */
    const char *certificate; /* file with its public key, as auth-svc.pub */
};
struct busi_client_options {
    struct busi_client_service auth, directory, mailer;
    /* file with this program's key pair, made by gen-keys; its .pub is in the services' allow folders */
    const char *key_file;
    size_t max_in_flight; /* calls at once per worker; 0: 64 */
    /* Told of each change of each worker, on the library's thread (at the end on that which closes): it must
     * not block. May be NULL. */
    busi_worker_state_fn *on_state;
    void *on_state_arg;
};

struct busi_client;
enum { BUSI_CLIENT_ERROR = 200 };
/* Starts a thread that connects in the background. NULL, and why in error: the options or the own key are
 * unusable. A service whose certificate is not there has no worker, which is said on stderr.
 */
[[nodiscard]] struct busi_client *busi_client_open(const struct busi_client_options *options,
                                                   char error[BUSI_CLIENT_ERROR]);
/* True as soon as every service has a worker, false after ms. Calls may be made before. Any thread. */
bool busi_client_wait(struct busi_client *client, int64_t ms);
/* For the calls; the client's. Any number of threads may make them at once, each with a struct busi_call of
 * its own. */
struct busi_rpc_client *busi_client_rpc(struct busi_client *client);
/* Only when no call is under way any more; no other thread may use the client meanwhile. *client becomes
 * NULL; if it is, nothing happens. */
void busi_client_close(struct busi_client **client);
