#include "crypto/secret.h"
#include <criterion/criterion.h>
#include <sys/prctl.h>
#include <sys/resource.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

Test(secret, random_text_is_base64url_and_never_twice_the_same)
{
    struct busi_arena arena;
    busi_arena_init(&arena, 4096);
    cr_assert(busi_crypto_init());
    struct busi_str a = busi_random_text(&arena, 16), b = busi_random_text(&arena, 16);
    cr_assert_eq(a.len, 22);
    cr_assert_eq(strspn(a.ptr, alphabet), 22);
    cr_assert_not(busi_str_eq(a, b));
    cr_assert_null(busi_random_text(&arena, 100000).ptr);
    busi_arena_fini(&arena);
}

Test(secret, uuid_has_version_4_and_its_variant)
{
    char uuid[37];
    cr_assert(busi_crypto_init());
    for (int i = 0; i < 200; i++) {
        busi_uuid4(uuid);
        cr_assert_eq(strlen(uuid), 36);
        cr_assert(uuid[8] == '-' && uuid[13] == '-' && uuid[18] == '-' && uuid[23] == '-');
        cr_assert_eq(uuid[14], '4');
        cr_assert(strchr("89ab", uuid[19]));
    }
}

Test(secret, keyed_hash_depends_on_key_and_message)
{
    uint8_t a[32], b[32], c[32], d[32];
    char long_key[87];
    memset(long_key, 'k', sizeof(long_key));
    busi_keyed_hash(a, BUSI_STR("0123456789abcdef0123456789abcdef"), BUSI_STR("message"));
    busi_keyed_hash(b, BUSI_STR("0123456789abcdef0123456789abcdeg"), BUSI_STR("message"));
    busi_keyed_hash(c, BUSI_STR("0123456789abcdef0123456789abcdef"), BUSI_STR("messagf"));
    cr_assert_not(busi_same_bytes(a, b, 32));
    cr_assert_not(busi_same_bytes(a, c, 32));
    busi_keyed_hash(b, BUSI_STR("0123456789abcdef0123456789abcdef"), BUSI_STR("message"));
    cr_assert(busi_same_bytes(a, b, 32));
    /* Every byte of a key longer than BLAKE2b takes counts. */
    busi_keyed_hash(c, (struct busi_str){long_key, sizeof(long_key)}, BUSI_STR("message"));
    long_key[86] = 'l';
    busi_keyed_hash(d, (struct busi_str){long_key, sizeof(long_key)}, BUSI_STR("message"));
    cr_assert_not(busi_same_bytes(c, d, 32));
}

Test(secret, keyed_hash_is_blake2b)
{
    /* BLAKE2b with 32 bytes of output, as hashlib.blake2b(b"abc", key=b"k" * 32, digest_size=32) */
    static const uint8_t expected[32] = {0x0a, 0x9b, 0x1f, 0x4f, 0x63, 0x38, 0x32, 0xa5, 0x35, 0xf3, 0xe4,
                                         0x53, 0x9d, 0x90, 0x69, 0x98, 0xc3, 0x81, 0x4f, 0xbc, 0xd4, 0xcc,
                                         0x13, 0x6e, 0x57, 0xe8, 0xea, 0x74, 0x2a, 0xc3, 0x6b, 0x61};
    uint8_t got[32];
    busi_keyed_hash(got, BUSI_STR("kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"), BUSI_STR("abc"));
    cr_assert_arr_eq(got, expected, 32);
}

Test(secret, harden_forbids_cores_and_tracing)
{
    struct rlimit limit;
    busi_crypto_harden();
    cr_assert_eq(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
    cr_assert_eq(getrlimit(RLIMIT_CORE, &limit), 0);
    cr_assert_eq(limit.rlim_max, 0);
}

Test(secret, gen_secret_refuses_weak_and_odd_sizes)
{
    char *words[][2] = {{"gen-secret", "31"}, {"gen-secret", "0"},   {"gen-secret", "-64"},
                        {"gen-secret", "6x"}, {"gen-secret", "513"}, {"gen-secret", ""}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        cr_assert_eq(busi_gen_secret(2, words[i]), 2, "%s", words[i][1]);
    cr_assert_eq(busi_gen_secret(1, words[0]), 0);
    cr_assert_eq(busi_gen_secret(2, (char *[]){"gen-secret", "32"}), 0);
    cr_assert_eq(busi_gen_secret(3, (char *[]){"gen-secret", "--kid", "2026-11"}), 0);
    cr_assert_eq(busi_gen_secret(4, (char *[]){"gen-secret", "--kid", "a", "31"}), 2);
    cr_assert_eq(busi_gen_secret(3, (char *[]){"gen-secret", "--kid", "a b"}), 2);
    cr_assert_eq(busi_gen_secret(3, (char *[]){"gen-secret", "--kid", ""}), 2);
    cr_assert_eq(busi_gen_secret(2, (char *[]){"gen-secret", "--kid"}), 2);
}
