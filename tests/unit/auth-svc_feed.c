#include "auth-svc_kit.h"
#include "sessions/watchers.h"

TestSuite(feed, .init = set_up, .fini = tear_down, .timeout = 60);

#define NAME "a-watcher-of-a-test"

/* ---- a watcher ---- */

static struct busi_call question;

static enum busi_code ask_as(const char *name, struct busi_str position, bool leave,
                             struct busi_watch_sessions_reply *out)
{
    busi_call_fini(&question);
    busi_call_init(&question, 4 << 20);
    question.until_ms = busi_now_ms() + 5000;
    *out = (struct busi_watch_sessions_reply){0};
    struct busi_watch_sessions_request in = {
        .watcher = busi_str_of(name), .position = position, .leave = leave};
    enum busi_code code = auth_watch_sessions(world.auth, &question, &in, out);
    out->position = keep(out->position);
    return code;
}

static struct busi_str join(void)
{
    struct busi_watch_sessions_reply reply;
    int64_t since_ms = busi_now_ms();
    cr_assert_eq(ask_as(NAME, (struct busi_str){0}, false, &reply), BUSI_OK);
    cr_assert(reply.everything && reply.ended.n == 0 && reply.position.len > 0);
    cr_assert(reply.lease_ms > 0 && reply.lease_ms < LEASE_MS);
    cr_assert_lt(busi_now_ms() - since_ms, 400);
    return reply.position;
}

static const struct busi_ended_session *ended(const struct busi_watch_sessions_reply *reply)
{
    return reply->ended.items;
}

/* ---- a revocation beside it ---- */

static struct busi_str doomed; /* the token that is signed out */
static struct busi_call revocation;
static enum busi_code revoked;
static int64_t took_ms; /* -1: not yet */

static void revoke(void *arg)
{
    struct busi_empty out;
    int64_t since_ms = busi_lease_ms();
    (void)arg;
    busi_call_init(&revocation, 4 << 20);
    revocation.until_ms = busi_now_ms() + 5000;
    revoked =
        auth_sign_out(world.auth, &revocation, &(struct busi_check_token_request){.token = doomed}, &out);
    busi_call_fini(&revocation);
    took_ms = busi_lease_ms() - since_ms;
}

static void start_revoking(struct busi_str token)
{
    doomed = token;
    took_ms = -1;
    cr_assert(busi_fiber_start(world.fibers, revoke, NULL));
}

static void finish_revoking(void)
{
    for (int i = 0; i < 1000 && took_ms < 0; i++)
        busi_fiber_sleep(1);
    cr_assert_geq(took_ms, 0);
    cr_assert_eq(revoked, BUSI_OK, "%s", busi_code_name((int)revoked));
}

/* The kit flushed Redis: until the list of watchers has been known for a lease nothing is quick. */
static void settle_in(void)
{
    for (int i = 0; i < 200 && redis("EXISTS", "busi:watchers", NULL, NULL).number == 0; i++) {
        start_revoking(BUSI_STR("nobody's"));
        busi_fiber_sleep(10);
    }
    doomed = new_session("first@b.co", NULL);
    start_revoking(doomed);
    finish_revoking();
    busi_fiber_sleep(LEASE_MS + 10);
}

/* Ended sessions that were told long ago. */
static void add(int n)
{
    for (int i = 0; i < n; i++) {
        struct busi_redis_reply reply;
        const struct busi_str argv[] = {BUSI_STR("XADD"), BUSI_STR("busi:ended"), BUSI_STR("*"),
                                        BUSI_STR("s"), BUSI_STR("a-session")};
        cr_assert_eq(busi_redis_run(world.auth->redis, &world.arena, 5, argv, busi_now_ms() + 5000, &reply),
                     BUSI_OK);
    }
}

static void hear_then_answer(void)
{
    struct busi_watch_sessions_reply reply;
    settle_in();
    add(1);
    struct busi_str token = new_session("a@b.co", NULL), position = join();
    cr_assert_eq(ask_as(NAME, position, false, &reply), BUSI_OK); /* nothing new */
    cr_assert(!reply.everything && reply.ended.n == 0);
    int64_t asked_ms = busi_lease_ms();
    start_revoking(token);
    cr_assert_eq(took_ms, -1);
    cr_assert_eq(ask_as(NAME, position, false, &reply), BUSI_OK);
    cr_assert(!reply.everything && reply.ended.n == 1 && ended(&reply)[0].session_id.len > 10);
    cr_assert_lt(busi_lease_ms() - asked_ms, LEASE_MS / 3, "it was told at once");
    cr_assert_eq(took_ms, -1, "told is not forgotten");
    cr_assert_eq(ask_as(NAME, reply.position, false, &reply), BUSI_OK);
    finish_revoking();
}

