/* Accounts with user names and data, and the confirmation of their addresses, by the handlers. */
#include "auth-svc_accounts_kit.h"

TestSuite(accounts, .init = set_up, .fini = tear_down, .timeout = 60);

static void user_names_and_data(void)
{
    struct busi_session_reply session;
    cr_assert_eq(sign_up_as("Bob", "Bob@Example.com", "{\"role\":\"admin\"}", &session), BUSI_OK);
    cr_assert(busi_str_eq(session.username, BUSI_STR("Bob")));
    cr_assert(busi_str_eq(admin_text("SELECT username_key || meta FROM auth.users"),
                          BUSI_STR("bob{\"role\":\"admin\"}")));
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.users WHERE code ~ '^[a-z1-9]{6}$' AND epoch = 0"), 1);
    cr_assert_eq(sign_in_as("BOB", PASSWORD, &session), BUSI_OK);
    cr_assert_eq(sign_in_as("bob@example.COM", PASSWORD, &session), BUSI_OK);
    cr_assert_eq(sign_in_as("b\xe2\x80\x8b"
                            "ob",
                            PASSWORD, &session),
                 BUSI_UNAUTHENTICATED);
    cr_assert_eq(sign_up_as("ann", "ann@example.com", NULL, &session), BUSI_OK);
    cr_assert(busi_str_eq(admin_text("SELECT meta FROM auth.users WHERE username = 'ann'"), BUSI_STR("{}")));
}

Test(accounts, have_user_names_and_data)
{
    run(user_names_and_data);
}

static bool refused(size_t n, const char *first, const char *second)
{
    const struct busi_violation *v = world.call.violations;
    return world.call.n_violations == n && busi_str_eq(v[0].field, busi_str_of(first)) &&
           v[0].rule == BUSI_RULE_TAKEN &&
           (n == 1 || (busi_str_eq(v[1].field, busi_str_of(second)) && v[1].rule == BUSI_RULE_TAKEN));
}

static void taken(void)
{
    struct busi_session_reply session;
    cr_assert_eq(sign_up_as("Bob", "bob@example.com", NULL, &session), BUSI_OK);
    cr_assert_eq(sign_up_as("Ann", "ann@example.com", NULL, &session), BUSI_OK);
    cr_assert_eq(sign_up_as("bOB", "new@example.com", NULL, &session), BUSI_INVALID_ARGUMENT);
    cr_assert(refused(1, "username", NULL));
    cr_assert_eq(sign_up_as("new", "BOB@example.com", NULL, &session), BUSI_INVALID_ARGUMENT);
    cr_assert(violates("username", BUSI_RULE_RESERVED, 0));
    cr_assert_eq(sign_up_as("newer", "BOB@example.com", NULL, &session), BUSI_INVALID_ARGUMENT);
    cr_assert(refused(1, "email", NULL));
    cr_assert_eq(sign_up_as("bob", "bob@example.com", NULL, &session), BUSI_INVALID_ARGUMENT);
    cr_assert(refused(2, "email", "username"));
    cr_assert_eq(sign_up_as("ann", "bob@example.com", NULL, &session),
                 BUSI_INVALID_ARGUMENT); /* two people's */
    cr_assert(refused(2, "email", "username"));
    cr_assert_eq(sign_up_as("bob@example.com", "x@example.com", NULL, &session), BUSI_INVALID_ARGUMENT);
    cr_assert(violates("username", BUSI_RULE_FORMAT, 0));
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.users"), 2);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.outbox"), 2);
}

Test(accounts, say_all_that_is_taken)
{
    run(taken);
}

static void names_of_those_in_charge(void)
{
    struct busi_session_reply session;
    cr_assert_eq(sign_up_as("Root", "bob@example.com", NULL, &session), BUSI_OK);
}

Test(accounts, may_have_reserved_names_where_the_operator_says_so)
{
    run_with(names_of_those_in_charge, (const char *const[]){"BUSI_RESERVED_NAMES=off", NULL});
}

/* The next code is one that somebody has, again and again. */
static void codes_collide(void)
{
    struct busi_session_reply session;
    new_session("a@b.co", NULL);
    admin("UPDATE auth.users SET code = 'aaaaaa'");
    admin("CREATE SEQUENCE auth.tries; GRANT USAGE ON SEQUENCE auth.tries TO busi_auth;"
          "CREATE OR REPLACE FUNCTION auth.new_code() RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT CASE "
          "WHEN "
          "nextval('auth.tries') <= 3 THEN 'aaaaaa' ELSE 'bbbbbb' END $$");
    cr_assert_eq(sign_up("b@b.co", PASSWORD, &session), BUSI_OK);
    cr_assert(
        busi_str_eq(admin_text("SELECT code FROM auth.users ORDER BY id DESC LIMIT 1"), BUSI_STR("bbbbbb")));
    admin("CREATE OR REPLACE FUNCTION auth.new_code() RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT "
          "'aaaaaa' $$");
    cr_assert_eq(sign_up("c@b.co", PASSWORD, &session), BUSI_ABORTED);
    cr_assert_eq(sign_up("b@b.co", PASSWORD, &session), BUSI_INVALID_ARGUMENT); /* taken is seen first */
    cr_assert(violates("email", BUSI_RULE_TAKEN, 0));
}

