/* Bodies, read whole before a deadline of their own: CivetWeb's timeout begins anew with every byte that
 * comes. */
#include "http/front_state.h"
#include "http/front_view.h"
#include <civetweb.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { POLL_SLICE_MS = 250 }; /* so that a stopping front is noticed */

/* Bytes that can be read without waiting; 0: none came in time, -1: the peer has gone. */
static int wait_for_bytes(const struct front_worker *worker, int64_t until_ms)
{
    for (;;) {
        int64_t left_ms = until_ms - busi_now_ms();
        if (left_ms <= 0 || atomic_load(&worker->front->stopping))
            return 0;
        struct pollfd wait = {.fd = worker->socket, .events = POLLIN};
        int ready = poll(&wait, 1, left_ms < POLL_SLICE_MS ? (int)left_ms : POLL_SLICE_MS);
        if (ready < 0 && errno != EINTR)
            return -1;
        if (ready <= 0)
            continue;
        int bytes = 0;
        if (ioctl(worker->socket, FIONREAD, &bytes) != 0 || bytes <= 0)
            return -1;
        return bytes;
    }
}

static enum front_body read_rest(struct front_worker *worker, struct mg_connection *connection, char *to,
                                 size_t want, size_t got)
{
    int64_t until_ms = busi_now_ms() + worker->front->body_timeout_ms;
    while (got < want) {
        int ready = wait_for_bytes(worker, until_ms);
        if (ready <= 0)
            return ready == 0 ? FRONT_BODY_STALLED : FRONT_BODY_BROKEN;
        size_t n = (size_t)ready < want - got ? (size_t)ready : want - got;
        int taken = mg_read(connection, to + got, n); /* never waits: so many bytes are there */
        if (taken <= 0)
            return FRONT_BODY_BROKEN;
        got += (size_t)taken;
    }
    return FRONT_BODY_WHOLE;
}

enum front_body front_read_body(struct front_worker *worker, struct mg_connection *connection, char **owned)
{
    struct http_request *request = &worker->request;
    size_t want = (size_t)request->content_length;
    struct front_view view;
    *owned = NULL;
    if (!front_view_read(connection, &view))
        return FRONT_BODY_BROKEN;
    size_t have = view.received - view.head_bytes;
    if (have >= want) { /* came together with the head: no copy */
        request->body = (struct busi_str){view.buffer + view.head_bytes, want};
        return FRONT_BODY_WHOLE;
    }
    *owned = malloc(want);
    if (!*owned)
        return FRONT_BODY_NO_MEMORY;
    request->body = (struct busi_str){*owned, want};
    if (have > 0 && mg_read(connection, *owned, have) != (int)have)
        return FRONT_BODY_BROKEN;
    return read_rest(worker, connection, *owned, want, have);
}

void front_wipe_body(struct http_request *request, char *owned)
{
    /* it held a password, perhaps; ours or CivetWeb's, the memory is writable */
    if (request->body.len > 0)
        explicit_bzero((void *)(uintptr_t)request->body.ptr, request->body.len);
    request->body = (struct busi_str){0};
    free(owned);
}

void front_linger(const struct front_worker *worker)
{
    int64_t until_ms = busi_now_ms() + FRONT_LINGER_MS;
    size_t taken = 0;
    char bin[4096];
    if (worker->socket < 0)
        return;
    shutdown(worker->socket, SHUT_WR);
    while (taken < FRONT_LINGER_BYTES && wait_for_bytes(worker, until_ms) > 0) {
        ssize_t n = recv(worker->socket, bin, sizeof(bin), MSG_DONTWAIT);
        if (n <= 0)
            return;
        taken += (size_t)n;
    }
}
