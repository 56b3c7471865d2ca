#include "base/text.h"
#include "crypto/sealed.h"
#include "crypto/secret.h"
#include <criterion/criterion.h>

static struct busi_sealer *sealer;

static void set_up(void)
{
    uint8_t key[32];
    for (int i = 0; i < 32; i++)
        key[i] = (uint8_t)i;
    cr_assert(busi_crypto_init());
    cr_assert(sealer = busi_sealer_new(key));
}

static void tear_down(void)
{
    busi_sealer_free(&sealer);
}

TestSuite(sealed, .init = set_up, .fini = tear_down, .timeout = 60);

static bool opens(const char *text, size_t len)
{
    struct busi_sealed content;
    return busi_unseal(sealer, (struct busi_str){text, len}, &content);
}

static bool same(const struct busi_sealed *a, const struct busi_sealed *b)
{
    return memcmp(a->locator, b->locator, BUSI_LOCATOR_BYTES) == 0 && a->time_s == b->time_s &&
           a->kind == b->kind && a->salt == b->salt;
}

/* Made by another program, step by step with `openssl enc -d -aes-256-ecb`, key 000102..1f. */
static const struct {
    struct busi_sealed content;
    const char *text;
} golden[] = {
    {{{0}, 0, 0, 0}, "YjczOGMyYzEtMDBiNS00MDgzLWFmMjgtZDM2Y2U5MDY4Yzk2"},
    {{{1, 2, 3, 4, 5, 6, 7, 8}, 1700000000, 1, 0x090a}, "ZTk2MjFlNDktMGQ3OS00YzFkLTg4ZGEtMmMwMTBmYjU4Nzgz"},
    {{{255, 255, 255, 255, 255, 255, 255, 255}, UINT32_MAX, 3, UINT16_MAX},
     "MWIyMzIyODItY2I0ZS00YWI4LTgxMWYtNmU0MTA5Y2Y5ZTAw"},
    {{{0xde, 0xad, 0xbe, 0xef, 0, 1, 2, 3}, 1, 2, 4}, "MGM1OTNjMDctZDJkMi00YjNiLWIzMTAtMjk1NzAyOTkyN2Ex"},
};

Test(sealed, golden)
{
    for (size_t i = 0; i < sizeof(golden) / sizeof(golden[0]); i++) {
        char text[BUSI_SEALED_CHARS];
        struct busi_sealed content;
        cr_assert(busi_seal(sealer, &golden[i].content, text));
        cr_assert_arr_eq(text, golden[i].text, BUSI_SEALED_CHARS);
        cr_assert(busi_unseal(sealer, busi_str_of(golden[i].text), &content));
        cr_assert(same(&content, &golden[i].content));
    }
}

static struct busi_sealed random_content(void)
{
    struct busi_sealed content;
    uint8_t kind;
    busi_random_bytes(content.locator, sizeof(content.locator));
    busi_random_bytes(&content.time_s, sizeof(content.time_s));
    busi_random_bytes(&kind, 1);
    content.kind = kind % BUSI_SEALED_KINDS;
    busi_random_bytes(&content.salt, sizeof(content.salt));
    return content;
}

Test(sealed, what_was_sealed_is_read_and_looks_like_a_uuid4)
{
    for (int i = 0; i < 5000; i++) {
        struct busi_sealed in = random_content(), out;
        char text[BUSI_SEALED_CHARS], uuid[36];
        cr_assert(busi_seal(sealer, &in, text));
        cr_assert(busi_unseal(sealer, (struct busi_str){text, sizeof(text)}, &out));
        cr_assert(same(&in, &out));
        cr_assert_eq(busi_base64url_decode(uuid, sizeof(uuid), (struct busi_str){text, sizeof(text)}), 36);
        cr_assert(uuid[8] == '-' && uuid[13] == '-' && uuid[18] == '-' && uuid[23] == '-');
        cr_assert(uuid[14] == '4' && strchr("89ab", uuid[19]));
    }
}

/* Every single bit of 200 tokens; one in 256 changed ones that are texts would pass the zeros and name no
 * record. A changed one that passes must say something else altogether. */
Test(sealed, a_changed_bit_is_refused)
{
    int passed = 0;
    for (int i = 0; i < 200; i++) {
        struct busi_sealed in = random_content(), out;
        char text[BUSI_SEALED_CHARS];
        cr_assert(busi_seal(sealer, &in, text));
        for (size_t bit = 0; bit < sizeof(text) * 8; bit++) {
            text[bit / 8] ^= (char)(1 << bit % 8);
            if (busi_unseal(sealer, (struct busi_str){text, sizeof(text)}, &out)) {
                cr_assert(memcmp(in.locator, out.locator, sizeof(in.locator)) != 0);
                passed++;
            }
            text[bit / 8] ^= (char)(1 << bit % 8);
        }
    }
    cr_assert_leq(passed, 300, "%d of 76,800 changed tokens were taken", passed);
}

