#include "base/clock.h"
#include "crypto/argon_memory.h"
#include "crypto/password.h"
#include "crypto/secret.h"
#include <criterion/criterion.h>
#include <crypt.h>
#include <pthread.h>
#include <sodium.h>
#include <sys/mman.h>
#include <sys/resource.h>

static const struct busi_password_cost cheap = {8 * 1024 * 1024, 1, 0}, dear = {19 * 1024 * 1024, 2, 0};

static void start(void)
{
    cr_assert(busi_crypto_init());
}
TestSuite(password, .init = start);

static enum busi_password_verdict verify(const char *stored, const char *password)
{
    return busi_password_verify(busi_str_of(stored), busi_str_of(password), cheap);
}

Test(password, a_new_hash_verifies_and_is_salted)
{
    char a[BUSI_PASSWORD_HASH_MAX], b[BUSI_PASSWORD_HASH_MAX];
    cr_assert(busi_password_hash(a, BUSI_STR("correct horse"), cheap));
    cr_assert(busi_password_hash(b, BUSI_STR("correct horse"), cheap));
    cr_assert_str_neq(a, b);
    cr_assert_eq(strncmp(a, "$argon2id$v=19$m=8192,t=1,p=1$", 30), 0, "%s", a);
    cr_assert_eq(verify(a, "correct horse"), BUSI_PASSWORD_RIGHT);
    cr_assert_eq(verify(a, "correct horsf"), BUSI_PASSWORD_WRONG);
    cr_assert_eq(verify(a, ""), BUSI_PASSWORD_WRONG);
}

Test(password, every_byte_counts_up_to_1024)
{
    char hash[BUSI_PASSWORD_HASH_MAX], password[1025];
    memset(password, 'p', 1024);
    password[1024] = '\0';
    cr_assert(busi_password_hash(hash, busi_str_of(password), cheap));
    cr_assert_eq(verify(hash, password), BUSI_PASSWORD_RIGHT);
    password[1023] = 'q';
    cr_assert_eq(verify(hash, password), BUSI_PASSWORD_WRONG);
    password[1023] = '\0';
    cr_assert_eq(verify(hash, password), BUSI_PASSWORD_WRONG);
}

Test(password, weaker_parameters_than_the_target_ask_for_a_new_hash)
{
    char hash[BUSI_PASSWORD_HASH_MAX];
    cr_assert(busi_password_hash(hash, BUSI_STR("correct horse"), cheap));
    cr_assert_eq(busi_password_verify(busi_str_of(hash), BUSI_STR("correct horse"), dear),
                 BUSI_PASSWORD_WEAK);
    cr_assert_eq(busi_password_verify(busi_str_of(hash), BUSI_STR("x"), dear), BUSI_PASSWORD_WRONG);
    cr_assert(busi_password_hash(hash, BUSI_STR("correct horse"), dear));
    cr_assert_eq(verify(hash, "correct horse"), BUSI_PASSWORD_RIGHT); /* dearer than the target: kept */
}

#ifdef __has_feature
#define SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#else
#define SANITIZED 0
#endif

/* No more address space than there is; in a process of its own. */
Test(password, without_memory_no_verdict)
{
    if (SANITIZED)
        cr_skip("clang's sanitizers end a process that gets no memory");
    char hash[BUSI_PASSWORD_HASH_MAX];
    cr_assert(busi_password_hash(hash, BUSI_STR("correct horse"), cheap));
    struct rlimit before;
    cr_assert_eq(getrlimit(RLIMIT_AS, &before), 0);
    cr_assert_eq(setrlimit(RLIMIT_AS, &(struct rlimit){1 << 20, before.rlim_max}), 0);
    enum busi_password_verdict right = verify(hash, "correct horse"), wrong = verify(hash, "x"),
                               nobody = busi_password_verify((struct busi_str){0}, BUSI_STR("x"), cheap);
    cr_assert_eq(setrlimit(RLIMIT_AS, &before), 0);
    cr_expect_eq(right, BUSI_PASSWORD_NOT_COMPUTED);
    cr_expect_eq(wrong, BUSI_PASSWORD_NOT_COMPUTED);
    cr_expect_eq(nobody, BUSI_PASSWORD_NOT_COMPUTED);
    cr_expect_eq(verify(hash, "correct horse"), BUSI_PASSWORD_RIGHT);
}

