/* Secrets that sign in: links of mails, and tokens of a minute. */
#include "auth-svc_accounts_kit.h"

#define NO_GAP ((const char *const[]){"BUSI_MAIL_MIN_GAP=0s", NULL})

TestSuite(magic_link, .init = set_up, .fini = tear_down, .timeout = 60);

static enum busi_code sign_in_by(const char *kind, struct busi_str secret, struct busi_session_reply *out)
{
    struct busi_sign_in_secret_request in = {.door = DOOR, .kind = busi_str_of(kind), .secret = secret};
    *out = (struct busi_session_reply){0};
    begin(&world.call);
    return auth_sign_in_secret(world.auth, &world.call, &in, out);
}

static struct busi_str link_of(const char *name)
{
    ask_and_wait(auth_start_magic_link, name);
    return admin_text(SECRET);
}

static enum busi_code token_of(struct busi_str access_token, struct busi_sign_in_token_reply *out)
{
    *out = (struct busi_sign_in_token_reply){0};
    begin(&world.call);
    return auth_issue_sign_in_token(world.auth, &world.call,
                                    &(struct busi_check_token_request){.token = access_token}, out);
}

static struct busi_str issued(struct busi_str access_token)
{
    struct busi_sign_in_token_reply out;
    cr_assert_eq(token_of(access_token, &out), BUSI_OK);
    cr_assert(out.expires_at > busi_wall_us() + 50000000 && out.expires_at < busi_wall_us() + 70000000);
    return keep(out.secret);
}

#define IS_CONFIRMED "SELECT count(*) FROM auth.users WHERE confirmed_at IS NOT NULL"

/* ---- links ---- */

static void a_link(void)
{
    struct busi_session_reply session;
    bob();
    struct busi_str secret = link_of("bob@example.com");
    cr_assert(busi_str_eq(admin_text("SELECT kind || recipient FROM auth.outbox ORDER BY id DESC LIMIT 1"),
                          BUSI_STR("magic_linkBob@Example.com")));
    cr_assert_eq(secret.len, AUTH_ONE_TIME_LEN);
    cr_assert_eq(
        admin_int("SELECT count(*) FROM auth.one_time_secrets WHERE kind = 'magic_link'"
                  " AND expires_at BETWEEN now() + interval '9 minutes' AND now() + interval '10 minutes'"),
        1);
    cr_assert_eq(admin_int(EXPIRE_WITH_SECRETS), 2); /* the one for his address, and this */
    cr_assert_eq(sign_in_by("magic_link", secret, &session), BUSI_OK);
    struct busi_str token = keep(session.access_token);
    cr_assert(lives(token));
    cr_assert_eq(admin_int(IS_CONFIRMED), 1);
    cr_assert_eq(sign_in_by("magic_link", secret, &session), BUSI_UNAUTHENTICATED);
}

Test(magic_link, signs_in_once_and_confirms_the_address)
{
    run_with(a_link, NO_GAP);
}

static void of_no_use(void)
{
    struct busi_session_reply session;
    bob();
    struct busi_str confirmation = admin_text(SECRET), reset = reset_of("bob");
    cr_assert_eq(sign_in_by("magic_link", confirmation, &session), BUSI_UNAUTHENTICATED);
    cr_assert_eq(sign_in_by("magic_link", reset, &session), BUSI_UNAUTHENTICATED);
    cr_assert_eq(sign_in_by("magic_link", BUSI_STR(""), &session), BUSI_UNAUTHENTICATED);
    cr_assert_eq(sign_in_by("reset_password", reset, &session), BUSI_INVALID_ARGUMENT);
    cr_assert_eq(sign_in_by("confirm_email", confirmation, &session), BUSI_INVALID_ARGUMENT);
    struct busi_str old = link_of("bob"), fresh = link_of("bob");
    cr_assert_eq(sign_in_by("sign_in_token", fresh, &session), BUSI_UNAUTHENTICATED);
    cr_assert_eq(sign_in_by("magic_link", old, &session), BUSI_UNAUTHENTICATED);
    admin("UPDATE auth.one_time_secrets SET expires_at = now() WHERE kind = 'magic_link'");
    cr_assert_eq(sign_in_by("magic_link", fresh, &session), BUSI_UNAUTHENTICATED);
    struct busi_str last = link_of("bob");
    admin("UPDATE auth.users SET blocked_at = now()");
    cr_assert_eq(sign_in_by("magic_link", last, &session), BUSI_UNAUTHENTICATED);
    int64_t mails = admin_int(MAILS);
    ask_and_wait(auth_start_magic_link, "bob");
    ask_and_wait(auth_start_magic_link, "nobody@example.com");
    cr_assert_eq(admin_int(MAILS), mails);
    cr_assert_eq(admin_int(IS_CONFIRMED), 0);
}

