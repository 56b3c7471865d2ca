#include "rpc/calls.h"
#include "base/metrics.h"
#include "rpc/unread.h"
#include <stdlib.h>

enum { LARGE = 64 * 1024 };

struct busi_served *busi_calls_take(struct busi_calls *calls)
{
    struct busi_served *served = calls->unused;
    if (served)
        calls->unused = served->next;
    else
        served = malloc(sizeof *served);
    if (!served)
        return NULL;
    served->calls = calls;
    served->call = NULL;
    served->fiber = NULL;
    served->unwanted = served->cut = false;
    served->large = 0;
    busi_frame_init(&served->frame);
    calls->in_flight++;
    return served;
}

void busi_calls_give(struct busi_served *served)
{
    struct busi_calls *calls = served->calls;
    busi_frame_wipe(&served->frame);
    calls->large -= served->large;
    served->next = calls->unused;
    calls->unused = served;
    calls->in_flight--;
    if (!calls->link && calls->in_flight == 0)
        calls->on_last(calls->arg);
}

bool busi_calls_has_room(struct busi_served *served)
{
    struct busi_calls *calls = served->calls;
    const size_t bytes = busi_frame_bytes(&served->frame).len;
    if (bytes <= LARGE)
        return true;
    if (calls->large + bytes > BUSI_CALLS_LARGE_MOST)
        return false;
    served->large = bytes;
    calls->large += bytes;
    return true;
}

bool busi_calls_is_read(struct busi_served *served)
{
    return !busi_unread_much(served->calls->unread, &served->peer, busi_frame_sender(&served->frame));
}

/* What is counted is what is allocated. */
static bool take(struct busi_calls *calls, const struct busi_peer *peer, struct busi_str name,
                 struct busi_buf *buf, struct busi_frame *frame)
{
    struct busi_frame_note *note = busi_unread_add(calls->unread, peer, name, buf->room);
    if (!note)
        return false;
    if (busi_frame_take(frame, buf, note))
        return true;
    busi_unread_taken(note);
    return false;
}

static enum busi_sent send_frame(struct busi_calls *calls, const struct busi_peer *peer, struct busi_str name,
                                 struct busi_buf *buf)
{
    struct busi_frame frame;
    if (!calls->link || buf->failed || !take(calls, peer, name, buf, &frame))
        return BUSI_SENT_NOT;
    enum busi_sent sent = busi_link_send_to(calls->link, peer, &frame);
    busi_frame_wipe(&frame);
    return sent;
}

void busi_calls_send(struct busi_calls *calls, const struct busi_peer *peer, struct busi_str name,
                     struct busi_buf *buf)
{
    if (send_frame(calls, peer, name, buf) != BUSI_SENT)
        busi_metric_add(BUSI_METRIC_rpc_replies_dropped, 1);
}

/* ---- which run ---- */

static struct busi_served **bucket(struct busi_calls *calls, uint64_t id)
{
    return &calls->running[id * 0x9E3779B97F4A7C15 >> 56];
}

void busi_calls_began(struct busi_served *served)
{
    struct busi_served **at = bucket(served->calls, served->head.id);
    served->next = *at;
    *at = served;
}

void busi_calls_ended(struct busi_served *served)
{
    struct busi_served **at = bucket(served->calls, served->head.id);
    while (*at != served)
        at = &(*at)->next;
    *at = served->next;
    served->call = NULL;
}

void busi_calls_hold(struct busi_served *served)
{
    served->fiber = NULL;
    busi_calls_began(served);
}

/* The first held one of a bucket, taken out of it. */
static struct busi_served *take_held(struct busi_calls *calls, size_t bucket)
{
    struct busi_served **at = &calls->running[bucket];
    while (*at && (*at)->fiber)
        at = &(*at)->next;
    struct busi_served *served = *at;
    if (served)
        *at = served->next;
    return served;
}

void busi_calls_release(struct busi_calls *calls, void (*begin)(void *arg, struct busi_served *served),
                        void *arg)
{
    struct busi_served *served;
    for (size_t i = 0; i < BUSI_CALL_BUCKETS; i++)
        while ((served = take_held(calls, i)) != NULL) {
            if (begin && !served->unwanted)
                begin(arg, served);
            else
                busi_calls_give(served);
        }
}

/* ---- whose callers have left ---- */

static void end_time(struct busi_served *served)
{
    served->cut = served->fiber && busi_fiber_cancel(served->fiber);
    if (served->cut)
        served->call->until_ms = 0; /* for the waits that may follow */
}

void busi_calls_cut(struct busi_calls *calls)
{
    for (size_t i = 0; i < BUSI_CALL_BUCKETS; i++)
        for (struct busi_served *served = calls->running[i]; served; served = served->next)
            end_time(served);
}

static void cancel(struct busi_served *served)
{
    if (served->unwanted)
        return;
    served->unwanted = true;
    busi_metric_add(BUSI_METRIC_rpc_cancelled, 1);
    end_time(served);
}

void busi_calls_cancel(struct busi_calls *calls, const struct busi_peer *peer, uint64_t id)
{
    for (struct busi_served *served = *bucket(calls, id); served; served = served->next)
        if (served->head.id == id && busi_peer_same(&served->peer, peer))
            cancel(served);
}

enum { MOST_LOOKED = 64 }; /* more are looked at once for each of their calls */

/* Clients that were looked at, and which of them have gone. */
struct looked {
    const struct busi_peer *peers[MOST_LOOKED]; /* of their calls */
    bool gone[MOST_LOOKED];
    size_t n; /* of both */
};

static bool is_gone(struct busi_calls *calls, const struct busi_peer *peer, bool draining,
                    struct looked *looked)
{
    for (size_t i = 0; i < looked->n; i++)
        if (busi_peer_same(looked->peers[i], peer))
            return looked->gone[i];
    struct busi_buf buf;
    busi_buf_init(&buf, BUSI_RPC_MAX_REPLY);
    busi_notice_encode(&buf, draining);
    bool gone = send_frame(calls, peer, (struct busi_str){0}, &buf) == BUSI_SENT_TO_NOBODY;
    busi_buf_fini(&buf);
    if (looked->n < MOST_LOOKED) {
        looked->peers[looked->n] = peer;
        looked->gone[looked->n++] = gone;
    }
    return gone;
}

void busi_calls_cancel_orphans(struct busi_calls *calls, bool draining)
{
    struct looked looked = {.n = 0};
    for (size_t i = 0; i < BUSI_CALL_BUCKETS; i++)
        for (struct busi_served *served = calls->running[i]; served; served = served->next)
            if (!served->unwanted && is_gone(calls, &served->peer, draining, &looked))
                cancel(served);
}

/* ---- the end ---- */

void busi_calls_close(struct busi_calls *calls)
{
    busi_link_close(&calls->link);
    if (calls->in_flight == 0)
        calls->on_last(calls->arg);
}

void busi_calls_fini(struct busi_calls *calls)
{
    busi_unread_free(&calls->unread);
    while (calls->unused) {
        struct busi_served *served = calls->unused;
        calls->unused = served->next;
        free(served);
    }
}
