/* Mails that anybody may ask for: what is answered, what is sent, and to whom. */
#include "auth-svc_accounts_kit.h"

TestSuite(mail_requests, .init = set_up, .fini = tear_down, .timeout = 60);

#define NO_GAP ((const char *const[]){"BUSI_MAIL_MIN_GAP=0s", NULL})

static struct busi_str newest(const char *column)
{
    return admin_text(
        busi_arena_printf(&world.arena, "SELECT %s FROM auth.outbox ORDER BY id DESC LIMIT 1", column).ptr);
}

static void each_kind(void)
{
    bob();
    ask_and_wait(auth_send_confirmation, "bob");
    cr_assert_eq(admin_int(MAILS), 2);
    cr_assert(
        busi_str_eq(newest("kind || recipient || language"), BUSI_STR("confirm_emailBob@Example.comde")));
    cr_assert(busi_str_eq(newest("arguments ->> 'name'"), BUSI_STR("Bob")));
    cr_assert_eq(newest("arguments ->> 'secret'").len, 48);
    ask_and_wait(auth_start_reset, "BOB@example.com");
    cr_assert(busi_str_eq(newest("kind || recipient"), BUSI_STR("reset_passwordBob@Example.com")));
    cr_assert_eq(newest("arguments ->> 'secret'").len, 48);
    cr_assert_eq(
        admin_int("SELECT count(*) FROM auth.one_time_secrets WHERE kind = 'reset_password' AND expires_at"
                  " BETWEEN now() + interval '119 minutes' AND now() + interval '121 minutes'"),
        1);
    ask_and_wait(auth_remind_username, "bob@EXAMPLE.com");
    cr_assert(busi_str_eq(newest("kind || arguments"), BUSI_STR("forgot_username{\"names\": \"Bob\"}")));
    cr_assert_eq(admin_int(MAILS), 4);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.one_time_secrets"), 2);
}

Test(mail_requests, each_kind_goes_to_the_stored_address)
{
    run_with(each_kind, NO_GAP);
}

/* The same answer and nothing sent. */
static void nobody(void)
{
    static char long_name[65000];
    memset(long_name, 'x', sizeof(long_name) - 1);
    bob();
    static const char *const names[] = {"nobody",
                                        "nobody@example.com",
                                        "",
                                        "b\xe2\x80\x8bob",
                                        ("\xe2\x84\xaa"
                                         "bob"),
                                        "bob@example.com ",
                                        "b0b",
                                        "bob@ex\xc3\xa4mple.com",
                                        "' OR 1=1 --",
                                        "bob@example.com\r\nBcc: x@y.co"};
    asking *const handlers[] = {auth_send_confirmation, auth_start_reset, auth_remind_username};
    for (size_t i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++) {
        for (size_t n = 0; n < sizeof(names) / sizeof(names[0]); n++)
            ask(handlers[i], names[n]);
        ask(handlers[i], long_name);
    }
    decided();
    cr_assert_eq(admin_int(MAILS), 1); /* of Bob's sign-up */
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.one_time_secrets"), 1);
    ask_and_wait(auth_remind_username, "bob"); /* by an address alone */
    cr_assert_eq(admin_int(MAILS), 1);
}

Test(mail_requests, of_nobody_are_answered_alike_and_send_nothing)
{
    run_with(nobody, NO_GAP);
}

static void of_no_use(void)
{
    struct busi_session_reply session;
    bob();
    cr_assert_eq(confirm(admin_text(SECRET), &session), BUSI_OK);
    ask_and_wait(auth_send_confirmation, "bob");
    cr_assert_eq(admin_int(MAILS), 1);
    admin("UPDATE auth.users SET blocked_at = now()");
    ask_and_wait(auth_start_reset, "bob");
    ask_and_wait(auth_remind_username, "bob@example.com");
    cr_assert_eq(admin_int(MAILS), 1);
}

Test(mail_requests, of_no_use_send_nothing)
{
    run_with(of_no_use, NO_GAP);
}

static void a_newer_one(void)
{
    struct busi_session_reply session;
    bob();
    struct busi_str first = admin_text(SECRET);
    ask_and_wait(auth_send_confirmation, "bob");
    struct busi_str second = admin_text(SECRET);
    cr_assert_not(busi_str_eq(first, second));
    cr_assert_eq(confirm(first, &session), BUSI_NOT_FOUND);
    cr_assert_eq(confirm(second, &session), BUSI_OK);
    struct busi_str third = reset_of("bob"), fourth = reset_of("bob");
    cr_assert_eq(finish_reset(third, "another password", "another password"), BUSI_NOT_FOUND);
    cr_assert_eq(finish_reset(fourth, "another password", "another password"), BUSI_OK);
}