Test(magic_link, used_old_expired_or_of_another_kind_signs_nobody_in)
{
    run_with(of_no_use, NO_GAP);
}

static void a_new_password(void)
{
    struct busi_session_reply session;
    bob();
    struct busi_str link = link_of("bob");
    cr_assert_eq(finish_reset(reset_of("bob"), "another password", "another password"), BUSI_OK);
    cr_assert_eq(sign_in_by("magic_link", link, &session), BUSI_UNAUTHENTICATED);
}

Test(magic_link, is_void_with_a_new_password)
{
    run_with(a_new_password, NO_GAP);
}

/* ---- whose account it is ---- */

/* A stranger signs up with bob's address, and keeps ways in for later. */
static void a_bait(void)
{
    struct busi_session_reply session;
    struct busi_str his = bob(), confirmation = admin_text(SECRET);
    admin("INSERT INTO auth.identities(provider, subject, user_id) SELECT 'his', 'own', id FROM auth.users");
    struct busi_str link = link_of("bob@example.com"), minute = issued(his);
    cr_assert_eq(sign_in_by("magic_link", link, &session), BUSI_OK);
    struct busi_str token = keep(session.access_token);
    cr_assert(lives(token));
    cr_assert_not(lives(his));
    cr_assert_eq(sign_in_as("bob", PASSWORD, &session), BUSI_UNAUTHENTICATED);
    cr_assert_eq(sign_in_by("sign_in_token", minute, &session), BUSI_UNAUTHENTICATED);
    cr_assert_eq(confirm(confirmation, &session), BUSI_NOT_FOUND);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.identities"), 0);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.revocations WHERE epoch = 1"), 1);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.audit WHERE event = 'confirm_email' AND outcome = 'ok'"
                           " AND detail = 'claimed by a link'"),
                 1);
    cr_assert(busi_str_eq(admin_text("SELECT kind || recipient || (arguments ->> 'name') FROM auth.outbox"
                                     " ORDER BY id DESC LIMIT 1"),
                          BUSI_STR("password_removedBob@Example.comBob")));
}

Test(magic_link, ends_what_a_stranger_set_who_was_there_before)
{
    run_with(a_bait, NO_GAP);
}

/* Whose address it is was known: the link is one way in beside others. */
static void a_confirmed_account(void)
{
    struct busi_session_reply session;
    struct busi_str his = bob();
    cr_assert_eq(confirm(admin_text(SECRET), &session), BUSI_OK);
    struct busi_str by_mail = keep(session.access_token);
    admin("INSERT INTO auth.identities(provider, subject, user_id) SELECT 'his', 'own', id FROM auth.users");
    cr_assert_eq(sign_in_by("magic_link", link_of("bob"), &session), BUSI_OK);
    cr_assert(lives(his) && lives(by_mail));
    cr_assert(lives(signed_in("bob", PASSWORD)));
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.identities"), 1);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.outbox WHERE kind = 'password_removed'"), 0);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.revocations"), 0);
}

Test(magic_link, ends_nothing_of_an_account_whose_address_was_confirmed)
{
    run_with(a_confirmed_account, NO_GAP);
}

/* ---- at once ---- */

static struct busi_str race_secret;
static const char *race_kind;

static void use_at_once(struct busi_call *call, size_t number)
{
    struct busi_session_reply session = {0};
    struct busi_sign_in_secret_request in = {
        .door = DOOR, .kind = busi_str_of(race_kind), .secret = race_secret};
    (void)number;
    enum busi_code code = auth_sign_in_secret(world.auth, call, &in, &session);
    race.won += code == BUSI_OK;
    race.lost += code == BUSI_UNAUTHENTICATED;
}

