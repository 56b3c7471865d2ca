#include "core/doors.h"
#include "crypto/secret.h"
#include <criterion/criterion.h>
#include <stdio.h>

#define ONE "one-secret-of-sixty-four-bytes-for-tests-0123456789-0123456789-01"
#define TWO "two-secret-of-sixty-four-bytes-for-tests-0123456789-0123456789-01"

static struct auth_key_ring ring;
static const struct busi_jwt_key pattern = {.algorithm = BUSI_JWT_HS512, .issuer = {"busi_api", 8}};
static struct busi_buf errors;

static void set_up(void)
{
    cr_assert(busi_crypto_init());
    busi_buf_init(&errors, 4096);
}
static void tear_down(void)
{
    busi_buf_fini(&errors);
}
TestSuite(key_ring, .init = set_up, .fini = tear_down);

static const char *read_lines(const char *lines, int *line)
{
    return auth_key_ring_read(&ring, &pattern, busi_str_of(lines), line);
}

static void expect_fault(const char *lines, int at, const char *what)
{
    int line;
    const char *fault = read_lines(lines, &line);
    cr_assert(fault && strstr(fault, what), "'%s': %s", lines, fault ? fault : "no fault");
    cr_assert_eq(line, at, "line %d", line);
    cr_assert_eq(ring.n, 0);
}

static bool is(struct busi_str text, const char *expected)
{
    return busi_str_eq(text, busi_str_of(expected));
}

Test(key_ring, a_bare_secret_is_a_key_without_a_kid)
{
    int line;
    cr_assert_null(read_lines(ONE, &line));
    cr_assert(ring.n == 1 && is(ring.keys[0].secret, ONE) && !ring.keys[0].header.ptr && !ring.kids[0].ptr);
    cr_assert(is(ring.keys[0].issuer, "busi_api"));
}

Test(key_ring, a_line_each_with_a_kid_before_it)
{
    int line;
    cr_assert_null(read_lines("\r\n 2026-11 " ONE " \r\n\n\t" TWO "\n\n", &line));
    cr_assert(ring.n == 2 && is(ring.keys[0].secret, ONE) && is(ring.keys[1].secret, TWO));
    /* {"alg":"HS512","kid":"2026-11","typ":"JWT"} */
    cr_assert(is(ring.keys[0].header, "eyJhbGciOiJIUzUxMiIsImtpZCI6IjIwMjYtMTEiLCJ0eXAiOiJKV1QifQ"));
    cr_assert(!ring.keys[1].header.ptr);
}

Test(key_ring, nothing_is_no_fault_here)
{
    int line;
    cr_assert_null(read_lines("", &line));
    cr_assert_null(read_lines(" \n\r\n", &line));
    cr_assert_eq(ring.n, 0);
}

Test(key_ring, faults_name_the_line)
{
    expect_fault("short", 1, "too short");
    expect_fault(ONE "\nshort", 2, "too short");
    expect_fault(ONE "\n\nkid short", 3, "too short");
    expect_fault("a key " ONE, 1, "more than");
    expect_fault("k\xc3\xa4y " ONE, 1, "no kid");
    expect_fault("\"k\" " ONE, 1, "no kid");
    expect_fault("0123456789012345678901234567890123456789012345678901234567890123-5 " ONE, 1, "no kid");
    expect_fault(ONE "\na " ONE, 2, "of a line before");
    expect_fault("a " ONE "\na " TWO, 2, "of a line before");
    expect_fault(ONE "\n" TWO "\n" ONE, 3, "of a line before");
}

Test(key_ring, no_more_than_it_holds)
{
    char lines[AUTH_KEYS_MOST + 2][80], all[1024] = "";
    int line;
    for (int i = 0; i <= AUTH_KEYS_MOST; i++) {
        snprintf(lines[i], sizeof(lines[i]), "%d-" ONE "\n", i);
        if (i == AUTH_KEYS_MOST)
            cr_assert_null(read_lines(all, &line));
        strcat(all, lines[i]);
    }
    expect_fault(all, AUTH_KEYS_MOST + 1, "too many");
}

/* What looks long and is a word said again and again. */
Test(key_ring, weak_secrets_are_no_keys)
{
    char letters[65] = "", words[65] = "";
    memset(letters, 'a', 64);
    for (size_t i = 0; i < 64; i++)
        words[i] = "changeme"[i % 8];
    expect_fault(letters, 1, "too few different");
    expect_fault(words, 1, "too few different");
    cr_assert(auth_key_fault(BUSI_STR("0123456789abcdef0123456789abcde"), 32));
    cr_assert_not(auth_key_fault(BUSI_STR("0123456789abcdef0123456789abcdef"), 32));
}

Test(key_ring, derived_keys_are_each_purposes_own)
{
    struct auth_key_ring a, b, again;
    int line;
    cr_assert_null(read_lines("new " ONE "\n" TWO, &line));
    auth_key_ring_derive(&a, &pattern, &ring, "ash");
    auth_key_ring_derive(&b, &pattern, &ring, "magic");
    auth_key_ring_derive(&again, &pattern, &ring, "ash");
    cr_assert(a.n == 2 && a.keys[0].secret.len == 64 && is(a.kids[0], "new") && !a.kids[1].ptr);
    cr_assert(busi_str_eq(a.keys[0].secret, again.keys[0].secret)); /* on every replica */
    cr_assert(auth_key_rings_share(&a, &again));
    cr_assert(!auth_key_rings_share(&a, &b) && !auth_key_rings_share(&a, &ring));
    cr_assert_not(auth_key_fault(a.keys[0].secret, AUTH_KEY_LEAST_BYTES));
}

/* ---- as settings ---- */

static bool check(struct busi_settings settings)
{
    busi_buf_clear(&errors);
    bool fine = auth_doors_check(&settings, &errors);
    busi_buf_char(&errors, '\0');
    return fine;
}

static bool said(const char *text)
{
    return errors.ptr && strstr(errors.ptr, text);
}

Test(key_ring, settings_are_named_with_their_line)
{
    cr_assert(check((struct busi_settings){.jwt_secret = BUSI_STR(ONE)}));
    cr_assert(check((struct busi_settings){.jwt_secret = BUSI_STR(ONE), .ash_jwt_secret = BUSI_STR(TWO)}));
    cr_assert_not(check((struct busi_settings){0}));
    cr_assert(said("BUSI_JWT_SECRET: is not set"));
    cr_assert_not(check((struct busi_settings){.jwt_secret = BUSI_STR(ONE "\nx")}));
    cr_assert(said("BUSI_JWT_SECRET: line 2 is too short"));
    cr_assert_not(check((struct busi_settings){.jwt_secret = BUSI_STR("\n")}));
    cr_assert(said("BUSI_JWT_SECRET: has no key"));
    cr_assert_not(
        check((struct busi_settings){.jwt_secret = BUSI_STR(ONE), .magic_jwt_secret = BUSI_STR("x y z")}));
    cr_assert(said("BUSI_MAGIC_JWT_SECRET: line 1 has"));
}

/* The key says which door a token is of. */
Test(key_ring, two_doors_share_no_key)
{
    cr_assert_not(check(
        (struct busi_settings){.jwt_secret = BUSI_STR(ONE), .guardian_jwt_secret = BUSI_STR("kid " ONE)}));
    cr_assert(said("BUSI_GUARDIAN_JWT_SECRET: has a key that another door has, too"));
}