Test(accounts, a_short_name_that_is_taken_is_drawn_again)
{
    run(codes_collide);
}

/* ---- confirmation ---- */

static void confirmed_once(void)
{
    struct busi_session_reply session;
    struct busi_principal who;
    cr_assert_eq(sign_up_as("Bob", "bob@example.com", NULL, &session), BUSI_OK);
    int64_t id = session.user_id;
    cr_assert(busi_str_eq(admin_text("SELECT kind || language || recipient FROM auth.outbox"),
                          BUSI_STR("confirm_emaildebob@example.com")));
    cr_assert(busi_str_eq(admin_text("SELECT arguments ->> 'name' FROM auth.outbox"), BUSI_STR("Bob")));
    struct busi_str secret = admin_text(SECRET);
    cr_assert_eq(secret.len, 48);
    cr_assert_eq(
        admin_int("SELECT count(*) FROM auth.one_time_secrets WHERE kind = 'confirm_email'"
                  " AND expires_at BETWEEN now() + interval '71 hours' AND now() + interval '73 hours'"),
        1);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.one_time_secrets WHERE strpos(encode(hash, 'escape'), "
                           "(SELECT arguments ->> 'secret' FROM auth.outbox)) > 0"),
                 0);
    cr_assert_eq(confirm(BUSI_STR("nonsense"), &session), BUSI_NOT_FOUND);
    cr_assert_eq(confirm(BUSI_STR(""), &session), BUSI_NOT_FOUND);
    cr_assert_eq(confirm(secret, &session), BUSI_OK);
    cr_assert_eq(session.user_id, id);
    cr_assert_eq(check(keep(session.access_token), &who), BUSI_OK);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.users WHERE confirmed_at IS NOT NULL"), 1);
    cr_assert_eq(confirm(secret, &session), BUSI_NOT_FOUND);
    cr_assert(said("email confirmation failed"));
}

Test(accounts, an_address_is_confirmed_once)
{
    run(confirmed_once);
}

static void confirmed_too_late(void)
{
    struct busi_session_reply session;
    cr_assert_eq(sign_up_as("Bob", "bob@example.com", NULL, &session), BUSI_OK);
    struct busi_str secret = admin_text(SECRET);
    admin("UPDATE auth.one_time_secrets SET expires_at = now()");
    cr_assert_eq(confirm(secret, &session), BUSI_NOT_FOUND);
    admin("UPDATE auth.one_time_secrets SET expires_at = now() + interval '1 day', kind = 'reset_password'");
    cr_assert_eq(confirm(secret, &session), BUSI_NOT_FOUND);
    admin(
        "UPDATE auth.one_time_secrets SET kind = 'confirm_email'; UPDATE auth.users SET blocked_at = now()");
    cr_assert_eq(confirm(secret, &session), BUSI_NOT_FOUND);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.users WHERE confirmed_at IS NOT NULL"), 0);
}

Test(accounts, an_expired_secret_or_one_of_another_kind_confirms_nothing)
{
    run(confirmed_too_late);
}

/* ---- blocking and deleting, by the service and by hand ---- */

static enum busi_code block(int64_t id, int64_t *count)
{
    struct busi_count_reply out = {0};
    begin(&world.call);
    enum busi_code code =
        auth_block_user(world.auth, &world.call, &(struct busi_user_id_request){.user_id = id}, &out);
    *count = out.count;
    return code;
}

