/* Random and keyed hashes, over libsodium. Any thread after busi_crypto_init(). */
#pragma once
#include "base/arena.h"

/* Before threads, and before libzmq is used: it aborts where there is no entropy. False, and said on stderr:
 * there is none, do not run. May be asked again. */
[[nodiscard]] bool busi_crypto_init(void);
/* Process hardening: no core dumps, not ptraceable by the same user. */
void busi_crypto_harden(void);
void busi_random_bytes(void *out, size_t n);
/* n random bytes as unpadded base64url. */
[[nodiscard]] struct busi_str busi_random_text(struct busi_arena *arena, size_t n);
/* A UUIDv4 in text form, 36 characters and a NUL. */
void busi_uuid4(char out[37]);
/* BLAKE2b-256 of message under key (32..64 bytes), for looking secrets up without storing them. */
void busi_keyed_hash(uint8_t out[32], struct busi_str key, struct busi_str message);
/* The same of all parts, one behind the other. */
void busi_keyed_hash_parts(uint8_t out[32], struct busi_str key, const struct busi_str *parts, size_t n);
void busi_sha256(uint8_t out[32], struct busi_str message);
/* SipHash-2-4 under a random key: for tables that clients must not be able to fill at one place. */
uint64_t busi_short_hash(const uint8_t key[16], struct busi_str message);
bool busi_same_bytes(const void *a, const void *b, size_t n); /* constant time */
void busi_wipe(void *bytes, size_t n);
/* gen-secret [--kid NAME] [BYTES]: prints one line of base64url, the name before it; exit code. */
int busi_gen_secret(int argc, char **argv);
