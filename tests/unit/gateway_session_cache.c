#include "base/clock.h"
#include "base/metrics.h"
#include "crypto/secret.h"
#include "session/cache.h"
#include <criterion/criterion.h>

static struct session_cache *cache;
static struct busi_arena arena;

static void open_cache(void)
{
    cr_assert(busi_crypto_init());
    busi_arena_init(&arena, 64 << 20);
    cache = session_cache_new(1024);
    cr_assert(cache);
    session_cache_trust(cache, busi_lease_ms() + 60000);
}

static void close_cache(void)
{
    session_cache_free(&cache);
    busi_arena_fini(&arena);
}

TestSuite(session_cache, .init = open_cache, .fini = close_cache);

/* As the check of a token would answer; it expires in so many milliseconds. */
static struct busi_principal principal(int64_t user_id, const char *session_id, int64_t left_ms)
{
    int64_t now_us = busi_wall_us();
    return (struct busi_principal){.user_id = user_id,
                                   .session_id = busi_str_of(session_id),
                                   .door = BUSI_STR("accesspass"),
                                   .checked_at = now_us,
                                   .expires_at = now_us + left_ms * 1000,
                                   .email = BUSI_STR("a@b.co"),
                                   .username = BUSI_STR(""),
                                   .email_confirmed = true,
                                   .meta = BUSI_STR("{\"a\":1}")};
}

static struct busi_str number(const char *word, int i)
{
    struct busi_str text = busi_arena_printf(&arena, "%s-%d", word, i);
    cr_assert(text.ptr);
    return text;
}

static bool find(struct busi_str token, struct busi_principal *out, struct session_ticket *ticket)
{
    *out = (struct busi_principal){0};
    return session_cache_find(cache, token, &arena, out, ticket);
}

static bool has(struct busi_str token)
{
    struct busi_principal out;
    struct session_ticket ticket;
    return find(token, &out, &ticket);
}

static void keep(struct busi_str token, struct busi_principal who)
{
    struct busi_principal out;
    struct session_ticket ticket;
    (void)!find(token, &out, &ticket);
    session_cache_keep(cache, &ticket, &who);
}

static void forget(const char *session_id)
{
    session_cache_forget(cache, &(struct busi_ended_session){.session_id = busi_str_of(session_id)}, 1);
}

Test(session_cache, gives_back_all_that_was_kept)
{
    struct busi_principal want = principal(7, "s", 60000), have;
    struct session_ticket ticket;
    cr_assert_not(has(BUSI_STR("token")));
    keep(BUSI_STR("token"), want);
    cr_assert(find(BUSI_STR("token"), &have, &ticket));
    cr_assert_eq(have.user_id, 7);
    cr_assert(busi_str_eq(have.session_id, want.session_id) && busi_str_eq(have.door, want.door));
    cr_assert(busi_str_eq(have.email, want.email) && busi_str_eq(have.meta, want.meta));
    cr_assert(have.username.ptr && have.username.len == 0);
    cr_assert_null(have.user_code.ptr);
    cr_assert(have.email_confirmed && have.expires_at == want.expires_at);
    cr_assert_not(has(BUSI_STR("tokem")));
    cr_assert_not(has(BUSI_STR("")));
}

Test(session_cache, forgets_the_tokens_of_a_session_and_no_others)
{
    for (int i = 0; i < 100; i++)
        keep(number("token", i), principal(i, i % 2 ? "odd" : "even", 60000));
    forget("neither");
    forget("odd");
    for (int i = 0; i < 100; i++)
        cr_assert_eq(has(number("token", i)), i % 2 == 0, "%d", i);
    keep(BUSI_STR("again"), principal(1, "odd", 60000)); /* checked after it was forgotten */
    cr_assert(has(BUSI_STR("again")));
    session_cache_forget_all(cache);
    for (int i = 0; i < 100; i++)
        cr_assert_not(has(number("token", i)));
}

Test(session_cache, forgets_a_thousand_at_once)
{
    static struct busi_ended_session ended[1000];
    for (int i = 0; i < 300; i++)
        keep(number("token", i), principal(i, number("session", i).ptr, 60000));
    for (int i = 0; i < 1000; i++)
        ended[i].session_id = number("session", i + 100);
    session_cache_forget(cache, ended, 1000);
    for (int i = 0; i < 300; i++)
        cr_assert_eq(has(number("token", i)), i < 100, "%d", i);
}