/* Vectors of the argon2 reference implementation. */
Test(password, argon2_hashes_of_others_verify)
{
    cr_assert_eq(
        verify("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
               "password"),
        BUSI_PASSWORD_RIGHT);
    cr_assert_eq(
        verify("$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$wWKIMhR9lyDFvRz9YTZweHKfbftvj+qf+YFY4NeBbtA",
               "password"),
        BUSI_PASSWORD_WEAK);
}

/* Vectors of crypt_blowfish. */
Test(password, bcrypt_hashes_verify_and_are_weak)
{
    cr_assert_eq(verify("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"),
                 BUSI_PASSWORD_WEAK);
    cr_assert_eq(verify("$2b$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK", "U*U*"),
                 BUSI_PASSWORD_WEAK);
    cr_assert_eq(verify("$2y$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a", "U*U*U"),
                 BUSI_PASSWORD_WEAK);
    cr_assert_eq(verify("$2y$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a", "U*U*u"),
                 BUSI_PASSWORD_WRONG);
    cr_assert_eq(verify("$2a$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy", ""),
                 BUSI_PASSWORD_WEAK);
}

Test(password, bcrypt_keeps_its_72_bytes)
{
    const char *stored = "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui";
    char password[1025] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    cr_assert_eq(verify(stored, password), BUSI_PASSWORD_WEAK);
    strcat(password, "chars after 72 are ignored");
    cr_assert_eq(verify(stored, password), BUSI_PASSWORD_WEAK);
    memset(password + 72, 'x', 1024 - 72); /* longer than libxcrypt takes */
    cr_assert_eq(verify(stored, password), BUSI_PASSWORD_WEAK);
    password[71] = 'x';
    cr_assert_eq(verify(stored, password), BUSI_PASSWORD_WRONG);
}

Test(password, bcrypt_2a_is_2b_for_every_byte)
{
    /* Passwords for which libxcrypt computes $2a$ differently, against an old PHP bug. */
    static const char *const passwords[] = {"\xff\xa3"
                                            "345",
                                            "\xff\xff\xa3",
                                            "1\xa3"
                                            "345",
                                            "\xff\xa3"
                                            "34\xff\xff\xff\xa3"
                                            "345",
                                            "gr\xc3\xbc\xc3\x9f dich",
                                            "\xd1\x81\xd0\xbb\xd0\xbe\xd0\xb2\xd0\xbe"};
    for (size_t i = 0; i < sizeof(passwords) / sizeof(passwords[0]); i++) {
        struct crypt_data data = {0};
        char stored[61];
        const char *hash = crypt_rn(passwords[i], "$2b$05$/OK.fbVrR/bpIqNJ5ianF.", &data, sizeof(data));
        cr_assert_not_null(hash);
        strcpy(stored, hash);
        for (const char *letter = "aby"; *letter; letter++) {
            stored[2] = *letter;
            cr_assert_eq(verify(stored, passwords[i]), BUSI_PASSWORD_WEAK, "%zu %c", i, *letter);
        }
    }
}

Test(password, bcrypt_refuses_a_password_with_a_nul)
{
    struct busi_str stored = BUSI_STR("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW");
    cr_assert_eq(busi_password_verify(stored, (struct busi_str){"U*U\0x", 5}, cheap), BUSI_PASSWORD_WRONG);
    cr_assert_eq(busi_password_verify(stored, (struct busi_str){"U*U\0", 4}, cheap), BUSI_PASSWORD_WRONG);
}

Test(password, hostile_stored_hashes_fail_at_once)
{
    static const char *const stored[] = {
        "",
        "*",
        "!",
        "x",
        "$",
        "$2b$",
        "$argon2id$",
        "$argon2id$v=19$m=8388608,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=65537,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=65536,t=1000000,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=65536,t=11,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=65536,t=0,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=65536,t=2,p=17$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=65536,t=2,p=0$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=127,t=2,p=16$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=16$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=065536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=-1,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=4294967304,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc$",
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPP=",
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFh",
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ",
        "$argon2id$v=19$m=65536,t=2,p=1$$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2d$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$"
        "CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPcCTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPcCTFhFdXPJO1aFa"
        "MaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$2b$17$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$03$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$ 5$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe",
        "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeWW",
        "$2b$05$CCCCCCCCCCCCCCCCCCCCC:E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$6$rounds=999999999$aaaaaaaa$bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
        "$y$jFT$aaaaaaaa$bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
        "5f4dcc3b5aa765d61d8327deb882cf99"};
    for (size_t i = 0; i < sizeof(stored) / sizeof(stored[0]); i++) {
        int64_t before = busi_now_us();
        cr_assert_eq(verify(stored[i], "password"), BUSI_PASSWORD_UNREADABLE, "%s", stored[i]);
        cr_assert_lt(busi_now_us() - before, 5000, "%s", stored[i]);
        cr_assert(busi_password_fault(busi_str_of(stored[i]), cheap), "%s", stored[i]);
    }
}

