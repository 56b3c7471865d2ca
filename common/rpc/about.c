#include "rpc/about.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "rpc/describe.h"

enum {
    RETRY_AFTER_MS = 1000,
    DESCRIBED_MOST = 100 /* a second: kilobytes and a tenth of a millisecond each, and never anything new */
};

static struct busi_health_reply health(const struct busi_about *about, int64_t in_flight)
{
    return (struct busi_health_reply){.service = busi_str_of(about->service),
                                      .version = BUSI_STR(BUSI_VERSION),
                                      .ready = about->ready(about->server),
                                      .draining = about->draining,
                                      .in_flight = in_flight,
                                      .cancels = true};
}

/* ---- the methods ---- */

#define METHOD_COMMON(name, wire, request, reply, retry, timeout)                                            \
    BUSI_HANDLER(struct busi_served, rpc, name, request, reply)
#include "proto/methods.def"

const struct busi_endpoint busi_about_endpoints[] = {
#define METHOD_COMMON(name, wire, request, reply, retry, timeout) BUSI_ENDPOINT(rpc, name)
#include "proto/methods.def"
};
const size_t busi_about_n_endpoints = sizeof busi_about_endpoints / sizeof *busi_about_endpoints;

enum busi_code rpc_health(struct busi_served *self, struct busi_call *call, const struct busi_empty *in,
                          struct busi_health_reply *out)
{
    struct busi_about *about = self->state;
    int64_t now_ms = busi_now_ms();
    (void)call, (void)in;
    (void)busi_peers_note(&about->peers,
                          &(struct busi_told){.peer = self->peer, .until_ms = now_ms + BUSI_PEER_MS}, now_ms);
    *out = health(about, (int64_t)self->calls->in_flight - 1); /* but for this one */
    return BUSI_OK;
}

/* As long as its budget lasts; each change is another answer to it. */
enum busi_code rpc_watch(struct busi_served *self, struct busi_call *call, const struct busi_empty *in,
                         struct busi_health_reply *out)
{
    struct busi_about *about = self->state;
    (void)in;
    busi_about_look(about); /* the others hear first of what this one is answered */
    if (!busi_peers_note(
            &about->peers,
            &(struct busi_told){.peer = self->peer, .id = self->head.id, .until_ms = self->until_ms},
            busi_now_ms())) {
        call->retry_after_ms = RETRY_AFTER_MS;
        return busi_call_fail(call, BUSI_RESOURCE_EXHAUSTED, "too many watches");
    }
    *out = health(about, (int64_t)self->calls->in_flight - 1);
    return BUSI_OK;
}

enum busi_code rpc_cancel(struct busi_served *self, struct busi_call *call,
                          const struct busi_cancel_request *in, struct busi_empty *out)
{
    struct busi_about *about = self->state;
    (void)call, (void)out;
    busi_calls_cancel(self->calls, &self->peer, (uint64_t)in->id);
    if (in->id != 0)
        busi_peers_forget(&about->peers, &self->peer, (uint64_t)in->id);
    return BUSI_OK;
}

enum busi_code rpc_describe(struct busi_served *self, struct busi_call *call, const struct busi_empty *in,
                            struct busi_describe_reply *out)
{
    struct busi_about *about = self->state;
    const int64_t now_s = busi_now_ms() / 1000;
    (void)in;
    call->retry_after_ms = RETRY_AFTER_MS;
    if (about->described_s != now_s)
        about->described = 0;
    about->described_s = now_s;
    if (about->described++ >= DESCRIBED_MOST) {
        busi_metric_add(BUSI_METRIC_rpc_shed, 1);
        return busi_call_fail(call, BUSI_RESOURCE_EXHAUSTED,
                              "has been described often enough in this second");
    }
    if (busi_describe(about->endpoints, about->n_endpoints, &call->arena, out))
        return BUSI_OK;
    return busi_call_fail(call, BUSI_RESOURCE_EXHAUSTED, "out of memory");
}

/* ---- who is told ---- */

static void tell(struct busi_about *about, const struct busi_told *told)
{
    struct busi_buf buf;
    busi_buf_init(&buf, BUSI_RPC_MAX_REPLY);
    if (told->id == 0) {
        busi_notice_encode(&buf, about->draining);
    } else {
        const struct busi_health_reply reply = health(about, (int64_t)about->calls->in_flight);
        busi_reply_encode(&buf, told->id, BUSI_OK, NULL, busi_desc_health_reply(), &reply);
    }
    busi_calls_send(about->calls, &told->peer, (struct busi_str){0}, &buf);
    busi_buf_fini(&buf);
}

/* watch_only: pings ask often enough. */
static void tell_all(struct busi_about *about, bool watch_only)
{
    int64_t now_ms = busi_now_ms();
    about->was_ready = about->ready(about->server);
    for (size_t i = 0; i < about->peers.n; i++) {
        const struct busi_told *told = &about->peers.list[i];
        if (told->until_ms > now_ms && !(watch_only && told->id == 0))
            tell(about, told);
    }
}

void busi_about_look(struct busi_about *about)
{
    if (about->ready(about->server) != about->was_ready)
        tell_all(about, true);
}

void busi_about_drain(struct busi_about *about)
{
    about->draining = true;
    tell_all(about, false);
}
