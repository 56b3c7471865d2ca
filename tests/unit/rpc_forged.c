/* Somebody with an allowed key, or with what he has heard on the wire, who gives himself out for another. */
#define _GNU_SOURCE /* memmem */
#include "base/metrics.h"
#include "rpc/envelope.h"
#include "rpc_curve_raw.h"
#include <stdio.h>

/* Before heartbeats find a connection dead: 2 s, of which libzmq ends the process if it left that
 * half-broken. */
enum { AT_ONCE_MS = 400 };

static char folder[64], billing_key[96], worker_pub[96];
static struct busi_curve *curve;
static struct server *server;

/* A worker that lets "billing" in, for one method. */
static void open_house(void)
{
    char command[256], key[96], allow[96];
    const char *error;
    snprintf(folder, sizeof folder, "/tmp/busi-forged-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    cr_assert_eq(busi_curve_generate(folder, "worker", NULL), 0);
    cr_assert_eq(busi_curve_generate(folder, "billing", "directory.GetBusiness"), 0);
    cr_assert_eq(busi_curve_generate(folder, "gateway", NULL), 0);
    snprintf(command, sizeof command, "cd %s && mkdir allow && cp billing.pub gateway.pub allow/", folder);
    cr_assert_eq(system(command), 0);
    snprintf(key, sizeof key, "%s/worker.key", folder);
    snprintf(allow, sizeof allow, "%s/allow", folder);
    snprintf(billing_key, sizeof billing_key, "%s/billing.key", folder);
    snprintf(worker_pub, sizeof worker_pub, "%s/worker.pub", folder);
    curve = busi_curve_open(busi_str_of(key), &error);
    cr_assert(curve && busi_curve_allow(curve, busi_str_of(allow), &error), "%s", error);
    server = start_server("one", "*", curve, 8);
}

static void close_house(void)
{
    char command[128];
    stop_server(&server);
    busi_curve_close(&curve);
    snprintf(command, sizeof command, "rm -rf %s", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(rpc_forged, .init = open_house, .fini = close_house, .timeout = 60);

/* {1: 1, 2: method, 3: id, 4: 5000, 9: {1: 1}} */
static size_t ask_for(char *bytes, const char *method, uint64_t id)
{
    struct busi_buf buf;
    busi_buf_init(&buf, 1024);
    busi_request_encode(
        &buf, &(struct busi_request_head){.method = busi_str_of(method), .id = id, .budget_ms = 5000},
        busi_desc_business_id_request(), &(struct busi_business_id_request){.id = 1});
    cr_assert(!buf.failed && buf.len <= 512);
    memcpy(bytes, buf.ptr, buf.len);
    size_t n = buf.len;
    busi_buf_fini(&buf);
    return n;
}

/* The next answer's bytes, opened; pings of libzmq are passed over. */
static size_t answer(const struct by_hand *hand, uint8_t *plain, size_t room)
{
    for (;;) {
        uint8_t head[9], frame[4096], nonce[24];
        size_t n;
        hear(hand->fd, head, 2);
        n = head[1];
        if (head[0] & 2) { /* long */
            hear(hand->fd, head + 2, 7);
            n = (size_t)head[7] << 8 | head[8];
        }
        cr_assert(n >= 33 && n - 32 <= room && n <= sizeof frame);
        hear(hand->fd, frame, n);
        cr_assert_eq(memcmp(frame, "\7MESSAGE", 8), 0);
        memcpy(nonce, "CurveZMQMESSAGES", 16);
        memcpy(nonce + 16, frame + 8, 8);
        cr_assert_eq(crypto_box_open_easy(plain, frame + 16, n - 16, nonce, hand->welcome, hand->sk), 0);
        if (!(plain[0] & 2)) /* a command */
            return n - 32;
    }
}

static struct busi_reply_head ask_by_hand(struct by_hand *hand, const char *method, uint64_t id,
                                          uint8_t *plain)
{
    char bytes[512], frame[600];
    struct busi_reply_head head = {0};
    const char *bad;
    size_t n = ask_for(bytes, method, id);
    n = seal(hand, frame, ++hand->nonce, bytes, n);
    say(hand->fd, frame, n);
    n = answer(hand, plain, 2048);
    cr_assert(busi_reply_decode((struct busi_str){(char *)plain + 1, n - 1}, &head, &bad), "%s", bad);
    return head;
}

static const struct bytes_of claims[] = {
    OF(DEALER),
    OF(DEALER "\7User-Id\0\0\0\7gateway"),
    OF("\7User-Id\0\0\0\7gateway" DEALER "\7User-Id\0\0\0\7gateway"),
    OF(DEALER "\7user-id\0\0\0\7gateway"),
    OF(DEALER "\x08Identity\0\0\0\7gateway"),
};

Test(rpc_forged, nobody_is_known_by_a_name_that_he_gives_himself) /* M-34 */
{
    uint8_t plain[2048];
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        struct by_hand hand;
        begin_by_hand(&hand, server, billing_key, worker_pub);
        say_initiate(&hand, claims[i].bytes, claims[i].n);
        cr_assert(let_in(&hand), "claim %zu", i);
        struct busi_reply_head head = ask_by_hand(&hand, "directory.GetBusiness", 1, plain);
        cr_expect_eq(head.code, BUSI_OK);
        cr_expect_not_null(memmem(head.body.ptr, head.body.len, "billing", 7), "claim %zu: known as another",
                           i);
        cr_expect_null(memmem(head.body.ptr, head.body.len, "gateway", 7), "claim %zu", i);
        head = ask_by_hand(&hand, "directory.CreateBusiness", 2, plain);
        cr_expect_eq(head.code, BUSI_PERMISSION_DENIED, "claim %zu: may do what another may", i);
        close(hand.fd);
    }
}

/* Who vouches for a key that is not his has no connection. */
Test(rpc_forged, nobody_comes_with_the_key_of_another) /* Z-04 */
{
    struct by_hand hand;
    struct busi_certificate gateway;
    const char *error;
    char pub[96];
    snprintf(pub, sizeof pub, "%s/gateway.pub", folder);
    cr_assert(busi_certificate_read(&gateway, pub, 0, &error), "%s", error);
    begin_by_hand(&hand, server, billing_key, worker_pub);
    memcpy(hand.own.public_key, gateway.public_key, 32);
    say_initiate(&hand, claims[0].bytes, claims[0].n);
    cr_expect_not(let_in(&hand));
    close(hand.fd);
    cr_expect_eq(server->calls, 0);
}

static bool has_called(void *at_least)
{
    return server->calls >= *(int *)at_least;
}

/* What was heard on the wire is said once more: on the same connection, and on others. */
Test(rpc_forged, nothing_is_done_twice_for_who_repeats_what_he_heard)
{
    char bytes[512], frame[600], old[600];
    struct by_hand hand, again;
    begin_by_hand(&hand, server, billing_key, worker_pub);
    say_initiate(&hand, claims[0].bytes, claims[0].n);
    cr_assert(let_in(&hand));
    size_t n = ask_for(bytes, "directory.GetBusiness", 1);
    n = seal(&hand, frame, 10, bytes, n);
    say(hand.fd, frame, n);
    cr_assert(within(2000, has_called, &(int){1}));

    /* the whole conversation, to a new connection: its cookie is of another one */
    int fd = dial(server);
    char greeting[64];
    say(fd, GREETING("\3", CURVE_MECHANISM, "\0"), 64);
    hear(fd, greeting, sizeof greeting);
    say(fd, hand.hello, sizeof hand.hello);
    say(fd, hand.initiate, hand.initiate_len);
    say(fd, frame, n);
    cr_expect(closes(fd, AT_ONCE_MS), "a conversation of before");
    close(fd);

    /* its message, to one that was let in by a handshake of its own */
    begin_by_hand(&again, server, billing_key, worker_pub);
    say_initiate(&again, claims[0].bytes, claims[0].n);
    cr_assert(let_in(&again));
    say(again.fd, frame, n);
    cr_expect(closes(again.fd, AT_ONCE_MS), "a message of another connection");
    close(again.fd);

    /* an older number, which was never used, and the same once more */
    size_t o = ask_for(bytes, "directory.GetBusiness", 2);
    o = seal(&hand, old, 9, bytes, o);
    say(hand.fd, old, o);
    say(hand.fd, frame, n);
    cr_expect(closes(hand.fd, AT_ONCE_MS), "a message that comes twice");
    close(hand.fd);
    cr_expect_eq(server->calls, 1, "%d", (int)server->calls);
}