/* One text for each token. */
Test(sealed, only_the_very_text_is_read)
{
    static const char good[] = "ZTk2MjFlNDktMGQ3OS00YzFkLTg4ZGEtMmMwMTBmYjU4Nzgz";
    static const char *const bad[] = {
        "",
        "ZDJiM2FlNWQtZGQ4OS00N2I5LWFhZjQtYmVjMTA2Mzc1NzQ",   /* 47 */
        "ZTk2MjFlNDktMGQ3OS00YzFkLTg4ZGEtMmMwMTBmYjU4NzgzY", /* 49 */
        "ZDJiM2FlNWQtZGQ4OS00N2I5LWFhZjQtYmVjMTA2Mzc1NzQ=",  /* padded */
        "ZTk2MjFlNDktMGQ3OS00YzFkLTg4ZGEtMmMwMTBmYjU4Nzgz====",
        " DJiM2FlNWQtZGQ4OS00N2I5LWFhZjQtYmVjMTA2Mzc1NzQ3",
        "+DJiM2FlNWQtZGQ4OS00N2I5LWFhZjQtYmVjMTA2Mzc1NzQ3",
        "/DJiM2FlNWQtZGQ4OS00N2I5LWFhZjQtYmVjMTA2Mzc1NzQ3",
        "-DJiM2FlNWQtZGQ4OS00N2I5LWFhZjQtYmVjMTA2Mzc1NzQ3",
        "_DJiM2FlNWQtZGQ4OS00N2I5LWFhZjQtYmVjMTA2Mzc1NzQ3",
        "zdjIm2fLnwqTzgq4os00n2i5lwfHzJqTyMvJmta2mZC1nZq3", /* the other case */
        "ZTk2MjFlNDktMGQ3OS00YzFkLTg4ZGEtMmMwMTBmYjU4Nzgz\n",
        "RDJCM2FlNWQtZGQ4OS00N2I5LWFhZjQtYmVjMTA2Mzc1NzQ3", /* a UUID in upper case */
        "ZDJiM2FlNWQtZGQ4OS0xN2I5LWFhZjQtYmVjMTA2Mzc1NzQ3", /* version 1 */
        "ZDJiM2FlNWQtZGQ4OS00N2I5LTdhZjQtYmVjMTA2Mzc1NzQ3", /* another variant */
        "ZDJiM2FlNWRhZGQ4OS00N2I5LWFhZjQtYmVjMTA2Mzc1NzQ3", /* no dash */
        "d2b3ae5d-dd89-47b9-aaf4-bec106375747",
    };
    cr_assert(opens(good, sizeof(good) - 1));
    cr_assert(!opens(NULL, 0));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_assert(!opens(bad[i], strlen(bad[i])), "%s", bad[i]);
    char nul[sizeof(good)];
    memcpy(nul, good, sizeof(good));
    nul[20] = '\0';
    cr_assert(!opens(nul, sizeof(good) - 1));
    char *huge = malloc(10240);
    memset(huge, 'Z', 10240);
    cr_assert(!opens(huge, 10240));
    free(huge);
}

/* 8 zero bits: of a million guesses about 3,906 get further, to the check of their kind and time. */
Test(sealed, guesses_are_refused_without_a_look_up)
{
    int passed = 0;
    for (int i = 0; i < 1000000; i++) {
        char uuid[37], text[BUSI_SEALED_CHARS];
        busi_uuid4(uuid);
        busi_base64url_encode(text, uuid, 36);
        passed += opens(text, sizeof(text));
    }
    cr_assert_lt(passed, 4500, "%d of a million", passed); /* nine standard deviations more */
}

Test(sealed, another_key_reads_nothing)
{
    uint8_t key[32] = {1};
    struct busi_sealer *other = busi_sealer_new(key);
    struct busi_sealed content;
    int passed = 0;
    cr_assert(other);
    for (int i = 0; i < 2000; i++) {
        struct busi_sealed in = random_content();
        char text[BUSI_SEALED_CHARS];
        cr_assert(busi_seal(other, &in, text));
        passed += busi_unseal(sealer, (struct busi_str){text, sizeof(text)}, &content);
    }
    cr_assert_leq(passed, 40);
    busi_sealer_free(&other);
    busi_sealer_free(&other);
}