static void at_once(void)
{
    struct busi_session_reply session;
    struct busi_str token = bob();
    cr_assert_eq(confirm(admin_text(SECRET), &session), BUSI_OK);
    race_secret = link_of("bob");
    race_kind = "magic_link";
    race_all(use_at_once);
    cr_assert_eq(race.won, 1);
    cr_assert_eq(race.lost, RACERS - 1);
    race_secret = issued(token);
    race_kind = "sign_in_token";
    race_all(use_at_once);
    cr_assert_eq(race.won, 1);
    cr_assert_eq(race.lost, RACERS - 1);
}

Test(magic_link, sixty_four_at_once_begin_one_session)
{
    run_with(at_once, NO_GAP);
}

static struct busi_str strangers[RACERS];
static int n_strangers;

static void sign_in_meanwhile(struct busi_call *call, size_t number)
{
    struct busi_session_reply out = {0};
    struct busi_sign_in_request in = {.door = DOOR, .login = BUSI_STR("bob"), .password = BUSI_STR(PASSWORD)};
    if (number == RACERS / 2) {
        use_at_once(call, number);
        return;
    }
    enum busi_code code = auth_sign_in(world.auth, call, &in, &out);
    cr_assert(code == BUSI_OK || code == BUSI_UNAUTHENTICATED);
    if (code == BUSI_OK)
        strangers[n_strangers++] = keep(out.access_token);
}

/* Sign-ins by the stranger's password all around the link leave him no session. */
static void among_sign_ins(void)
{
    bob();
    race_secret = link_of("bob");
    race_kind = "magic_link";
    race_all(sign_in_meanwhile);
    cr_assert_eq(race.won, 1);
    for (int i = 0; i < n_strangers; i++)
        cr_assert_not(lives(strangers[i]), "%d of %d", i, n_strangers);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.users WHERE password_hash IS NULL"), 1);
}

Test(magic_link, no_session_of_a_stranger_outlives_it)
{
    run_with(among_sign_ins, NO_GAP);
}

/* ---- tokens of a minute ---- */

static void a_token(void)
{
    struct busi_session_reply session;
    struct busi_sign_in_token_reply refused;
    struct busi_str token = bob(), first = issued(token), second = issued(token);
    cr_assert_eq(sign_in_by("sign_in_token", first, &session),
                 BUSI_UNAUTHENTICATED); /* a newer one voids it */
    cr_assert_eq(sign_in_by("magic_link", second, &session), BUSI_UNAUTHENTICATED);
    cr_assert_eq(sign_in_by("sign_in_token", second, &session), BUSI_OK);
    cr_assert_eq(sign_in_by("sign_in_token", second, &session), BUSI_UNAUTHENTICATED);
    cr_assert_eq(admin_int(IS_CONFIRMED), 0); /* it came from no mail */
    cr_assert_eq(token_of(BUSI_STR("nonsense"), &refused), BUSI_UNAUTHENTICATED);
    cr_assert_eq(sign_out(token), BUSI_OK);
    cr_assert_eq(token_of(token, &refused), BUSI_UNAUTHENTICATED);
}

Test(magic_link, a_token_of_a_minute_signs_in_once)
{
    run(a_token);
}

/* The session is still there; the account has gone on. */
static void too_late(void)
{
    struct busi_sign_in_token_reply refused;
    struct busi_str token = bob();
    admin("UPDATE auth.users SET epoch = epoch + 1");
    cr_assert_eq(token_of(token, &refused), BUSI_UNAUTHENTICATED);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.one_time_secrets WHERE kind = 'sign_in_token'"), 0);
}

Test(magic_link, no_token_for_a_session_whose_time_is_over)
{
    run(too_late);
}

/* ---- a reset that signs in ---- */

static void reset_and_in(void)
{
    struct busi_finish_reset_reply out = {0};
    struct busi_str before = bob();
    struct busi_finish_reset_request in = {.door = DOOR,
                                           .secret = reset_of("bob"),
                                           .password = BUSI_STR("another password"),
                                           .password_confirm = BUSI_STR("another password"),
                                           .sign_in = true};
    begin(&world.call);
    cr_assert_eq(auth_finish_reset(world.auth, &world.call, &in, &out), BUSI_OK);
    cr_assert_not_null(out.session);
    cr_assert(lives(keep(out.session->access_token)));
    cr_assert(!lives(before));
}

Test(magic_link, a_reset_signs_in_where_that_is_wanted)
{
    run_with(reset_and_in, NO_GAP);
}
