/* Tokens and sessions while memory is refused: no good token is called bad, and no session that was to end
 * lives on. */
#include "auth-svc_kit.h"
#include "scarce.h"

TestSuite(auth_scarce, .init = set_up, .fini = tear_down, .timeout = 120);

enum {
    NUMBERS_MOST = 400,
    JOURNAL_NUMBERS = 24,
    QUIET = 3
}; /* so many in a row that none was refused: there are no more */

static bool is_about_us(enum busi_code code)
{
    return code != BUSI_OK && !busi_code_is_verdict((int)code);
}

/* Whether it is good, as soon as that can be said. */
static bool is_good(struct busi_str token)
{
    struct busi_principal who;
    enum busi_code code = check(token, &who);
    for (int i = 0; i < 1000 && is_about_us(code); i++) {
        busi_fiber_sleep(5);
        code = check(token, &who);
    }
    cr_assert(code == BUSI_OK || code == BUSI_UNAUTHENTICATED, "%s", busi_code_name((int)code));
    return code == BUSI_OK;
}

static struct busi_str opaque_session(void)
{
    static int n;
    struct busi_session_reply session = {0};
    struct busi_str name = busi_arena_printf(&world.arena, "scarce%d", ++n);
    const struct busi_sign_up_request in = {
        .door = BUSI_STR("accesspass"),
        .email = busi_arena_printf(&world.arena, "%.*s@example.com", BUSI_ARG(name)),
        .username = name,
        .password = BUSI_STR(PASSWORD),
        .password_confirm = BUSI_STR(PASSWORD)};
    begin(&world.call);
    cr_assert_eq(auth_sign_up(world.auth, &world.call, &in, &session), BUSI_OK);
    return keep(session.access_token);
}

static struct busi_str jwt_session(void)
{
    return new_session("a@b.co", NULL);
}

static void no_good_token_is_called_bad(struct busi_str (*open)(void))
{
    struct busi_principal who;
    struct busi_str token = open();
    int quiet = 0, number = 0, refusals = 0;
    for (; quiet < QUIET && number < NUMBERS_MOST; quiet++) {
        scarce_begin(++number, 1);
        enum busi_code code = check(token, &who);
        if (scarce_end() > 0) {
            refusals++;
            quiet = 0;
        }
        cr_expect(code == BUSI_OK || is_about_us(code), "allocation %d: %s", number,
                  busi_code_name((int)code));
        cr_expect(is_good(token), "after allocation %d", number);
    }
    cr_assert_gt(refusals, 0);
}

static void checks(void)
{
    no_good_token_is_called_bad(jwt_session);
    no_good_token_is_called_bad(opaque_session);
}

Test(auth_scarce, no_good_token_is_called_bad)
{
    run(checks);
}

static void no_session_outlives(struct busi_str (*open)(void))
{
    int quiet = 0, number = 0, refusals = 0;
    for (; quiet < QUIET && number < NUMBERS_MOST; quiet++) {
        struct busi_str token = open();
        scarce_begin(++number, 1);
        enum busi_code code = sign_out(token);
        if (scarce_end() > 0) {
            refusals++;
            quiet = 0;
        }
        cr_expect(code == BUSI_OK || is_about_us(code), "allocation %d: %s", number,
                  busi_code_name((int)code));
        if (code != BUSI_OK)
            cr_expect_eq(sign_out(token), BUSI_OK);
        cr_expect_not(is_good(token), "allocation %d: it was signed out, %s", number,
                      busi_code_name((int)code));
    }
    cr_assert_gt(refusals, 0);
}

static void sign_outs(void)
{
    no_session_outlives(jwt_session);
    no_session_outlives(opaque_session);
}

Test(auth_scarce, no_session_outlives_its_sign_out)
{
    run(sign_outs);
}

/* A Redis from an old snapshot is met while memory is refused: the journal is told whole, or nobody is let
 * in. */
static void the_journal_is_told(void)
{
    struct busi_redis_reply reply;
    struct busi_str token = new_session("a@b.co", NULL), record;
    struct auth_token read;
    cr_assert_eq(auth_token_read(world.auth, &world.arena, token, &read), AUTH_TOKEN_GOOD);
    const char *key = busi_arena_printf(&world.arena, "busi:s:{%.*s}", BUSI_ARG(read.session_id)).ptr;
    record = redis("GET", key, NULL, NULL).text;
    cr_assert_eq(sign_out(token), BUSI_OK);
    int quiet = 0, number = 0, refusals = 0;
    for (; quiet < QUIET && number < JOURNAL_NUMBERS; quiet++) {
        const struct busi_str set[] = {BUSI_STR("SET"), busi_str_of(key), record};
        cr_assert_eq(busi_redis_run(world.auth->redis, &world.arena, 3, set, busi_now_ms() + 5000, &reply),
                     BUSI_OK);
        redis("DEL", "busi:journal", NULL, NULL); /* of a snapshot as old */
        uint64_t generation = busi_redis_generation(world.auth->redis);
        redis("CLIENT", "KILL", "SKIPME", "no");
        while (busi_redis_generation(world.auth->redis) == generation)
            busi_fiber_sleep(1);
        scarce_begin(++number, 1);
        for (int i = 0; i < 2000 && !auth_ready(world.auth); i++)
            busi_fiber_sleep(1);
        if (scarce_end() > 0) {
            refusals++;
            quiet = 0;
        }
        cr_expect_not(is_good(token), "allocation %d", number);
    }
    cr_assert_gt(refusals, 0);
}

Test(auth_scarce, the_journal_is_told_whole)
{
    run(the_journal_is_told);
}
