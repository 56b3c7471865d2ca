#include "crypto/secret.h"
#include "base/log.h"
#include "base/text.h"
#include "crypto/jwt.h"
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

enum { SECRET_BYTES = 64, SECRET_LEAST_BYTES = 32, SECRET_MOST_BYTES = 512 };
enum { RANDOM_MOST_BYTES = 1024 };

/* libsodium says nothing when the system gives no random bytes, and ends the process. */
static void on_misuse(void)
{
    busi_log_abort("no_random_bytes", "the system gave none, or libsodium was asked for what cannot be");
}

/* From where libsodium takes it, too. It waits for a machine that has just started. */
static bool has_entropy(void)
{
    uint8_t byte;
    ssize_t n;
    do
        n = getrandom(&byte, sizeof(byte), 0);
    while (n < 0 && errno == EINTR);
    int device = n < 0 ? open("/dev/urandom", O_RDONLY | O_CLOEXEC) : -1;
    if (device >= 0) {
        n = read(device, &byte, sizeof(byte));
        close(device);
    }
    return n == sizeof(byte);
}

bool busi_crypto_init(void)
{
    if (!has_entropy()) {
        fputs("the system gives no random bytes\n", stderr);
        return false;
    }
    busi_jwt_init();
    return sodium_set_misuse_handler(on_misuse) == 0 && sodium_init() >= 0;
}

void busi_crypto_harden(void)
{
    /* A core file or a debugger of the same user would show keys and passwords. Neither call can be refused.
     */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){.rlim_cur = 0, .rlim_max = 0});
}

void busi_random_bytes(void *out, size_t n)
{
    randombytes_buf(out, n);
}

struct busi_str busi_random_text(struct busi_arena *arena, size_t n)
{
    struct busi_str none = {0};
    uint8_t bytes[RANDOM_MOST_BYTES];
    if (n > sizeof(bytes))
        return none;
    size_t len = (n * 4 + 2) / 3;
    char *text = busi_arena_alloc(arena, len + 1);
    if (!text)
        return none;
    randombytes_buf(bytes, n);
    len = busi_base64url_encode(text, bytes, n);
    sodium_memzero(bytes, n);
    return (struct busi_str){text, len};
}

void busi_uuid4(char out[37])
{
    uint8_t bytes[16];
    char hex[32];
    randombytes_buf(bytes, sizeof(bytes));
    bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40); /* version 4 */
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80); /* the variant of RFC 4122 */
    busi_hex_encode(hex, bytes, sizeof(bytes));
    size_t to = 0;
    for (size_t i = 0; i < sizeof(hex); i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20)
            out[to++] = '-';
        out[to++] = hex[i];
    }
    out[to] = '\0';
}

void busi_keyed_hash(uint8_t out[32], struct busi_str key, struct busi_str message)
{
    busi_keyed_hash_parts(out, key, &message, 1);
}

void busi_keyed_hash_parts(uint8_t out[32], struct busi_str key, const struct busi_str *parts, size_t n)
{
    crypto_generichash_state state;
    /* BLAKE2b takes keys of at most 64 bytes; a longer one is text of a random secret: hash it first. */
    uint8_t folded[crypto_generichash_KEYBYTES_MAX];
    if (key.len > sizeof(folded)) {
        crypto_generichash(folded, sizeof(folded), (const uint8_t *)key.ptr, key.len, NULL, 0);
        key = (struct busi_str){(const char *)folded, sizeof(folded)};
    }
    crypto_generichash_init(&state, (const uint8_t *)key.ptr, key.len, 32);
    for (size_t i = 0; i < n; i++)
        crypto_generichash_update(&state, (const uint8_t *)parts[i].ptr, parts[i].len);
    crypto_generichash_final(&state, out, 32);
    sodium_memzero(&state, sizeof(state));
    sodium_memzero(folded, sizeof(folded));
}

void busi_sha256(uint8_t out[32], struct busi_str message)
{
    crypto_hash_sha256(out, (const uint8_t *)message.ptr, message.len);
}

bool busi_same_bytes(const void *a, const void *b, size_t n)
{
    return sodium_memcmp(a, b, n) == 0;
}

void busi_wipe(void *bytes, size_t n)
{
    sodium_memzero(bytes, n);
}

int busi_gen_secret(int argc, char **argv)
{
    int64_t n = SECRET_BYTES;
    const char *kid = argc > 2 && strcmp(argv[1], "--kid") == 0 ? argv[2] : NULL;
    int used = kid ? 3 : 1;
    if (argc > used + 1 || (argc == used + 1 && !busi_str_int(busi_str_of(argv[used]), &n)) ||
        n < SECRET_LEAST_BYTES || n > SECRET_MOST_BYTES || (kid && !busi_jwt_kid_valid(busi_str_of(kid)))) {
        fprintf(stderr,
                "usage: gen-secret [--kid NAME] [BYTES]    %d to %d random bytes, %d without BYTES; a name "
                "has 1 to %d of A-Z a-z 0-9 - _ .\n",
                SECRET_LEAST_BYTES, SECRET_MOST_BYTES, SECRET_BYTES, BUSI_JWT_KID_MOST);
        return 2;
    }
    if (!busi_crypto_init())
        return 1;
    uint8_t bytes[SECRET_MOST_BYTES];
    char text[(SECRET_MOST_BYTES * 4 + 2) / 3 + 1];
    randombytes_buf(bytes, (size_t)n);
    size_t len = busi_base64url_encode(text, bytes, (size_t)n);
    text[len] = '\0';
    bool written = printf("%s%s%s\n", kid ? kid : "", kid ? " " : "", text) >= 0 && fflush(stdout) == 0;
    sodium_memzero(bytes, sizeof(bytes));
    sodium_memzero(text, sizeof(text));
    return written ? 0 : 1;
}

uint64_t busi_short_hash(const uint8_t key[16], struct busi_str message)
{
    uint64_t hash = 0;
    _Static_assert(crypto_shorthash_KEYBYTES == 16 && crypto_shorthash_BYTES == sizeof hash, "SipHash-2-4");
    crypto_shorthash((unsigned char *)&hash, (const unsigned char *)message.ptr, message.len, key);
    return hash;
}
