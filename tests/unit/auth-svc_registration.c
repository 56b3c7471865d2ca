/* Sign-ups that tell nobody who has an address, and links that lead elsewhere: magic's. */
#include "auth-svc_accounts_kit.h"

TestSuite(registration, .init = set_up, .fini = tear_down, .timeout = 60);

#define LINK "https://app.example.com/?token={secret}&username=ann"
#define NEWEST(column) "SELECT " column " FROM auth.outbox ORDER BY id DESC LIMIT 1"

static enum busi_code enrol(const char *username, const char *email, struct busi_session_reply *out)
{
    const struct busi_sign_up_request in = {.door = BUSI_STR("magic"),
                                            .email = busi_str_of(email),
                                            .username = busi_str_of(username),
                                            .password = BUSI_STR("correct horse battery"),
                                            .name = BUSI_STR("Ann Ä."),
                                            .link = BUSI_STR(LINK),
                                            .discreet = true};
    *out = (struct busi_session_reply){.expires_at = 1};
    begin(&world.call);
    return auth_sign_up(world.auth, &world.call, &in, out);
}

static bool violates_alone(const char *field, enum busi_rule rule)
{
    const struct busi_violation *v = world.call.violations;
    return world.call.n_violations == 1 && busi_str_eq(v->field, busi_str_of(field)) && v->rule == rule;
}

static void no_session_begins(void)
{
    struct busi_session_reply session;
    cr_assert_eq(enrol("ann", "ann@example.com", &session), BUSI_OK);
    cr_assert_gt(session.user_id, 0);
    cr_assert_eq(session.access_token.len + session.session_id.len, 0);
    cr_assert_eq(session.expires_at, 0);
    cr_assert(busi_str_eq(admin_text("SELECT type || value FROM auth.users_extra"), BUSI_STR("nameAnn Ä.")));
    struct busi_list_sessions_reply sessions = {0};
    begin(&world.call);
    cr_assert_eq(auth_list_sessions(world.auth, &world.call,
                                    &(struct busi_user_id_request){.user_id = session.user_id}, &sessions),
                 BUSI_OK);
    cr_assert_eq(sessions.sessions.n, 0);
}

Test(registration, begins_no_session)
{
    run(no_session_begins);
}

static void taken(void)
{
    struct busi_session_reply session;
    cr_assert_eq(enrol("ann", "ann@example.com", &session), BUSI_OK);
    cr_assert_eq(enrol("ann2", "ANN@example.com", &session), BUSI_OK);
    cr_assert_eq(session.user_id, 0);
    cr_assert(!world.call.message.ptr && world.call.n_violations == 0);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.users"), 1);
    decided();
    cr_assert(busi_str_eq(admin_text(NEWEST("kind || recipient || arguments")),
                          BUSI_STR("already_registeredann@example.com{\"names\": \"ann\"}")));
    cr_assert_eq(enrol("ANN", "other@example.com", &session), BUSI_INVALID_ARGUMENT);
    cr_assert(violates_alone("username", BUSI_RULE_TAKEN));
    cr_assert_eq(enrol("ann", "ann@example.com", &session), BUSI_INVALID_ARGUMENT);
    cr_assert_eq(world.call.n_violations, 2);
    cr_assert_eq(enrol("ann3", "ann@", &session), BUSI_INVALID_ARGUMENT);
    cr_assert(violates_alone("email", BUSI_RULE_FORMAT));
    decided();
    cr_assert_eq(admin_int(MAILS), 2);
}

Test(registration, with_a_taken_address_is_told_to_its_owner_alone)
{
    run(taken);
}

/* ---- links ---- */

static void expect_link(struct busi_str secret)
{
    struct busi_str want =
        busi_arena_printf(&world.arena, "https://app.example.com/?token=%.*s&username=ann", BUSI_ARG(secret));
    struct busi_str have = admin_text(NEWEST("arguments ->> 'link'"));
    cr_assert(busi_str_eq(have, want), "%.*s", BUSI_ARG(have));
}

static void links(void)
{
    struct busi_session_reply session;
    struct busi_empty nothing;
    asking *const handlers[] = {auth_send_confirmation, auth_start_reset};
    const struct busi_account_name_request in = {
        .door = BUSI_STR("magic"), .name = BUSI_STR("ann"), .link = BUSI_STR(LINK)};
    cr_assert_eq(enrol("ann", "ann@example.com", &session), BUSI_OK);
    expect_link(admin_text(SECRET));
    for (int i = 0; i < 2; i++) {
        begin(&world.call);
        cr_assert_eq(handlers[i](world.auth, &world.call, &in, &nothing), BUSI_OK);
        decided();
        expect_link(admin_text(SECRET));
    }
    ask_and_wait(auth_send_confirmation, "ann");
    cr_assert_eq(admin_int(NEWEST("(arguments ? 'link')::integer")), 0);
}

