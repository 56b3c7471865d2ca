/* Mails that tell of a sign-in from an address that was not used before. */
#include "auth-svc_accounts_kit.h"

TestSuite(notice, .init = set_up, .fini = tear_down, .timeout = 60);

#define NOTICES "SELECT count(*) FROM auth.outbox WHERE kind = 'new_sign_in_address'"
#define ON ((const char *const[]){"BUSI_NOTICE_NEW_ADDRESS=on", NULL})

static void bob_from(const char *address)
{
    struct busi_sign_up_request in = {.door = DOOR,
                                      .email = BUSI_STR("bob@example.com"),
                                      .username = BUSI_STR("Bob"),
                                      .password = BUSI_STR(PASSWORD),
                                      .password_confirm = BUSI_STR(PASSWORD)};
    struct busi_session_reply out = {0};
    begin(&world.call);
    world.call.origin.remote_addr = busi_str_of(address);
    cr_assert_eq(auth_sign_up(world.auth, &world.call, &in, &out), BUSI_OK);
}

static void sign_in_by(const char *agent, const char *address)
{
    struct busi_sign_in_request in = {.door = DOOR, .login = BUSI_STR("bob"), .password = BUSI_STR(PASSWORD)};
    struct busi_session_reply out = {0};
    begin(&world.call);
    world.call.origin = (struct busi_origin){
        .remote_addr = busi_str_of(address), .user_agent = busi_str_of(agent), .language = BUSI_STR("de")};
    cr_assert_eq(auth_sign_in(world.auth, &world.call, &in, &out), BUSI_OK);
}

static void sign_in_from(const char *address)
{
    sign_in_by("curl/8.0", address);
}

static void noticed(void)
{
    bob_from("192.0.2.1");
    sign_in_from("192.0.2.1");
    sign_in_from(NULL);
    cr_assert_eq(admin_int(NOTICES), 0);
    sign_in_from("192.0.2.2");
    cr_assert_eq(admin_int(NOTICES), 1);
    cr_assert(busi_str_eq(
        admin_text("SELECT recipient || language || (arguments ->> 'name') || (arguments ->> "
                   "'address') || (arguments ->> 'agent') FROM auth.outbox ORDER BY id DESC LIMIT 1"),
        BUSI_STR("bob@example.comdeBob192.0.2.2curl/8.0")));
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.outbox WHERE arguments ->> 'time' ~ "
                           "'^20[0-9-]{8} [0-9:]{5} UTC$'"),
                 1);
    sign_in_from("192.0.2.2");
    sign_in_from("192.0.2.1");
    cr_assert_eq(admin_int(NOTICES), 1);
    sign_in_from("2001:db8:1:2:3:4:5:6");
    cr_assert_eq(admin_int(NOTICES), 2);
    sign_in_from("2001:db8:1:2::1"); /* the same host, by another of its addresses */
    cr_assert_eq(admin_int(NOTICES), 2);
    sign_in_from("2001:db8:1:3::1");
    cr_assert_eq(admin_int(NOTICES), 3);
}

Test(notice, a_new_address_is_told_once)
{
    run_with(noticed, ON);
}

static void not_noticed(void)
{
    bob_from("192.0.2.1");
    sign_in_from("192.0.2.2");
    cr_assert_eq(admin_int(NOTICES), 0);
}

Test(notice, nothing_is_told_where_the_operator_did_not_ask_for_it)
{
    run(not_noticed);
}

#define AGENTS "SELECT count(*) FROM auth.outbox WHERE octet_length(arguments ->> 'agent') = 128"

/* Who signs in may be a thief, who would like to write the owner a line or two. */
static void agents_not_told(void)
{
    bob_from("192.0.2.1");
    sign_in_by("curl\u2028\u2028This was a test, please do nothing.", "192.0.2.2");
    sign_in_by("curl\xc2\x85 Please do nothing.", "192.0.2.3");
    sign_in_by("\u202egnihton od esaelP", "192.0.2.4");
    cr_assert_eq(admin_int(NOTICES), 3);
    cr_assert_eq(admin_int(NOTICES " AND NOT arguments ? 'agent'"), 3);
    char agent[300];
    memset(agent, 'x', sizeof agent - 1);
    agent[sizeof agent - 1] = 0;
    sign_in_by(agent, "192.0.2.5");
    cr_assert_eq(admin_int(AGENTS), 1);
}

Test(notice, no_message_of_a_thief_is_told)
{
    run_with(agents_not_told, ON);
}
