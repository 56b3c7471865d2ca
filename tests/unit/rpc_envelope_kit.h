/* Envelopes as bytes, golden ones and others. */
#pragma once
#include "rpc/envelope.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

struct bytes {
    unsigned char at[4096];
    size_t n;
};

/* The frame called name in tests/wire/golden_envelopes.txt. */
static inline struct bytes golden(const char *name)
{
    char line[8192], word[64], hex[8000];
    struct bytes bytes = {0};
    FILE *file = fopen(BUSI_SOURCE "/tests/wire/golden_envelopes.txt", "r");
    cr_assert_not_null(file);
    while (fgets(line, sizeof line, file)) {
        if (line[0] == '#' || sscanf(line, "%63s %7999s", word, hex) != 2 || strcmp(word, name) != 0)
            continue;
        for (const char *at = hex; at[0] && at[1]; at += 2) {
            char pair[3] = {at[0], at[1], 0};
            bytes.at[bytes.n++] = (unsigned char)strtoul(pair, NULL, 16);
        }
    }
    fclose(file);
    cr_assert_gt(bytes.n, 0, "no golden bytes '%s'", name);
    return bytes;
}

static inline struct busi_str str(const struct bytes *bytes)
{
    return (struct busi_str){(const char *)bytes->at, bytes->n};
}

static inline bool request_ok(const struct bytes *bytes)
{
    struct busi_request_head head;
    const char *bad = NULL;
    /* of exactly their size, so that the sanitizer sees a byte too many */
    char *copy = malloc(bytes->n ? bytes->n : 1);
    memcpy(copy, bytes->at, bytes->n);
    bool fine = busi_request_decode((struct busi_str){copy, bytes->n}, &head, &bad);
    cr_assert(fine == (bad == NULL), "says nothing about why");
    cr_assert(fine || head.method.ptr == NULL, "refused, but filled");
    free(copy);
    return fine;
}

static inline bool reply_ok(const struct bytes *bytes)
{
    struct busi_reply_head head;
    const char *bad = NULL;
    char *copy = malloc(bytes->n ? bytes->n : 1);
    memcpy(copy, bytes->at, bytes->n);
    bool fine = busi_reply_decode((struct busi_str){copy, bytes->n}, &head, &bad);
    cr_assert(fine == (bad == NULL), "says nothing about why");
    free(copy);
    return fine;
}

/* Pairs behind a map header, as bytes. */
#define PAIRS(n, literal) of(n, literal, sizeof(literal) - 1)
static inline struct bytes of(unsigned n_pairs, const char *pairs, size_t len)
{
    struct bytes bytes = {.n = len + 1};
    bytes.at[0] = (unsigned char)(0x80 | n_pairs);
    memcpy(bytes.at + 1, pairs, len);
    return bytes;
}

/* All that a request must have but the body. */
#define HEAD                                                                                                 \
    "\x01\x01\x02\xa3"                                                                                       \
    "a.B"                                                                                                    \
    "\x03\x07\x04\x64"