/* Of the argon2 command: several lanes, as Elixir's libraries make them, and many passes. */
Test(password, hashes_of_others_verify_and_are_replaced)
{
    static const char *const stored[] = {
        "$argon2id$v=19$m=8192,t=3,p=4$c29tZXNhbHRzYWx0$k+8MbYihuzer/O1kAHFwfy1irzzUkCaLNNX48KqO6Wg",
        "$argon2i$v=19$m=8192,t=3,p=4$c29tZXNhbHRzYWx0$/EzfPK87ZNaVg1SgwDDG1cRC7vDDh0YXYBGJ8c3su+c",
        "$argon2id$v=19$m=8192,t=10,p=16$c29tZXNhbHRzYWx0$BQDe0EKl91RkemRCJ0nLiLB6VqeHf/8yib1iCO8CqaM"};
    for (size_t i = 0; i < sizeof(stored) / sizeof(stored[0]); i++) {
        cr_assert_null(busi_password_fault(busi_str_of(stored[i]), cheap));
        cr_assert_eq(verify(stored[i], "correct horse"), BUSI_PASSWORD_WEAK, "%s", stored[i]);
        cr_assert_eq(verify(stored[i], "correct horsf"), BUSI_PASSWORD_WRONG, "%s", stored[i]);
    }
}

Test(password, more_memory_is_for_those_who_ask_for_it)
{
    struct busi_str stored =
        BUSI_STR("$argon2id$v=19$m=131072,t=1,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc");
    struct busi_password_cost rich = cheap;
    rich.most_bytes = 128 * 1024 * 1024;
    cr_assert_str_eq(busi_password_fault(stored, cheap),
                     "asks for more memory than BUSI_PASSWORD_STORED_MEMORY allows");
    cr_assert_null(busi_password_fault(stored, rich));
    cr_assert_eq(busi_password_verify(stored, BUSI_STR("x"), cheap), BUSI_PASSWORD_UNREADABLE);
    cr_assert_eq(busi_password_verify(stored, BUSI_STR("x"), rich), BUSI_PASSWORD_WRONG);
}

Test(password, an_unknown_user_costs_one_hash)
{
    char hash[BUSI_PASSWORD_HASH_MAX];
    cr_assert(busi_password_hash(hash, BUSI_STR("correct horse"), dear)); /* warms up */
    int64_t t0 = busi_now_us();
    for (int i = 0; i < 5; i++)
        cr_assert_eq(busi_password_verify(busi_str_of(hash), BUSI_STR("wrong"), dear), BUSI_PASSWORD_WRONG);
    int64_t t1 = busi_now_us();
    for (int i = 0; i < 5; i++)
        cr_assert_eq(busi_password_verify((struct busi_str){0}, BUSI_STR("wrong"), dear),
                     BUSI_PASSWORD_WRONG);
    int64_t t2 = busi_now_us();
    /* Generous, because the machine may be busy; what it catches is a missing or a second hash. */
    cr_assert_gt((t2 - t1) * 10, (t1 - t0) * 4);
    cr_assert_lt((t2 - t1) * 4, (t1 - t0) * 10);
}

/* ---- the memory lent to libsodium ---- */

static void raw_hash(uint8_t out[32], const char *password, uint8_t salt_byte, size_t memory, int passes)
{
    uint8_t salt[crypto_pwhash_SALTBYTES];
    memset(salt, salt_byte, sizeof(salt));
    cr_assert_eq(crypto_pwhash(out, 32, password, strlen(password), salt, (unsigned long long)passes, memory,
                               crypto_pwhash_ALG_ARGON2ID13),
                 0);
}

