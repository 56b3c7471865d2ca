/* A client of its own making: what it sends is up to the test. */
#pragma once
#include "rpc/context.h"
#include "rpc/envelope.h"
#include "rpc_house.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <zmq.h>

static inline void *connect_peer(const struct server *server)
{
    char endpoint[80];
    void *peer = zmq_socket(busi_zmq_context(), ZMQ_DEALER);
    int linger = 0;
    zmq_setsockopt(peer, ZMQ_LINGER, &linger, sizeof linger);
    snprintf(endpoint, sizeof endpoint, "tcp://%s", server->endpoint);
    cr_assert_eq(zmq_connect(peer, endpoint), 0);
    return peer;
}

/* Sends n frames of these bytes as one message. */
static inline void send_frames(void *peer, int n, const char *bytes, size_t len)
{
    for (int i = 0; i < n; i++)
        cr_assert(zmq_send(peer, bytes, len, i < n - 1 ? ZMQ_SNDMORE : 0) >= 0);
}

static inline int receive(void *peer, char *bytes, size_t room, int ms)
{
    zmq_setsockopt(peer, ZMQ_RCVTIMEO, &ms, sizeof ms);
    return zmq_recv(peer, bytes, room, 0);
}

static inline size_t request(char *bytes, size_t room, const char *method, uint64_t id, int64_t budget_ms,
                             int64_t business)
{
    struct busi_buf buf;
    busi_buf_init(&buf, room);
    busi_request_encode(
        &buf, &(struct busi_request_head){.method = busi_str_of(method), .id = id, .budget_ms = budget_ms},
        busi_desc_business_id_request(), &(struct busi_business_id_request){.id = business});
    cr_assert_not(buf.failed);
    size_t len = buf.len;
    memcpy(bytes, buf.ptr, len);
    busi_buf_fini(&buf);
    return len;
}

static inline struct busi_reply_head ask(void *peer, const char *bytes, size_t len, char *reply, size_t room)
{
    struct busi_reply_head head = {0};
    const char *bad = "nothing came";
    send_frames(peer, 1, bytes, len);
    int n = receive(peer, reply, room, 1000);
    cr_assert(n > 0 && busi_reply_decode((struct busi_str){reply, (size_t)n}, &head, &bad), "%s", bad);
    return head;
}
