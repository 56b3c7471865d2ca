#include "sessions.h"
#include <criterion/criterion.h>

static struct auth_door door = {.name = "busi"}, other_door = {.name = "magic"};
static const struct auth_session session = {.id = {"AAAAAAAAAAAAAAAAAAAAAA", 22},
                                            .token_id = {"6f1c2b70-8e3f-4b7a-9f0a-1d2e3c4b5a69", 36},
                                            .user_id = 7,
                                            .door = &door,
                                            .created_s = 1700000000,
                                            .expires_s = 1702419200};
#define KEY BUSI_STR("0123456789abcdef0123456789abcdef")

/* The record of what the test has changed is another one. */
static void expect_other(const struct auth_session *changed, struct busi_str key)
{
    char a[AUTH_RECORD_MOST_BYTES], b[AUTH_RECORD_MOST_BYTES];
    size_t n = auth_session_record(a, &session, KEY), m = auth_session_record(b, changed, key);
    cr_assert(n != m || memcmp(a + n - 32, b + m - 32, 32) != 0);
}

Test(record, is_version_numbers_door_and_tag)
{
    char record[AUTH_RECORD_MOST_BYTES], again[AUTH_RECORD_MOST_BYTES];
    size_t n = auth_session_record(record, &session, KEY);
    cr_assert_eq(n, 1 + 3 * 8 + 1 + 4 + 32);
    cr_assert_arr_eq(record, "\1\0\0\0\0\0\0\0\7\0\0\0\0\x65\x53\xf1\0\0\0\0\0\x65\x78\xdb\0\4busi", 30);
    cr_assert_eq(auth_session_record(again, &session, KEY), n);
    cr_assert_arr_eq(record, again, n);
}

Test(record, every_field_matters)
{
    struct auth_session changed = session;
    changed.id = BUSI_STR("AAAAAAAAAAAAAAAAAAAAAB");
    expect_other(&changed, KEY);
    changed = session;
    changed.token_id = BUSI_STR("6f1c2b70-8e3f-4b7a-9f0a-1d2e3c4b5a68");
    expect_other(&changed, KEY);
    changed = session;
    changed.user_id = 8;
    expect_other(&changed, KEY);
    changed = session;
    changed.door = &other_door;
    expect_other(&changed, KEY);
    changed = session;
    changed.created_s++;
    expect_other(&changed, KEY);
    changed = session;
    changed.expires_s++;
    expect_other(&changed, KEY);
    expect_other(&session, BUSI_STR("0123456789abcdef0123456789abcdeg"));
    /* The border between two texts matters, too. */
    changed = session;
    changed.id = BUSI_STR("AAAAAAAAAAAAAAAAAAAAAA6");
    changed.token_id = BUSI_STR("f1c2b70-8e3f-4b7a-9f0a-1d2e3c4b5a69");
    expect_other(&changed, KEY);
}

Test(record, fits_whatever_it_is_given)
{
    char record[AUTH_RECORD_MOST_BYTES], text[300];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    struct auth_door long_door = {.name = text};
    struct auth_session large = session;
    large.id = large.token_id = busi_str_of(text);
    large.door = &long_door;
    cr_assert_leq(auth_session_record(record, &large, KEY), sizeof(record));
}
