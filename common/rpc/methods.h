/* The rows of proto/methods.def as C: ids, descriptors of their messages, handler prototypes. */
#pragma once
#include "rpc/call.h"

enum busi_method_id {
#define METHOD(service, name, ...) BUSI_METHOD_##service##_##name,
#include "proto/methods.def"
    BUSI_METHODS
};
enum busi_retry { BUSI_ONCE, BUSI_IDEMPOTENT };

struct busi_method {
    const char *service; /* "auth"; "rpc": every service has it */
    const char *wire;    /* "auth.SignIn" */
    const struct busi_desc *(*request)(void);
    const struct busi_desc *(*reply)(void);
    enum busi_retry retry;
    int timeout_ms;
};
const struct busi_method *busi_method_get(enum busi_method_id id);

/* A handler runs on a fiber of its own: straight-line code, allocating from call->arena. Out is zeroed. */
typedef enum busi_code busi_handler(void *service, struct busi_call *call, const void *in, void *out);

struct busi_endpoint {
    enum busi_method_id method;
    busi_handler *handler;
};
/* In a service's table, with the handler auth_sign_in(struct <state> *, struct busi_call *, const struct
 * busi_sign_in_request *, struct busi_session_reply *): #define METHOD_AUTH(name, wire, request, reply,
 * retry, timeout) BUSI_HANDLER(struct auth, auth, name, request, reply) #include "proto/methods.def" declares
 * the prototype and a type-erased busi_call_auth_sign_in(); BUSI_ENDPOINT(auth, name) is its table row. A
 * method without a handler does not link; a handler of another shape does not compile. */
#define BUSI_HANDLER(state, service, name, request, reply)                                                   \
    enum busi_code service##_##name(state *self, struct busi_call *call, const struct busi_##request *in,    \
                                    struct busi_##reply *out);                                               \
    static enum busi_code busi_call_##service##_##name(void *self, struct busi_call *call, const void *in,   \
                                                       void *out)                                            \
    {                                                                                                        \
        return service##_##name(self, call, in, out);                                                        \
    }
#define BUSI_ENDPOINT(service, name) {BUSI_METHOD_##service##_##name, busi_call_##service##_##name},