Test(feed, a_revocation_is_answered_when_all_have_forgotten)
{
    run(hear_then_answer);
}

static void the_dead(void)
{
    struct busi_str token = new_session("a@b.co", NULL), other = new_session("a@b.co", NULL);
    settle_in();
    join();
    int64_t asked_ms = busi_lease_ms();
    start_revoking(token);
    finish_revoking();
    cr_assert_geq(busi_lease_ms() - asked_ms, LEASE_MS - LEASE_MS / 15 - 1, "its lease was not over");
    cr_assert_lt(took_ms, 3 * LEASE_MS);
    for (int i = 0; i < 400 && redis("HEXISTS", "busi:watchers", NAME, NULL).number; i++)
        busi_fiber_sleep(5);
    cr_assert_eq(redis("HEXISTS", "busi:watchers", NAME, NULL).number, 0, "nobody strikes it off");
    start_revoking(other);
    finish_revoking();
    cr_assert_lt(took_ms, LEASE_MS / 2);
}

Test(feed, one_that_does_not_answer_is_waited_for_as_long_as_its_lease)
{
    run(the_dead);
}

static void nobody(void)
{
    struct busi_watch_sessions_reply reply;
    struct busi_str token = new_session("a@b.co", NULL), other = new_session("a@b.co", NULL);
    settle_in();
    start_revoking(token);
    finish_revoking();
    cr_assert_lt(took_ms, LEASE_MS / 2);
    cr_assert_eq(redis("EXISTS", "busi:ended", NULL, NULL).number, 0);
    struct busi_str position = join();
    cr_assert_eq(ask_as(NAME, position, true, &reply), BUSI_OK);
    start_revoking(other);
    finish_revoking();
    cr_assert_lt(took_ms, LEASE_MS / 2);
    cr_assert_eq(ask_as(NAME, position, false, &reply),
                 BUSI_OK); /* it has left: what it missed is not known */
    cr_assert(reply.everything);
}

Test(feed, without_watchers_nothing_is_kept_nor_waited_for)
{
    run(nobody);
}

static void other_histories(void)
{
    struct busi_watch_sessions_reply reply;
    settle_in();
    join();
    add(3);
    struct busi_str position = join();
    const char *const odd[] = {"", " ", "-", "0-0", "garbage", "a b c", "1-1 1-1"};
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        cr_assert_eq(ask_as(NAME, busi_str_of(odd[i]), false, &reply), BUSI_OK, "%s", odd[i]);
        cr_assert(reply.everything, "%s", odd[i]);
    }
    /* of another stream: behind its end */
    cr_assert_eq(ask_as(NAME, busi_arena_printf(&world.arena, "%.*s9", BUSI_ARG(position)), false, &reply),
                 BUSI_OK);
    cr_assert(reply.everything);
    add(3);
    cr_assert_eq(ask_as(NAME, position, false, &reply), BUSI_OK);
    cr_assert(!reply.everything && reply.ended.n == 3);
    cr_assert(busi_str_eq(ended(&reply)[2].session_id, BUSI_STR("a-session")));
    /* more than an answer holds, more than is kept */
    position = reply.position;
    add(1001);
    cr_assert_eq(ask_as(NAME, position, false, &reply), BUSI_OK);
    cr_assert(reply.everything && reply.ended.n == 0);
    redis("XTRIM", "busi:ended", "MAXLEN", "1");
    cr_assert_eq(ask_as(NAME, position, false, &reply), BUSI_OK);
    cr_assert(reply.everything);
    /* another timeline */
    position = join();
    redis("HSET", "busi:watchers", "", "another");
    cr_assert_eq(ask_as(NAME, position, false, &reply), BUSI_OK);
    cr_assert(reply.everything);
}

Test(feed, whoever_may_have_missed_something_forgets_all)
{
    run(other_histories);
}