Test(registration, links_have_the_secret_where_they_want_it)
{
    run_with(links, (const char *const[]){"BUSI_MAIL_MIN_GAP=0s", NULL});
}

/* ---- by name ---- */

static enum busi_code confirm_as(struct busi_str secret, const char *name)
{
    struct busi_session_reply session = {0};
    const struct busi_confirm_email_request in = {
        .door = BUSI_STR("magic"), .secret = secret, .name = busi_str_of(name)};
    begin(&world.call);
    return auth_confirm_email(world.auth, &world.call, &in, &session);
}

static void by_name(void)
{
    struct busi_session_reply session;
    cr_assert_eq(enrol("eve", "eve@example.com", &session), BUSI_OK);
    cr_assert_eq(enrol("ann", "ann@example.com", &session), BUSI_OK);
    struct busi_str secret = admin_text(SECRET);
    static const char *const others[] = {"eve", "eve@example.com", "nobody", "", "a b", "' OR 1=1 --"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        cr_assert_eq(confirm_as(secret, others[i]), BUSI_NOT_FOUND, "%s", others[i]);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.users WHERE confirmed_at IS NOT NULL"), 0);
    cr_assert_eq(confirm_as(secret, "Ann@Example.com"), BUSI_OK);
    cr_assert_eq(confirm_as(secret, "ann"), BUSI_NOT_FOUND);
    cr_assert_eq(enrol("ben", "ben@example.com", &session), BUSI_OK);
    cr_assert_eq(confirm_as(admin_text(SECRET), NULL), BUSI_OK);
}

Test(registration, is_confirmed_by_the_accounts_own_name)
{
    run(by_name);
}

/* ---- who is there, and is it the password ---- */

static int64_t is_taken(const char *name)
{
    struct busi_count_reply out = {.count = -1};
    const struct busi_account_name_request in = {.door = BUSI_STR("magic"), .name = busi_str_of(name)};
    begin(&world.call);
    cr_assert_eq(auth_name_taken(world.auth, &world.call, &in, &out), BUSI_OK);
    return out.count;
}

static void names(void)
{
    struct busi_session_reply session;
    cr_assert_eq(enrol("ann", "ann@example.com", &session), BUSI_OK);
    cr_assert_eq(is_taken("ANN"), 1);
    cr_assert_eq(is_taken("Ann@Example.COM"), 1);
    static const char *const free_names[] = {"ann2", "ann@example.org", "", "%", "a b"};
    for (size_t i = 0; i < sizeof(free_names) / sizeof(free_names[0]); i++)
        cr_assert_eq(is_taken(free_names[i]), 0, "%s", free_names[i]);
}

Test(registration, says_what_is_taken_where_it_may)
{
    run(names);
}

static void asked_too_often(void)
{
    struct busi_count_reply out;
    const struct busi_account_name_request in = {.door = BUSI_STR("magic"), .name = BUSI_STR("ann")};
    for (int i = 0; i < 3; i++) {
        begin(&world.call);
        world.call.origin.remote_addr = BUSI_STR("192.0.2.1");
        cr_assert_eq(auth_name_taken(world.auth, &world.call, &in, &out),
                     i < 2 ? BUSI_OK : BUSI_RESOURCE_EXHAUSTED);
    }
    cr_assert_eq(world.call.quota.limit, 2);
}

Test(registration, says_so_only_so_often)
{
    run_with(asked_too_often, (const char *const[]){"BUSI_LIMIT_NAMES_NETWORK=2/1h", NULL});
}

static enum busi_code verify(struct busi_str token, const char *password)
{
    struct busi_empty nothing;
    const struct busi_change_password_request in = {.token = token, .password = busi_str_of(password)};
    begin(&world.call);
    return auth_verify_password(world.auth, &world.call, &in, &nothing);
}

static void passwords(void)
{
    struct busi_str token = bob();
    cr_assert_eq(verify(token, PASSWORD), BUSI_OK);
    cr_assert_eq(verify(token, "another"), BUSI_INVALID_ARGUMENT);
    cr_assert(violates_alone("password", BUSI_RULE_INVALID));
    cr_assert_eq(verify(token, ""), BUSI_INVALID_ARGUMENT);
    cr_assert_eq(verify(BUSI_STR("x"), PASSWORD), BUSI_UNAUTHENTICATED);
    cr_assert(lives(token), "nothing was changed");
    admin("UPDATE auth.users SET blocked_at = now()");
    cr_assert_eq(verify(token, PASSWORD), BUSI_UNAUTHENTICATED);
}

Test(registration, a_password_is_verified_without_changing_it)
{
    run(passwords);
}