Test(argon_memory, hashes_are_the_same_with_and_without)
{
    static const size_t kib[] = {8192, 19456, 8192, 12288, 65536, 9217, 19456};
    size_t cases = sizeof(kib) / sizeof(kib[0]);
    uint8_t plain[32], lent[32];
    void *memory = busi_password_thread_init();
    for (size_t i = 0; i < cases * 2; i++) {
        size_t bytes = kib[i % cases] * 1024;
        raw_hash(plain, "correct horse", (uint8_t)(i / 2), bytes, 1 + (int)(i % 3));
        busi_argon_memory_lend(bytes / 4096 * 4096);
        raw_hash(lent, "correct horse", (uint8_t)(i / 2), bytes, 1 + (int)(i % 3));
        busi_argon_memory_take_back(i % 2 ? bytes : 8 * 1024 * 1024);
        cr_assert_arr_eq(plain, lent, 32, "%zu", i);
    }
#ifndef BUSI_SANITIZED
    cr_assert_eq(busi_argon_memory_loans(), cases * 2);
#endif
    busi_password_thread_fini(memory);
}

Test(argon_memory, every_hash_of_a_thread_uses_it)
{
    char hash[BUSI_PASSWORD_HASH_MAX];
    void *memory = busi_password_thread_init();
    cr_assert(busi_password_hash(hash, BUSI_STR("correct horse"), dear));
    busi_password_thread_rest();
    cr_assert_eq(busi_password_verify(busi_str_of(hash), BUSI_STR("correct horse"), dear),
                 BUSI_PASSWORD_RIGHT);
    cr_assert_eq(busi_password_verify((struct busi_str){0}, BUSI_STR("correct horse"), dear),
                 BUSI_PASSWORD_WRONG);
#ifndef BUSI_SANITIZED
    cr_assert_eq(busi_argon_memory_loans(), 3);
#endif
    busi_password_thread_fini(memory);
    cr_assert_eq(busi_password_verify(busi_str_of(hash), BUSI_STR("correct horse"), dear),
                 BUSI_PASSWORD_RIGHT);
    cr_assert_eq(busi_argon_memory_loans(), 0);
}

Test(argon_memory, only_the_one_mapping_is_answered)
{
    void *memory = busi_password_thread_init();
    const size_t bytes = 8 * 1024 * 1024;
    const int flags = MAP_ANONYMOUS | MAP_PRIVATE | MAP_POPULATE;
    busi_argon_memory_lend(bytes);
    char *other = mmap(NULL, bytes - 4096, PROT_READ | PROT_WRITE, flags, -1, 0);
    char *read_only = mmap(NULL, bytes, PROT_READ, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    char *ours = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    char *second = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    cr_assert(other != MAP_FAILED && read_only != MAP_FAILED && ours != MAP_FAILED && second != MAP_FAILED);
    cr_assert(ours != other && ours != read_only && ours != second);
#ifndef BUSI_SANITIZED
    cr_assert_eq(busi_argon_memory_loans(), 1);
#endif
    cr_assert_eq(munmap(other, bytes - 4096), 0);
    cr_assert_eq(munmap(read_only, bytes), 0);
    cr_assert_eq(munmap(second, bytes), 0);
    ours[bytes - 1] = 'x';
    cr_assert_eq(munmap(ours, bytes), 0);
    busi_argon_memory_take_back(bytes);
#ifndef BUSI_SANITIZED
    cr_assert_eq(ours[bytes - 1], 'x'); /* still ours */
    busi_argon_memory_release();
    cr_assert_eq(ours[bytes - 1], 0); /* wiped */
#endif
    cr_assert_eq(mmap(NULL, 0, PROT_READ, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0), MAP_FAILED);
    busi_password_thread_fini(memory);
}

static void *hash_on_thread(void *out)
{
    void *memory = busi_password_thread_init();
    for (int i = 0; i < 3; i++)
        cr_assert(busi_password_hash(out, BUSI_STR("correct horse"), dear));
    busi_password_thread_fini(memory);
    return NULL;
}

Test(argon_memory, threads_do_not_share_it)
{
    char hashes[4][BUSI_PASSWORD_HASH_MAX];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, hash_on_thread, hashes[i]), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(busi_password_verify(busi_str_of(hashes[i]), BUSI_STR("correct horse"), dear),
                     BUSI_PASSWORD_RIGHT);
}