static void lost_list(void)
{
    struct busi_str token = new_session("a@b.co", NULL), other = new_session("a@b.co", NULL);
    settle_in();
    join();
    redis("DEL", "busi:watchers", NULL, NULL); /* as FLUSHDB does, beside all else */
    start_revoking(token);
    finish_revoking();
    cr_assert_geq(took_ms, LEASE_MS - LEASE_MS / 15);
    join();
    int64_t since_ms = busi_lease_ms();
    redis("HSET", "busi:watchers", NAME, "no value of ours"); /* as good as lost */
    start_revoking(other);
    finish_revoking();
    cr_assert_geq(busi_lease_ms() - since_ms, LEASE_MS - LEASE_MS / 15);
}

Test(feed, when_the_list_of_watchers_is_lost_a_lease_is_waited_out)
{
    run(lost_list);
}

static void emptied(void)
{
    int64_t id, count;
    new_session("a@b.co", &id);
    settle_in();
    int64_t since_ms = busi_lease_ms();
    cr_assert_eq(delete_user(id, &count), BUSI_OK);
    cr_assert_lt(busi_lease_ms() - since_ms, LEASE_MS / 2, "nobody has to be waited for");
    new_session("b@b.co", &id);
    join(); /* and remembers the session */
    redis("FLUSHDB", NULL, NULL, NULL);
    since_ms = busi_lease_ms();
    cr_assert_eq(delete_user(id, &count), BUSI_OK); /* finds no session to tell of */
    cr_assert_geq(busi_lease_ms() - since_ms, LEASE_MS - LEASE_MS / 15);
}

Test(feed, of_an_emptied_redis_a_lease_is_waited_out_though_no_session_is_found)
{
    run(emptied);
}

static void names(void)
{
    struct busi_watch_sessions_reply reply;
    char long_name[66];
    memset(long_name, 'a', 65);
    long_name[65] = 0;
    const char *const bad[] = {"", "#", "short", "with a space 01234", "with\nnewline0123456", long_name};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_assert_eq(ask_as(bad[i], (struct busi_str){0}, false, &reply), BUSI_INVALID_ARGUMENT, "%s",
                     bad[i]);
    settle_in();
    for (int i = 0; i < 200; i++) /* no more than it can know */
        (void)!ask_as(busi_arena_printf(&world.arena, "%s%d", NAME, i).ptr, (struct busi_str){0}, false,
                      &reply);
    cr_assert_leq(redis("HLEN", "busi:watchers", NULL, NULL).number, AUTH_WATCHERS_MOST + 2);
}

Test(feed, watchers_are_bounded_and_their_names_plain)
{
    run(names);
}

static void many(void)
{
    struct busi_principal who;
    int64_t id, count;
    struct busi_str token = {0};
    settle_in();
    for (int i = 0; i < 40; i++)
        token = new_session("a@b.co", &id);
    for (int i = 0; i < 300; i++)
        redis("ZADD", busi_arena_printf(&world.arena, "busi:u:{%lld}", (long long)id).ptr, "9999999999",
              busi_arena_printf(&world.arena, "gone%d", i).ptr);
    join();
    int64_t since_ms = busi_lease_ms();
    cr_assert_eq(delete_user(id, &count), BUSI_OK);
    cr_assert_lt(busi_lease_ms() - since_ms, 10 * LEASE_MS, "it waited for each");
    cr_assert_eq(check(token, &who), BUSI_UNAUTHENTICATED);
    cr_assert_geq(redis("XLEN", "busi:ended", NULL, NULL).number, 340);
}

Test(feed, many_are_told_together)
{
    run(many);
}

static void drained(void)
{
    struct busi_watch_sessions_reply reply;
    settle_in();
    struct busi_str position = join();
    auth_drain(world.auth);
    int64_t since_ms = busi_now_ms();
    for (int i = 0; i < 3; i++)
        cr_assert_eq(ask_as(NAME, position, false, &reply), BUSI_OK);
    cr_assert_lt(busi_now_ms() - since_ms, 300);
}

Test(feed, a_draining_worker_holds_no_question)
{
    run(drained);
}

static void away(void)
{
    struct busi_watch_sessions_reply reply;
    for (int i = 0; i < 600 && !busi_pg_ready(world.auth->pg); i++)
        busi_fiber_sleep(5);
    cr_assert_eq(ask_as(NAME, (struct busi_str){0}, false, &reply), BUSI_UNAVAILABLE);
    cr_assert_eq(ask_as(NAME, (struct busi_str){0}, true, &reply), BUSI_UNAVAILABLE);
}

Test(feed, without_redis_nobody_gets_a_lease)
{
    world.stores_away = true;
    run_with(away, (const char *const[]){"BUSI_REDIS=redis://127.0.0.1:1/0", NULL});
}
