/* CURVE by hand (https://rfc.zeromq.org/spec/26), so that a test can say what no library would: names that
 * are not its own, metadata of its choice, the same thing twice. */
#pragma once
#include "rpc/certificate.h"
#include "rpc_raw.h"
#include <sodium.h>

struct by_hand {
    int fd;
    struct busi_certificate own;     /* long-term pair */
    uint8_t server[32];              /* its long-term key */
    uint8_t pk[32], sk[32];          /* of this connection: C', c' */
    uint8_t welcome[32], cookie[96]; /* S', and what it wants to see again */
    uint64_t nonce;                  /* of what was said last */
    char initiate[1024], hello[202]; /* as they were sent */
    size_t initiate_len;
};

static inline void nonce_of(uint8_t nonce[24], const char *prefix, uint64_t number)
{
    memcpy(nonce, prefix, 16);
    for (int i = 0; i < 8; i++)
        nonce[16 + i] = (uint8_t)(number >> (56 - 8 * i));
}

static inline void hear(int fd, void *to, size_t n)
{
    struct timeval wait = {.tv_sec = 5};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    for (size_t got = 0; got < n;) {
        ssize_t some = recv(fd, (char *)to + got, n - got, 0);
        cr_assert_gt(some, 0, "the other side has closed");
        got += (size_t)some;
    }
}

static inline void say_hello(struct by_hand *hand)
{
    static const uint8_t zeros[64];
    uint8_t nonce[24];
    memcpy(hand->hello, CURVE_HELLO, sizeof(CURVE_HELLO) - 1);
    nonce_of(nonce, "CurveZMQHELLO---", ++hand->nonce);
    memcpy(hand->hello + 2 + 80, hand->pk, 32);
    memcpy(hand->hello + 2 + 112, nonce + 16, 8);
    cr_assert_eq(crypto_box_easy((uint8_t *)hand->hello + 2 + 120, zeros, 64, nonce, hand->server, hand->sk),
                 0);
    say(hand->fd, hand->hello, sizeof hand->hello);
}

static inline void hear_welcome(struct by_hand *hand)
{
    uint8_t frame[2 + 168], nonce[24] = "WELCOME-", plain[128];
    hear(hand->fd, frame, sizeof frame);
    cr_assert_eq(memcmp(frame, "\x04\xa8\7WELCOME", 10), 0);
    memcpy(nonce + 8, frame + 10, 16);
    cr_assert_eq(crypto_box_open_easy(plain, frame + 26, 144, nonce, hand->server, hand->sk), 0);
    memcpy(hand->welcome, plain, 32);
    memcpy(hand->cookie, plain + 32, 96);
}

/* With this metadata, whatever it is. */
static inline void say_initiate(struct by_hand *hand, const char *metadata, size_t len)
{
    uint8_t nonce[24] = "VOUCH---", vouched[64], plain[700], *at = (uint8_t *)hand->initiate;
    memcpy(plain, hand->own.public_key, 32);
    randombytes_buf(nonce + 8, 16);
    memcpy(plain + 32, nonce + 8, 16);
    memcpy(vouched, hand->pk, 32);
    memcpy(vouched + 32, hand->server, 32);
    cr_assert_eq(crypto_box_easy(plain + 48, vouched, 64, nonce, hand->welcome, hand->own.secret_key), 0);
    cr_assert_lt(len, sizeof plain - 128);
    memcpy(plain + 128, metadata, len);
    size_t body = 9 + 96 + 8 + 16 + 128 + len;
    memcpy(at, "\6\0\0\0\0\0\0", 7); /* a long command */
    at[7] = (uint8_t)(body >> 8);
    at[8] = (uint8_t)body;
    memcpy(at + 9, "\x08INITIATE", 9);
    memcpy(at + 18, hand->cookie, 96);
    nonce_of(nonce, "CurveZMQINITIATE", ++hand->nonce);
    memcpy(at + 114, nonce + 16, 8);
    cr_assert_eq(crypto_box_easy(at + 122, plain, 128 + len, nonce, hand->welcome, hand->sk), 0);
    hand->initiate_len = 9 + body;
    say(hand->fd, hand->initiate, hand->initiate_len);
}

/* True: READY; false: the other side has closed, or says ERROR. */
static inline bool let_in(struct by_hand *hand)
{
    uint8_t head[2], body[255];
    struct timeval wait = {.tv_sec = 5};
    setsockopt(hand->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    if (recv(hand->fd, head, 2, MSG_WAITALL) != 2)
        return false;
    cr_assert_eq(head[0], 4);
    return recv(hand->fd, body, head[1], MSG_WAITALL) == head[1] && memcmp(body, "\5READY", 6) == 0;
}

/* Greets, and comes as far as the WELCOME. */
static inline void begin_by_hand(struct by_hand *hand, const struct server *server, const char *own_key,
                                 const char *server_pub)
{
    struct busi_certificate other;
    const char *error;
    char greeting[64];
    *hand = (struct by_hand){.fd = dial(server)};
    cr_assert(busi_certificate_read(&hand->own, own_key, 0, &error), "%s", error);
    cr_assert(busi_certificate_read(&other, server_pub, 0, &error), "%s", error);
    memcpy(hand->server, other.public_key, 32);
    cr_assert_eq(crypto_box_keypair(hand->pk, hand->sk), 0);
    say(hand->fd, GREETING("\3", CURVE_MECHANISM, "\0"), 64);
    hear(hand->fd, greeting, sizeof greeting);
    say_hello(hand);
    hear_welcome(hand);
}

#define DEALER "\x0bSocket-Type\0\0\0\6DEALER"

/* A message of one frame under this nonce; frame has room for 43 bytes more. Its length. */
static inline size_t seal(const struct by_hand *hand, char *frame, uint64_t number, const char *bytes,
                          size_t n)
{
    uint8_t nonce[24], plain[1024] = {0};
    size_t body = 8 + 8 + 16 + 1 + n;
    cr_assert_lt(n, sizeof plain);
    memcpy(plain + 1, bytes, n);
    memcpy(frame, "\2\0\0\0\0\0\0", 7); /* long */
    frame[7] = (char)(body >> 8);
    frame[8] = (char)body;
    memcpy(frame + 9, "\7MESSAGE", 8);
    nonce_of(nonce, "CurveZMQMESSAGEC", number);
    memcpy(frame + 17, nonce + 16, 8);
    cr_assert_eq(crypto_box_easy((uint8_t *)frame + 25, plain, n + 1, nonce, hand->welcome, hand->sk), 0);
    return 9 + body;
}
