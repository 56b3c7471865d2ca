#include "accounts/new_user.h"
#include "base/text.h"
#include "core/email.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* n times c. */
static const char *runs(char c, int n)
{
    static char texts[8][2000];
    static int next;
    char *text = texts[next++ % 8];
    memset(text, c, (size_t)n);
    text[n] = '\0';
    return text;
}

Test(email, mailboxes_of_daily_life)
{
    static const char *const good[] = {"a@b.co",
                                       "ann@example.com",
                                       "Ann.Smith@Example.COM",
                                       "a+b@c.photography",
                                       "a_b-c@d-e.f.museum",
                                       "o'brien@example.ie",
                                       "1@2.de",
                                       "x@y.z.aa",
                                       "!#$&'*+-/=?^_`{|}~@example.org",
                                       "a@xn--bcher-kva.example",
                                       "a@x.c0m"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        cr_assert(auth_email_valid(busi_str_of(good[i])), "%s", good[i]);
    char longest[300];
    snprintf(longest, sizeof(longest), "%s@%s.%s.%s.com", runs('a', 64), runs('b', 63), runs('c', 63),
             runs('d', 57));
    cr_assert_eq(strlen(longest), 254);
    cr_assert(auth_email_valid(busi_str_of(longest)));
    snprintf(longest, sizeof(longest), "%s@%s.com", runs('a', 65), runs('b', 63));
    cr_assert_not(auth_email_valid(busi_str_of(longest)));
    snprintf(longest, sizeof(longest), "a@%s.com", runs('b', 64));
    cr_assert_not(auth_email_valid(busi_str_of(longest)));
}

Test(email, what_is_none)
{
    static const char *const bad[] = {"",
                                      "a",
                                      "@",
                                      "a@",
                                      "@b.co",
                                      "a@b",
                                      "a@localhost",
                                      "a@b.",
                                      "a@.b",
                                      "a@b..co",
                                      "a@b.c",
                                      "a b@c.de",
                                      " a@b.co",
                                      "a@b.co ",
                                      "a@b.co\n",
                                      "\na@b.co",
                                      "a\r\nBcc: x@y.de@b.co",
                                      "a@b.co\r\n",
                                      "a%0a@b.co",
                                      "a%b@c.de",
                                      "a,b@c.de",
                                      "a@b.co,c@d.de",
                                      "a;b@c.de",
                                      "<a@b.co>",
                                      "Ann <ann@b.co>",
                                      "a@b@c.de",
                                      "\"a\"@b.co",
                                      "a\"b@c.de",
                                      "(x)a@b.co",
                                      "a@[127.0.0.1]",
                                      "a@127.0.0.1",
                                      "a@b.12",
                                      ".a@b.co",
                                      "a.@b.co",
                                      "a..b@c.de",
                                      "a@-b.co",
                                      "a@b-.co",
                                      "a@b_c.de",
                                      "a:b@c.de",
                                      "@x,@y:a@b.co",
                                      "a\\b@c.de",
                                      "a\tb@c.de",
                                      "a\x7f@b.co",
                                      "\xc3\xa4@b.co",
                                      "a@b\xc3\xbc"
                                      "cher.de",
                                      "\xd0\xb0@b.co",
                                      "a@b.co\xc2\xa0",
                                      "\xef\xbb\xbf"
                                      "a@b.co",
                                      "a\xe2\x80\x8b@b.co"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_assert_not(auth_email_valid(busi_str_of(bad[i])), "%s", bad[i]);
    cr_assert_not(auth_email_valid((struct busi_str){"a\0b@c.de", 8}));
    cr_assert_not(auth_email_valid((struct busi_str){"a@c.de\0", 7}));
    cr_assert_not(auth_email_valid((struct busi_str){0}));
}

Test(email, keys_fold_ascii_and_nothing_else)
{
    struct busi_arena arena;
    busi_arena_init(&arena, 4096);
    cr_assert(busi_str_eq(auth_name_key(&arena, BUSI_STR("AnN@EXAMPLE.Com")), BUSI_STR("ann@example.com")));
    cr_assert(busi_str_eq(auth_name_key(&arena, BUSI_STR("\xc4\xb0\xe2\x84\xaa")),
                          BUSI_STR("\xc4\xb0\xe2\x84\xaa")));
    cr_assert(busi_str_eq(auth_name_key(&arena, BUSI_STR("")), BUSI_STR("")));
    busi_arena_fini(&arena);
}

static struct busi_call call;
static struct auth_common_passwords common; /* none, but where a test opens some */
static const struct auth_door busi = {.least_password = 6},
                              accesspass = {.least_password = 6, .least_email = 3, .asks = AUTH_ASKS_BOTH};

/* "email text, password text" of a new account: what its owner would read. */
static const char *verdict_of(const struct busi_sign_up_request *in, const struct auth_door *door)
{
    static char text[400];
    struct auth_username username;
    size_t len = 0;
    busi_call_fini(&call);
    busi_call_init(&call, 65536);
    bool good = auth_new_user_check(&call, in, door, true, &common, &username);
    cr_assert_eq(good, call.n_violations == 0);
    text[0] = '\0';
    for (size_t i = 0; i < call.n_violations; i++) {
        const struct busi_violation *v = &call.violations[i];
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%.*s ", i ? ", " : "", BUSI_ARG(v->field));
        len += (size_t)snprintf(text + len, sizeof(text) - len, busi_rule_text((int)v->rule), (int)v->limit);
    }
    return text;
}

static const char *verdict(const char *email, const char *password)
{
    return verdict_of(
        &(struct busi_sign_up_request){.email = busi_str_of(email), .password = busi_str_of(password)},
        &busi);
}

Test(new_user, texts_are_those_clients_know)
{
    cr_assert_str_eq(verdict("a@b.co", "secret"), "");
    cr_assert_str_eq(verdict(NULL, NULL), "email can't be blank, password can't be blank");
    cr_assert_str_eq(verdict("", ""), "email can't be blank, password can't be blank");
    cr_assert_str_eq(verdict(" \t", "\n \xe3\x80\x80"), "email can't be blank, password can't be blank");
    cr_assert_str_eq(verdict("ab.co", "12345"),
                     "email has invalid format, password should be at least 6 character(s)");
    cr_assert_str_eq(verdict(runs('a', 255), "123456"), "email should be at most 254 character(s)");
    cr_assert_str_eq(verdict("a@b.co", runs('p', 1025)), "password should be at most 1024 character(s)");
    cr_assert_str_eq(verdict("a@b.co", runs('p', 1024)), "");
}

Test(new_user, passwords_are_counted_in_characters)
{
    cr_assert_str_eq(verdict("a@b.co", "\xc3\xa4\xc3\xb6\xc3\xbc"),
                     "password should be at least 6 character(s)");
    cr_assert_str_eq(
        verdict("a@b.co", "\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80\xf0\x9f\x98\x80"),
        "password should be at least 6 character(s)");
    cr_assert_str_eq(verdict("a@b.co", "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\xa4\xc3\xb6\xc3\xbc"), "");
    cr_assert_str_eq(verdict("a@b.co", "  ab  "), ""); /* spaces count */
}

/* ---- what the accesspass surface asks ---- */

static const char *verdict_with(const char *username, const char *confirm, const char *meta)
{
    return verdict_of(&(struct busi_sign_up_request){.email = BUSI_STR("a@b.co"),
                                                     .password = BUSI_STR("secret"),
                                                     .username = busi_str_of(username),
                                                     .password_confirm = busi_str_of(confirm),
                                                     .meta = busi_str_of(meta)},
                      &accesspass);
}

Test(new_user, a_door_that_asks_for_more)
{
    cr_assert_str_eq(verdict_with("ann", "secret", NULL), "");
    cr_assert_str_eq(verdict_with(NULL, "secret", NULL), "username can't be blank");
    cr_assert_str_eq(verdict_with("", "secret", NULL), "username can't be blank");
    cr_assert_str_eq(verdict_with("  ", "secret", NULL), "username can't be blank");
    cr_assert_str_eq(verdict_with("an", "secret", NULL), "username should be at least 3 character(s)");
    cr_assert_str_eq(verdict_with(runs('a', 20), "secret", NULL), "");
    cr_assert_str_eq(verdict_with(runs('a', 36), "secret", NULL), "");
    cr_assert_str_eq(verdict_with(runs('a', 37), "secret", NULL),
                     "username should be at most 36 character(s)");
    cr_assert_str_eq(verdict_with("ann@b.co", "secret", NULL), "username has invalid format");
    cr_assert_str_eq(verdict_with("Admin", "secret", NULL), "username is reserved");
    struct busi_sign_up_request short_email = {.email = BUSI_STR("a"),
                                               .password = BUSI_STR("secret"),
                                               .password_confirm = BUSI_STR("secret"),
                                               .username = BUSI_STR("ann")};
    cr_assert_str_eq(verdict_of(&short_email, &accesspass),
                     "email has invalid format, email should be at least 3 character(s)");
    cr_assert_str_eq(verdict("a", "secret"), "email has invalid format");
}

/* Asked only when all else is right. */
Test(new_user, the_password_twice)
{
    cr_assert_str_eq(verdict_with("ann", NULL, NULL), "password_confirm Password fields do not match");
    cr_assert_str_eq(verdict_with("ann", "", NULL), "password_confirm Password fields do not match");
    cr_assert_str_eq(verdict_with("ann", "secres", NULL), "password_confirm Password fields do not match");
    cr_assert_str_eq(verdict_with("ann", "secret ", NULL), "password_confirm Password fields do not match");
    cr_assert_str_eq(verdict_with("an", "secres", NULL), "username should be at least 3 character(s)");
}

Test(new_user, meta_is_an_object_of_at_most_4_kib)
{
    static char longest[4200];
    cr_assert_str_eq(verdict_with("ann", "secret", "{}"), "");
    cr_assert_str_eq(verdict_with("ann", "secret", "{\"role\":\"admin\",\"x\":[1,{\"y\":null}]}"), "");
    cr_assert_str_eq(verdict_with("ann", "secret", "[]"), "meta is invalid");
    cr_assert_str_eq(verdict_with("ann", "secret", "null"), "meta is invalid");
    cr_assert_str_eq(verdict_with("ann", "secret", ""), "meta is invalid");
    cr_assert_str_eq(verdict_with("ann", "secret", "{\"a\":1,\"a\":2}"), "meta is invalid");
    cr_assert_str_eq(verdict_with("ann", "secret", "{\"a\":1}x"), "meta is invalid");
    memset(longest, ' ', sizeof(longest));
    longest[0] = '{', longest[4095] = '}', longest[4096] = '\0';
    cr_assert_str_eq(verdict_with("ann", "secret", longest), "");
    longest[4095] = ' ', longest[4096] = '}', longest[4097] = '\0';
    cr_assert_str_eq(verdict_with("ann", "secret", longest), "meta should be at most 4096 character(s)");
}

/* ---- common passwords ---- */

static void open_common(const char *text)
{
    static char path[] = "/tmp/busi-common-XXXXXX";
    int fd = mkstemp(path);
    cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    const char *error = auth_common_passwords_open(&common, busi_str_of(path));
    unlink(path);
    cr_assert_null(error, "%s", error);
}

Test(common_passwords, those_of_the_file_and_ones_own_names_are_refused)
{
    const char *fine = "", *refused = "password is too common";
    cr_assert_str_eq(verdict("ann.smith@b.co", "password1"), fine);
    open_common("qwertz\r\npassword1\n\nzzzzzz\nPassW0rd");
    cr_assert_str_eq(verdict("ann.smith@b.co", "password1"), refused);
    cr_assert_str_eq(verdict("ann.smith@b.co", "PASSWORD1"), refused);
    cr_assert_str_eq(verdict("ann.smith@b.co", "passw0rd"), refused);
    cr_assert_str_eq(verdict("ann.smith@b.co", "QWERTZ"), refused);
    cr_assert_str_eq(verdict("ann.smith@b.co", "zzzzzz"), refused);
    cr_assert_str_eq(verdict("ann.smith@b.co", "password12"), fine);
    cr_assert_str_eq(verdict("ann.smith@b.co", "zzzzzzz"), fine);
    cr_assert_str_eq(verdict("ann.smith@b.co", "ann.smith@B.co"), refused);
    cr_assert_str_eq(verdict("ann.smith@b.co", "Ann.Smith"), refused);
    auth_common_passwords_close(&common);
}

Test(common_passwords, a_byte_order_mark_is_no_part_of_the_first)
{
    open_common("\xef\xbb\xbfpassword\r\nqwertz\r\n");
    cr_assert_str_eq(verdict("a@b.co", "password"), "password is too common");
    auth_common_passwords_close(&common);
}

Test(common_passwords, a_file_that_is_not_there_is_said)
{
    cr_assert_not_null(auth_common_passwords_open(&common, BUSI_STR("/nowhere/common")));
    auth_common_passwords_close(&common);
    cr_assert_null(auth_common_passwords_open(&common, BUSI_STR("")));
}
