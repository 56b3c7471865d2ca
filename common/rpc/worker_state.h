/* What a client knows of its workers, for whoever wants to hear of changes. */
#pragma once

enum busi_worker_state {
    BUSI_WORKER_GONE,      /* or never there */
    BUSI_WORKER_NOT_READY, /* lacks a store, or something else it needs; gets calls when no other is there */
    BUSI_WORKER_DRAINING,  /* is about to stop, and gets no new calls */
    BUSI_WORKER_SERVING
};
/* service as the client's options name it, worker as "10.0.0.7:5001"; both only for the time of the call. */
typedef void busi_worker_state_fn(void *arg, const char *service, const char *worker,
                                  enum busi_worker_state state);