static void blocked(void)
{
    int64_t id, count;
    struct busi_principal who;
    struct busi_session_reply session;
    struct busi_count_reply out = {0};
    struct busi_str one = new_session("a@b.co", &id), two = new_session("a@b.co", NULL);
    cr_assert_eq(block(id, &count), BUSI_OK);
    cr_assert_eq(count, 1);
    cr_assert_eq(check(one, &who), BUSI_UNAUTHENTICATED);
    cr_assert_eq(check(two, &who), BUSI_UNAUTHENTICATED);
    cr_assert_eq(sign_in("a@b.co", PASSWORD, &session), BUSI_UNAUTHENTICATED);
    cr_assert_eq(admin_int("SELECT epoch FROM auth.users"), 1);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.revocations WHERE epoch = 1 AND session_id IS NULL"),
                 1);
    cr_assert_eq(block(id, &count), BUSI_OK); /* again: nothing new */
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.revocations"), 1);
    cr_assert_eq(block(999, &count), BUSI_OK);
    cr_assert_eq(count, 0);
    begin(&world.call);
    cr_assert_eq(
        auth_unblock_user(world.auth, &world.call, &(struct busi_user_id_request){.user_id = id}, &out),
        BUSI_OK);
    cr_assert_eq(out.count, 1);
    cr_assert_eq(check(one, &who), BUSI_UNAUTHENTICATED);
    cr_assert_eq(sign_in("a@b.co", PASSWORD, &session), BUSI_OK);
}

Test(accounts, blocking_ends_every_session_at_once)
{
    run(blocked);
}

static bool ends_soon(struct busi_str token)
{
    struct busi_principal who;
    enum busi_code code = BUSI_OK;
    for (int64_t until_ms = busi_now_ms() + 15000; code == BUSI_OK && busi_now_ms() < until_ms;
         busi_fiber_sleep(50))
        code = check(token, &who);
    return code == BUSI_UNAUTHENTICATED;
}

static void by_hand(void)
{
    struct busi_str one = new_session("a@b.co", NULL), two = new_session("b@b.co", NULL);
    admin("UPDATE auth.users SET blocked_at = now() WHERE email = 'a@b.co'");
    admin("DELETE FROM auth.users WHERE email = 'b@b.co'");
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.revocations WHERE session_id IS NULL"), 2);
    cr_assert(ends_soon(one));
    cr_assert(ends_soon(two));
}

Test(accounts, blocking_and_deleting_by_hand_end_sessions_too)
{
    run(by_hand);
}

/* ---- all others ---- */

static struct busi_str everywhere[RACERS];

static void end_others_at_once(struct busi_call *call, size_t number)
{
    struct busi_count_reply count = {0};
    enum busi_code code = auth_end_other_sessions(
        world.auth, call, &(struct busi_check_token_request){.token = everywhere[number]}, &count);
    race.won += code == BUSI_OK;
    race.lost += code == BUSI_UNAUTHENTICATED;
}

static void one_stays(void)
{
    int alive = 0;
    everywhere[0] = bob();
    for (int i = 1; i < RACERS; i++)
        everywhere[i] = signed_in("bob", PASSWORD);
    race_all(end_others_at_once);
    cr_assert_eq(race.won, 1);
    cr_assert_eq(race.lost, RACERS - 1);
    for (int i = 0; i < RACERS; i++) {
        if (!lives(everywhere[i]))
            continue;
        struct busi_sign_in_token_reply minute = {0};
        begin(&world.call);
        cr_assert_eq(auth_issue_sign_in_token(world.auth, &world.call,
                                              &(struct busi_check_token_request){.token = everywhere[i]},
                                              &minute),
                     BUSI_OK, "it is a session like those that begin now");
        alive++;
    }
    cr_assert_eq(alive, 1);
}

Test(accounts, of_many_who_end_all_others_one_stays)
{
    run(one_stays);
}

static enum busi_code end_others(struct busi_str token)
{
    struct busi_count_reply count = {0};
    begin(&world.call);
    return auth_end_other_sessions(world.auth, &world.call,
                                   &(struct busi_check_token_request){.token = token}, &count);
}

/* The worker of whoever was first died when it had written so to Postgres, and nobody has read the journal
 * yet. */
static void the_first_died(void)
{
    struct busi_str first = bob(), second = signed_in("bob", PASSWORD);
    struct busi_principal who;
    cr_assert_eq(check(first, &who), BUSI_OK);
    admin(busi_arena_printf(&world.arena,
                            "WITH raised AS (UPDATE auth.users SET epoch = epoch + 1 RETURNING id, epoch)"
                            " INSERT INTO auth.revocations(user_id, epoch, spared_session_id, expires_at)"
                            " SELECT id, epoch, '%.*s', now() + interval '1 day' FROM raised",
                            BUSI_ARG(who.session_id))
              .ptr);
    cr_assert_eq(end_others(second), BUSI_UNAUTHENTICATED);
    cr_assert(lives(first), "it was first");
    cr_assert_eq(end_others(first), BUSI_OK);
    cr_assert(lives(first));
    cr_assert_not(lives(second));
    cr_assert_eq(end_others(first), BUSI_OK, "and is in the account's epoch again");
}

Test(accounts, who_was_first_to_end_all_others_stays_though_its_worker_died)
{
    run(the_first_died);
}
