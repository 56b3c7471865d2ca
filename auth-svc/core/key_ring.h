/* The keys of a door's JWTs: the first signs, all of them verify, so that another can take over while tokens
 * of the one before still live. Pure. */
#pragma once
#include "crypto/jwt.h"

enum {
    AUTH_KEYS_MOST = 8,
    AUTH_KEY_LEAST_BYTES = 64, /* of a secret, whatever the algorithm */
    /* bytes in it: more than a repeated word has, less than random hex digits */
    AUTH_KEY_LEAST_DIFFERENT = 10,
};

/* Stays where it is: its keys point into it. */
struct auth_key_ring {
    struct busi_jwt_key keys[AUTH_KEYS_MOST]; /* secrets borrowed from the lines, or derived */
    size_t n;
    char headers[AUTH_KEYS_MOST][BUSI_JWT_HEADER_MOST];
    uint8_t derived[AUTH_KEYS_MOST][AUTH_KEY_LEAST_BYTES];
    struct busi_str kids[AUTH_KEYS_MOST]; /* each may be absent */
};

/* One key a line, "[kid ]secret"; empty lines and the spaces around others count for nothing. Each key is as
 * the pattern but for secret and header. NULL; or what is wrong (static) with *line, counted from 1, and no
 * keys. */
const char *auth_key_ring_read(struct auth_key_ring *ring, const struct busi_jwt_key *pattern,
                               struct busi_str lines, int *line);
/* A key for this purpose from each of another ring's, under the same kids. */
void auth_key_ring_derive(struct auth_key_ring *ring, const struct busi_jwt_key *pattern,
                          const struct auth_key_ring *from, const char *purpose);
/* Whether they have a secret in common. */
bool auth_key_rings_share(const struct auth_key_ring *a, const struct auth_key_ring *b);
/* NULL, or what makes a secret too weak (static). */
const char *auth_key_fault(struct busi_str secret, size_t least_bytes);