Test(mail_requests, a_newer_secret_voids_the_older)
{
    run_with(a_newer_one, NO_GAP);
}

static void the_gap(void)
{
    struct busi_session_reply session;
    bob();
    struct busi_str first = admin_text(SECRET);
    for (int i = 0; i < 20; i++)
        ask(auth_send_confirmation, i % 2 ? "bob" : "bob@example.com");
    decided();
    cr_assert_eq(admin_int(MAILS), 1); /* that of the sign-up counts, too */
    for (int i = 0; i < 20; i++)
        ask(auth_start_reset, i % 2 ? "bob" : "bob@example.com");
    decided();
    cr_assert_eq(admin_int(MAILS), 2); /* each kind has its own */
    struct busi_str reset = admin_text(SECRET);
    cr_assert_eq(confirm(first, &session), BUSI_OK); /* what was not sent has voided nothing */
    admin("UPDATE auth.mail_gaps SET sent_at = sent_at - interval '59 seconds'");
    ask_and_wait(auth_start_reset, "bob");
    cr_assert_eq(admin_int(MAILS), 2);
    admin("UPDATE auth.mail_gaps SET sent_at = sent_at - interval '2 seconds'");
    ask_and_wait(auth_start_reset, "bob");
    cr_assert_eq(admin_int(MAILS), 3);
    cr_assert_eq(finish_reset(reset, "another password", "another password"), BUSI_NOT_FOUND);
    admin("UPDATE auth.mail_gaps SET sent_at = now() + interval '1 hour'"); /* by a clock that was ahead */
    ask_and_wait(auth_start_reset, "bob");
    cr_assert_eq(admin_int(MAILS), 4);
}

Test(mail_requests, too_soon_after_another_send_nothing)
{
    run_with(the_gap, (const char *const[]){"BUSI_MAIL_MIN_GAP=60s", NULL});
}

static void ask_at_once(struct busi_call *call, size_t number)
{
    struct busi_empty out;
    struct busi_account_name_request in = {
        .door = DOOR, .name = number % 2 ? BUSI_STR("bob") : BUSI_STR("BOB@example.com")};
    race.won += auth_start_reset(world.auth, call, &in, &out) == BUSI_OK;
}

/* However many are asked for at once, one secret is good, and it is that of the newest mail. */
static void at_once(void)
{
    bob();
    race_all(ask_at_once);
    cr_assert_eq(race.won, RACERS);
    decided();
    cr_assert_eq(admin_int(MAILS), 1 + RACERS);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.one_time_secrets WHERE kind = 'reset_password'"), 1);
    cr_assert_eq(finish_reset(admin_text(SECRET), "another password", "another password"), BUSI_OK);
}

Test(mail_requests, sixty_four_at_once)
{
    run_with(at_once, NO_GAP);
}

static void by_another_process(void)
{
    bob();
    admin("INSERT INTO auth.mail_requests(kind, username_key, secret, hash, lifetime_s)"
          " SELECT 'reset_password', 'bob', 's' || i, decode(md5(i::text), 'hex'), 60 FROM "
          "generate_series(1, 3) AS i");
    decided();
    cr_assert_eq(admin_int(MAILS), 4);
}

Test(mail_requests, left_by_another_process_are_dealt_with)
{
    run_with(by_another_process, NO_GAP);
}

/* What depends on the account comes after the answer: until then even the tables are alike. */
static void same_work(void)
{
    struct busi_empty out;
    bob();
    admin("BEGIN; LOCK TABLE auth.users IN ACCESS EXCLUSIVE MODE");
    for (int i = 0; i < 2; i++) {
        begin(&world.call);
        struct busi_account_name_request in = {.door = DOOR,
                                               .name = i ? BUSI_STR("bob") : BUSI_STR("nobody")};
        cr_assert_eq(auth_start_reset(world.auth, &world.call, &in, &out), BUSI_OK);
    }
    admin("ROLLBACK");
    decided();
    cr_assert_eq(admin_int(MAILS), 2);
}

Test(mail_requests, are_answered_before_anybody_looks_at_accounts)
{
    run_with(same_work, NO_GAP);
}