/* The check was on its way, perhaps answered already, when the session ended. */
Test(session_cache, keeps_nothing_that_was_asked_before_something_was_forgotten)
{
    struct busi_principal out;
    struct session_ticket ticket;
    cr_assert_not(find(BUSI_STR("token"), &out, &ticket));
    forget("s");
    session_cache_keep(cache, &ticket, &(struct busi_principal){0});
    struct busi_principal late = principal(1, "s", 60000);
    session_cache_keep(cache, &ticket, &late);
    cr_assert_not(has(BUSI_STR("token")));
    cr_assert_not(find(BUSI_STR("token"), &out, &ticket));
    session_cache_forget_all(cache);
    session_cache_keep(cache, &ticket, &late);
    cr_assert_not(has(BUSI_STR("token")));
}

Test(session_cache, finds_nothing_while_it_is_not_trusted)
{
    keep(BUSI_STR("token"), principal(1, "s", 60000));
    session_cache_trust(cache, 0);
    cr_assert_not(has(BUSI_STR("token")));
    session_cache_trust(cache, busi_lease_ms());
    cr_assert_not(has(BUSI_STR("token")));
    session_cache_trust(cache, busi_lease_ms() + 60000);
    cr_assert(has(BUSI_STR("token")));
}

Test(session_cache, an_expired_token_is_no_hit)
{
    keep(BUSI_STR("long"), principal(1, "s", 60000));
    keep(BUSI_STR("short"), principal(1, "s", 100));
    keep(BUSI_STR("past"), principal(1, "s", -1));
    cr_assert(has(BUSI_STR("short")) && has(BUSI_STR("long")));
    cr_assert_not(has(BUSI_STR("past")));
    int64_t until_ms = busi_lease_ms() + 101;
    while (busi_lease_ms() < until_ms)
        ;
    cr_assert_not(has(BUSI_STR("short")));
    cr_assert(has(BUSI_STR("long")));
}

Test(session_cache, keeps_only_what_says_when_it_was_checked)
{
    struct busi_principal who = principal(1, "s", 60000);
    who.checked_at = 0;
    keep(BUSI_STR("token"), who);
    cr_assert_not(has(BUSI_STR("token")));
    who = principal(1, "s", 60000);
    who.expires_at = 0; /* never */
    keep(BUSI_STR("token"), who);
    cr_assert(has(BUSI_STR("token")));
}

Test(session_cache, large_data_is_not_kept)
{
    static char meta[2000];
    struct busi_principal who = principal(1, "s", 60000);
    memset(meta, 'x', sizeof meta);
    who.meta = (struct busi_str){meta, sizeof meta};
    keep(BUSI_STR("token"), who);
    cr_assert_not(has(BUSI_STR("token")));
    who.meta.len = 500;
    keep(BUSI_STR("token"), who);
    cr_assert(has(BUSI_STR("token")));
}

Test(session_cache, is_bounded_and_keeps_the_later_ones)
{
    int held = 0;
    for (int i = 0; i < 20000; i++)
        keep(number("token", i), principal(i, "s", 60000));
    for (int i = 0; i < 20000; i++)
        held += has(number("token", i));
    cr_assert(held <= 1024 && held > 900, "%d", held);
    cr_assert(has(number("token", 19999)));
    int64_t before = busi_metric_get(BUSI_METRIC_session_cache_forgotten);
    session_cache_forget_all(cache);
    cr_assert_eq(busi_metric_get(BUSI_METRIC_session_cache_forgotten) - before, held);
}

Test(session_cache, a_later_answer_takes_the_place_of_an_earlier_one)
{
    struct busi_principal out;
    struct session_ticket ticket;
    keep(BUSI_STR("token"), principal(1, "s", 60000));
    keep(BUSI_STR("token"), principal(2, "t", 60000));
    cr_assert(find(BUSI_STR("token"), &out, &ticket));
    cr_assert_eq(out.user_id, 2);
    forget("s");
    cr_assert(has(BUSI_STR("token")));
    forget("t");
    cr_assert_not(has(BUSI_STR("token")));
}

static int calls;

static bool note_call(void *arg)
{
    (void)arg;
    return ++calls > 1; /* the first time it could not be passed on */
}

Test(session_cache, says_once_that_somebody_wants_it)
{
    session_cache_trust(cache, 0);
    session_cache_call_when_wanted(cache, note_call, NULL);
    (void)!session_cache_used(cache);
    cr_assert_not(session_cache_used(cache));
    for (int i = 0; i < 5; i++)
        cr_assert_not(has(BUSI_STR("token")));
    cr_assert_eq(calls, 2);
    cr_assert(session_cache_used(cache));
    cr_assert_not(session_cache_used(cache));
}

Test(session_cache, of_no_size_never_holds_any)
{
    session_cache_free(&cache);
    cache = session_cache_new(0);
    cr_assert(cache);
    session_cache_trust(cache, busi_lease_ms() + 60000);
    keep(BUSI_STR("token"), principal(1, "s", 60000));
    cr_assert_not(has(BUSI_STR("token")));
    forget("s");
    session_cache_forget_all(cache);
}
