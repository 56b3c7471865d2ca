/* Accounts as those see and change them who manage them. */
#include "auth-svc_accounts_kit.h"

TestSuite(managed_users, .init = set_up, .fini = tear_down, .timeout = 60);

#define NEW "another password"
#define IS(text, literal) busi_str_eq(text, BUSI_STR(literal))

static struct busi_account account; /* of the last answer */

static enum busi_code get(int64_t id)
{
    account = (struct busi_account){0};
    begin(&world.call);
    return auth_get_user(world.auth, &world.call, &(struct busi_user_id_request){.user_id = id}, &account);
}

static enum busi_code create(struct busi_create_user_request in)
{
    account = (struct busi_account){0};
    if (!in.door.ptr)
        in.door = DOOR;
    if (!in.password.ptr)
        in.password = BUSI_STR(PASSWORD);
    begin(&world.call);
    return auth_create_user(world.auth, &world.call, &in, &account);
}

static enum busi_code update(struct busi_update_user_request in)
{
    account = (struct busi_account){0};
    in.door = BUSI_STR("busi");
    begin(&world.call);
    world.call.origin.language = BUSI_STR("de");
    return auth_update_user(world.auth, &world.call, &in, &account);
}

/* Whose session a token is of. */
static int64_t user_of(struct busi_str token)
{
    struct busi_principal who;
    cr_assert_eq(check(token, &who), BUSI_OK);
    return who.user_id;
}

/* Kinds and recipients of the mails that wait, in the order of their kinds, and none afterwards. */
static struct busi_str mails(void)
{
    struct busi_str all =
        admin_text("SELECT COALESCE(string_agg(kind || '>' || recipient || ':' || (arguments ->> "
                   "'name'), ' ' ORDER BY kind), '') FROM auth.outbox");
    admin("DELETE FROM auth.outbox");
    return all;
}

/* ---- looking ---- */

static void seen(void)
{
    struct busi_session_reply session;
    cr_assert_eq(sign_up_as("Bob", "Bob@Example.com", "{\"a\":1}", &session), BUSI_OK);
    int64_t id = session.user_id;
    struct busi_str code = keep(session.user_code);
    cr_assert_eq(get(id), BUSI_OK);
    cr_assert(account.user_id == id && IS(account.email, "Bob@Example.com") && IS(account.username, "Bob"));
    cr_assert(IS(account.meta, "{\"a\":1}") && busi_str_eq(account.user_code, code));
    cr_assert(!account.email_confirmed && !account.blocked && account.created_at == account.updated_at);
    cr_assert(account.created_at > busi_wall_us() - 60000000 &&
              account.created_at <= busi_wall_us() + 1000000);
    admin("UPDATE auth.users SET blocked_at = now(), confirmed_at = now()");
    cr_assert_eq(get(id), BUSI_OK);
    cr_assert(account.email_confirmed && account.blocked);
    cr_assert_eq(get(id + 1), BUSI_NOT_FOUND);
    cr_assert_eq(get(-1), BUSI_NOT_FOUND);
}

Test(managed_users, are_seen_as_they_are)
{
    run(seen);
}

/* ---- making ---- */

static void made(void)
{
    struct busi_session_reply session;
    cr_assert_eq(create((struct busi_create_user_request){.username = BUSI_STR("Root")}), BUSI_OK);
    cr_assert(IS(account.username, "Root") && !account.email.ptr && account.email_confirmed &&
              IS(account.meta, "{}") && account.user_code.len == 6);
    cr_assert_eq(sign_in_as("ROOT", PASSWORD, &session), BUSI_OK);
    cr_assert(session.user_id == account.user_id && !session.email.ptr);
    cr_assert_eq(create((struct busi_create_user_request){
                     .email = BUSI_STR("A@b.co"), .meta = BUSI_STR("{\"b\":2}"), .door = BUSI_STR("busi")}),
                 BUSI_OK);
    cr_assert(IS(account.email, "A@b.co") && !account.username.ptr && IS(account.meta, "{\"b\":2}"));
    cr_assert_eq(sign_in("a@B.co", PASSWORD, &session), BUSI_OK);
    cr_assert_eq(admin_int(MAILS), 0);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.users WHERE password_hash LIKE '$argon2id$%'"), 2);
}

Test(managed_users, are_made_confirmed_and_with_or_without_an_address)
{
    run(made);
}

static bool taken_are(size_t n, const char *first)
{
    const struct busi_violation *v = world.call.violations;
    return world.call.n_violations == n && v[0].rule == BUSI_RULE_TAKEN &&
           busi_str_eq(v[0].field, busi_str_of(first));
}

static void not_made(void)
{
    cr_assert_eq(create((struct busi_create_user_request){.door = BUSI_STR("none")}), BUSI_INVALID_ARGUMENT);
    cr_assert(said("no such door"));
    cr_assert_eq(create((struct busi_create_user_request){0}), BUSI_INVALID_ARGUMENT);
    cr_assert(violates("username", BUSI_RULE_BLANK, 0)); /* of two it may have */
    cr_assert_eq(
        create((struct busi_create_user_request){.door = BUSI_STR("busi"), .username = BUSI_STR("bob")}),
        BUSI_INVALID_ARGUMENT);
    cr_assert(violates("email", BUSI_RULE_BLANK, 0)); /* it could not sign in there */
    cr_assert_eq(create((struct busi_create_user_request){.email = BUSI_STR("")}), BUSI_INVALID_ARGUMENT);
    cr_assert_eq(create((struct busi_create_user_request){.email = BUSI_STR("nonsense")}),
                 BUSI_INVALID_ARGUMENT);
    cr_assert(violates("email", BUSI_RULE_FORMAT, 0));
    cr_assert_eq(
        create((struct busi_create_user_request){.username = BUSI_STR("bob"), .password = BUSI_STR("short")}),
        BUSI_INVALID_ARGUMENT);
    cr_assert(violates("password", BUSI_RULE_TOO_SHORT, 6));
    cr_assert_eq(
        create((struct busi_create_user_request){.username = BUSI_STR("bob"), .password = BUSI_STR("")}),
        BUSI_INVALID_ARGUMENT);
    cr_assert_eq(
        create((struct busi_create_user_request){.username = BUSI_STR("bob"), .meta = BUSI_STR("[]")}),
        BUSI_INVALID_ARGUMENT);
    cr_assert(violates("meta", BUSI_RULE_INVALID, 0));
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.users"), 0);
    cr_assert_eq(
        create((struct busi_create_user_request){.username = BUSI_STR("bob"), .email = BUSI_STR("b@b.co")}),
        BUSI_OK);
    cr_assert_eq(create((struct busi_create_user_request){.username = BUSI_STR("BOB")}),
                 BUSI_INVALID_ARGUMENT);
    cr_assert(taken_are(1, "username"));
    cr_assert_eq(
        create((struct busi_create_user_request){.username = BUSI_STR("bob"), .email = BUSI_STR("B@b.co")}),
        BUSI_INVALID_ARGUMENT);
    cr_assert(taken_are(2, "email"));
}

Test(managed_users, are_not_made_of_what_is_wrong_or_taken)
{
    run(not_made);
}

/* Whatever asks for a mail has nowhere to send it to. */
static void without_address(void)
{
    struct busi_count_reply ended = {0};
    struct busi_session_reply session;
    cr_assert_eq(create((struct busi_create_user_request){.username = BUSI_STR("bob")}), BUSI_OK);
    admin("UPDATE auth.users SET confirmed_at = NULL");
    ask_and_wait(auth_start_reset, "bob");
    ask_and_wait(auth_send_confirmation, "bob");
    ask_and_wait(auth_remind_username, "bob");
    struct busi_str token = signed_in("bob", PASSWORD);
    begin(&world.call);
    cr_assert_eq(
        auth_change_password(world.auth, &world.call,
                             &(struct busi_change_password_request){.token = token,
                                                                    .password = BUSI_STR(PASSWORD),
                                                                    .new_password = BUSI_STR(NEW),
                                                                    .password_confirm = BUSI_STR(NEW)},
                             &ended),
        BUSI_OK);
    cr_assert_eq(sign_in_as("bob", NEW, &session), BUSI_OK);
    int64_t id = session.user_id;
    cr_assert_eq(update((struct busi_update_user_request){.user_id = id, .password = BUSI_STR(PASSWORD)}),
                 BUSI_OK);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.outbox"), 0);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.one_time_secrets"), 0);
    cr_assert_eq(update((struct busi_update_user_request){.user_id = id, .username = BUSI_STR("")}),
                 BUSI_INVALID_ARGUMENT);
    cr_assert(violates("username", BUSI_RULE_BLANK, 0)); /* its only name */
    cr_assert_eq(update((struct busi_update_user_request){.user_id = id, .email = BUSI_STR("b@b.co")}),
                 BUSI_OK);
    cr_assert(IS(account.email, "b@b.co") && !account.email_confirmed);
    cr_assert(IS(mails(), "confirm_email>b@b.co:bob")); /* no address that was to be told */
    cr_assert_eq(update((struct busi_update_user_request){.user_id = id, .username = BUSI_STR("")}), BUSI_OK);
    cr_assert_not(account.username.ptr);
}

Test(managed_users, live_without_an_address)
{
    run_with(without_address,
             (const char *const[]){"BUSI_MAIL_MIN_GAP=0s", "BUSI_NOTICE_NEW_ADDRESS=on", NULL});
}

/* ---- changing ---- */

static void changed(void)
{
    struct busi_str token = bob();
    int64_t id = user_of(token);
    mails();
    cr_assert_eq(update((struct busi_update_user_request){.user_id = id}), BUSI_OK); /* nothing */
    cr_assert(IS(account.username, "Bob") && IS(account.email, "Bob@Example.com"));
    cr_assert_eq(update((struct busi_update_user_request){
                     .user_id = id, .username = BUSI_STR("Rob"), .meta = BUSI_STR("{\"x\":1}")}),
                 BUSI_OK);
    cr_assert(IS(account.username, "Rob") && IS(account.meta, "{\"x\":1}"));
    cr_assert(account.updated_at > account.created_at);
    cr_assert(IS(admin_text("SELECT username_key FROM auth.users"), "rob"));
    cr_assert_eq(update((struct busi_update_user_request){.user_id = id, .username = BUSI_STR("")}), BUSI_OK);
    cr_assert_not(account.username.ptr);
    cr_assert(lives(token));
    cr_assert_eq(admin_int(MAILS), 0);
    cr_assert_eq(update((struct busi_update_user_request){.user_id = id + 1, .meta = BUSI_STR("{}")}),
                 BUSI_NOT_FOUND);
}

Test(managed_users, change_in_what_is_given_and_nothing_else)
{
    run(changed);
}

/* Whoever is signed in is at once who the account is now, at every replica, and with the token so far. */
static void shown(void)
{
    struct busi_principal who;
    struct busi_session_reply session;
    struct busi_str one = bob(), secret = admin_text(SECRET), two = signed_in("bob", PASSWORD);
    int64_t id = user_of(one);
    cr_assert_eq(confirm(secret, &session), BUSI_OK);
    cr_assert_eq(update((struct busi_update_user_request){
                     .user_id = id, .username = BUSI_STR("Rob"), .meta = BUSI_STR("{\"x\":1}")}),
                 BUSI_OK);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(check(i ? two : one, &who), BUSI_OK);
        cr_assert(IS(who.username, "Rob") && IS(who.meta, "{\"x\":1}") && IS(who.email, "Bob@Example.com"));
        cr_assert(who.email_confirmed);
    }
    cr_assert_eq(update((struct busi_update_user_request){
                     .user_id = id, .username = BUSI_STR(""), .email = BUSI_STR("new@example.com")}),
                 BUSI_OK);
    cr_assert_eq(check(one, &who), BUSI_OK);
    cr_assert(!who.username.ptr && IS(who.email, "new@example.com") && !who.email_confirmed);
    cr_assert_eq(check(two, &who), BUSI_OK);
    cr_assert(!who.email_confirmed);
}

Test(managed_users, are_shown_as_they_are_now_by_sessions_of_before)
{
    run(shown);
}

/* Many change it at once: what is said at last is what is true. */
static int64_t raced_id;

static void rename_it(struct busi_call *call, size_t number)
{
    struct busi_account out = {0};
    struct busi_update_user_request in = {.door = BUSI_STR("busi"),
                                          .user_id = raced_id,
                                          .username = busi_arena_printf(&call->arena, "name%zu", number)};
    enum busi_code code = auth_update_user(world.auth, call, &in, &out);
    race.won += code == BUSI_OK;
    race.lost += code != BUSI_OK;
}

static void renamed_by_many(void)
{
    struct busi_principal who;
    struct busi_str token = bob();
    raced_id = user_of(token);
    race_all(rename_it);
    cr_assert_gt(race.won, 0);
    if (race.lost > 0) /* who was told that it is not settled asks again */
        cr_assert_eq(update((struct busi_update_user_request){.user_id = raced_id, .meta = BUSI_STR("{}")}),
                     BUSI_OK);
    cr_assert_eq(check(token, &who), BUSI_OK);
    struct busi_str said_name = keep(who.username);
    cr_assert(busi_str_eq(said_name, admin_text("SELECT username FROM auth.users")));
}

Test(managed_users, are_shown_as_they_are_after_many_changes_at_once)
{
    run(renamed_by_many);
}

static void moved(void)
{
    struct busi_session_reply session;
    struct busi_str token = bob(), secret = admin_text(SECRET);
    int64_t id = user_of(token);
    cr_assert_eq(confirm(secret, &session), BUSI_OK);
    struct busi_str reset = reset_of("bob");
    mails();
    cr_assert_eq(
        update((struct busi_update_user_request){.user_id = id, .email = BUSI_STR("BOB@example.com")}),
        BUSI_OK);
    cr_assert(account.email_confirmed && IS(account.email, "BOB@example.com")); /* the same address */
    cr_assert(IS(mails(), ""));
    cr_assert_eq(
        update((struct busi_update_user_request){.user_id = id, .email = BUSI_STR("new@example.com")}),
        BUSI_OK);
    cr_assert(!account.email_confirmed && IS(account.email, "new@example.com"));
    struct busi_str fresh =
        admin_text("SELECT arguments ->> 'secret' FROM auth.outbox WHERE kind = 'confirm_email'");
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.outbox WHERE language = 'de'"), 2);
    cr_assert_eq(admin_int(EXPIRE_WITH_SECRETS), 1);
    cr_assert(IS(mails(), "confirm_email>new@example.com:Bob email_changed>BOB@example.com:Bob"));
    cr_assert(lives(token));
    cr_assert_eq(finish_reset(reset, NEW, NEW), BUSI_NOT_FOUND); /* mailed to the address that was */
    cr_assert_eq(sign_in("bob@example.com", PASSWORD, &session), BUSI_UNAUTHENTICATED);
    cr_assert_eq(sign_in("new@example.com", PASSWORD, &session), BUSI_OK);
    cr_assert_eq(confirm(fresh, &session), BUSI_OK);
    cr_assert_eq(get(id), BUSI_OK);
    cr_assert(account.email_confirmed);
}

Test(managed_users, with_another_address_confirm_it_anew_and_the_old_one_is_told)
{
    run_with(moved, (const char *const[]){"BUSI_MAIL_MIN_GAP=0s", NULL});
}

/* The confirmation that is still out is void as well: it went to the address that was. */
static void moved_unconfirmed(void)
{
    struct busi_session_reply session;
    struct busi_str token = bob(), secret = admin_text(SECRET);
    cr_assert_eq(update((struct busi_update_user_request){.user_id = user_of(token),
                                                          .email = BUSI_STR("new@example.com")}),
                 BUSI_OK);
    cr_assert_eq(confirm(secret, &session), BUSI_NOT_FOUND);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.one_time_secrets WHERE kind = 'confirm_email'"), 1);
}

Test(managed_users, with_another_address_are_not_confirmed_by_the_old_ones_secret)
{
    run(moved_unconfirmed);
}

static void new_password(void)
{
    struct busi_session_reply session;
    struct busi_str one = bob(), two = signed_in("bob", PASSWORD);
    int64_t id = user_of(one);
    struct busi_str reset = reset_of("bob");
    mails();
    cr_assert_eq(
        update((struct busi_update_user_request){.user_id = id, .password = BUSI_STR(NEW), .token = one}),
        BUSI_OK);
    cr_assert(lives(one) && !lives(two));
    cr_assert_eq(sign_in_as("bob", PASSWORD, &session), BUSI_UNAUTHENTICATED);
    cr_assert_eq(sign_in_as("bob", NEW, &session), BUSI_OK);
    cr_assert(IS(mails(), "password_changed>Bob@Example.com:Bob"));
    cr_assert_eq(finish_reset(reset, PASSWORD, PASSWORD), BUSI_NOT_FOUND);
    cr_assert_eq(
        admin_int("SELECT count(*) FROM auth.revocations WHERE epoch = 1 AND spared_session_id IS NOT NULL"),
        1);
    /* somebody else's token spares none */
    new_session("a@b.co", NULL);
    struct busi_str other = new_session("a@b.co", NULL);
    cr_assert_eq(update((struct busi_update_user_request){
                     .user_id = id, .password = BUSI_STR(PASSWORD), .token = other}),
                 BUSI_OK);
    cr_assert(!lives(one) && lives(other));
    cr_assert_eq(update((struct busi_update_user_request){
                     .user_id = id, .password = BUSI_STR(NEW), .token = BUSI_STR("nonsense")}),
                 BUSI_UNAUTHENTICATED);
    cr_assert_eq(admin_int("SELECT epoch FROM auth.users WHERE username = 'Bob'"), 2);
}

Test(managed_users, with_a_new_password_lose_all_sessions_but_the_one_that_asks)
{
    run_with(new_password, (const char *const[]){"BUSI_MAIL_MIN_GAP=0s", NULL});
}

/* Neither is confirmed yet: the new address gets no notice, the old one both. */
static void both(void)
{
    struct busi_str token = bob();
    int64_t id = user_of(token);
    mails();
    cr_assert_eq(update((struct busi_update_user_request){
                     .user_id = id, .password = BUSI_STR(NEW), .email = BUSI_STR("new@example.com")}),
                 BUSI_OK);
    cr_assert(IS(mails(), "confirm_email>new@example.com:Bob email_changed>Bob@Example.com:Bob"
                          " password_changed>Bob@Example.com:Bob"));
    cr_assert_not(lives(token));
}

Test(managed_users, that_change_address_and_password_are_told_at_the_old_address)
{
    run(both);
}

static void refused_changes(void)
{
    struct busi_session_reply session;
    cr_assert_eq(sign_up_as("Ann", "ann@example.com", NULL, &session), BUSI_OK);
    struct busi_str token = bob();
    int64_t id = user_of(token);
    mails();
    cr_assert_eq(update((struct busi_update_user_request){
                     .user_id = id, .email = BUSI_STR("Bob@example.com"), .username = BUSI_STR("ANN")}),
                 BUSI_INVALID_ARGUMENT);
    cr_assert(taken_are(1, "username")); /* its own address is not taken */
    cr_assert_eq(update((struct busi_update_user_request){
                     .user_id = id, .email = BUSI_STR("ANN@example.com"), .username = BUSI_STR("ann")}),
                 BUSI_INVALID_ARGUMENT);
    cr_assert(taken_are(2, "email"));
    cr_assert_eq(update((struct busi_update_user_request){.user_id = id, .email = BUSI_STR("")}),
                 BUSI_INVALID_ARGUMENT);
    cr_assert(violates("email", BUSI_RULE_BLANK, 0));
    cr_assert_eq(update((struct busi_update_user_request){.user_id = id, .username = BUSI_STR("root")}),
                 BUSI_INVALID_ARGUMENT);
    cr_assert(violates("username", BUSI_RULE_RESERVED, 0));
    cr_assert_eq(update((struct busi_update_user_request){.user_id = id, .password = BUSI_STR("short")}),
                 BUSI_INVALID_ARGUMENT);
    cr_assert(violates("password", BUSI_RULE_TOO_SHORT, 6));
    cr_assert_eq(update((struct busi_update_user_request){
                     .user_id = id, .password = BUSI_STR(NEW), .password_confirm = BUSI_STR("else")}),
                 BUSI_INVALID_ARGUMENT);
    cr_assert(violates("password_confirm", BUSI_RULE_MISMATCH, 0));
    cr_assert_eq(update((struct busi_update_user_request){.user_id = id, .meta = BUSI_STR("7")}),
                 BUSI_INVALID_ARGUMENT);
    cr_assert(violates("meta", BUSI_RULE_INVALID, 0));
    cr_assert(lives(token));
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.users WHERE epoch = 0"), 2);
    cr_assert_eq(admin_int(MAILS), 0);
    admin("UPDATE auth.users SET username = 'Root', username_key = 'root' WHERE username = 'Bob'");
    cr_assert_eq(update((struct busi_update_user_request){.user_id = id, .username = BUSI_STR("rOOT")}),
                 BUSI_OK);
}

Test(managed_users, say_what_of_a_change_is_wrong)
{
    run(refused_changes);
}

/* Of two that move to one address at once only one does. */
static int64_t racer_ids[RACERS];

static void move_one(struct busi_call *call, size_t number)
{
    struct busi_account out = {0};
    struct busi_update_user_request in = {
        .door = BUSI_STR("busi"), .user_id = racer_ids[number], .email = BUSI_STR("goal@example.com")};
    enum busi_code code = auth_update_user(world.auth, call, &in, &out);
    race.won += code == BUSI_OK;
    race.lost += code == BUSI_INVALID_ARGUMENT && call->violations[0].rule == BUSI_RULE_TAKEN;
}

static void race_for_an_address(void)
{
    admin("INSERT INTO auth.users(email, email_key) SELECT e, e FROM (SELECT 'u' || n || '@b.co' AS e FROM"
          " generate_series(1, 64) AS n) AS t");
    int64_t first = admin_int("SELECT min(id) FROM auth.users");
    for (size_t i = 0; i < RACERS; i++)
        racer_ids[i] = first + (int64_t)i;
    race_all(move_one);
    cr_assert(race.won == 1 && race.lost == RACERS - 1, "%d won, %d lost", race.won, race.lost);
}

Test(managed_users, take_an_address_once)
{
    run(race_for_an_address);
}

static void bounded(void)
{
    struct busi_str token = bob();
    int64_t id = user_of(token);
    cr_assert_eq(update((struct busi_update_user_request){.user_id = id, .email = BUSI_STR("a@b.co")}),
                 BUSI_OK);
    cr_assert_eq(update((struct busi_update_user_request){.user_id = id, .email = BUSI_STR("b@b.co")}),
                 BUSI_OK);
    cr_assert_eq(update((struct busi_update_user_request){.user_id = id, .email = BUSI_STR("c@b.co")}),
                 BUSI_RESOURCE_EXHAUSTED);
    cr_assert_eq(update((struct busi_update_user_request){.user_id = id, .meta = BUSI_STR("{}")}), BUSI_OK);
}

Test(managed_users, do_not_mail_one_address_after_the_other)
{
    run_with(bounded, (const char *const[]){"BUSI_LIMIT_MAILS_ACCOUNT=2/1h", NULL});
}

/* ---- by those in charge ---- */

static void sessions_ended(void)
{
    struct busi_count_reply out = {0};
    struct busi_session_reply session;
    struct busi_str one = bob(), two = signed_in("bob", PASSWORD);
    int64_t id = user_of(one);
    begin(&world.call);
    cr_assert_eq(
        auth_end_sessions(world.auth, &world.call, &(struct busi_user_id_request){.user_id = id}, &out),
        BUSI_OK);
    cr_assert_eq(out.count, 2);
    cr_assert(!lives(one) && !lives(two));
    cr_assert_eq(sign_in_as("bob", PASSWORD, &session), BUSI_OK);
    cr_assert_eq(
        admin_int("SELECT count(*) FROM auth.revocations WHERE epoch = 1 AND spared_session_id IS NULL"), 1);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.audit WHERE event = 'end_sessions'"), 1);
    begin(&world.call);
    cr_assert_eq(
        auth_end_sessions(world.auth, &world.call, &(struct busi_user_id_request){.user_id = 99}, &out),
        BUSI_NOT_FOUND);
}

Test(managed_users, lose_every_session_when_somebody_says_so)
{
    run(sessions_ended);
}

static void confirmed_by_hand(void)
{
    struct busi_count_reply out = {0};
    struct busi_session_reply session;
    struct busi_principal who;
    struct busi_str token = bob(), secret = admin_text(SECRET);
    int64_t id = user_of(token);
    admin("INSERT INTO auth.users_roles SELECT users.id, roles.id FROM auth.users, auth.roles"
          " WHERE name = 'unconfirmed'");
    begin(&world.call);
    cr_assert_eq(
        auth_confirm_user(world.auth, &world.call, &(struct busi_user_id_request){.user_id = id}, &out),
        BUSI_OK);
    cr_assert_eq(out.count, 1);
    cr_assert_eq(check(token, &who), BUSI_OK);
    cr_assert(who.email_confirmed && IS(who.roles, "guest"));
    cr_assert_eq(confirm(secret, &session), BUSI_NOT_FOUND); /* of no use any more */
    begin(&world.call);
    cr_assert_eq(
        auth_confirm_user(world.auth, &world.call, &(struct busi_user_id_request){.user_id = 99}, &out),
        BUSI_OK);
    cr_assert_eq(out.count, 0);
}

Test(managed_users, are_confirmed_when_somebody_says_so)
{
    run(confirmed_by_hand);
}
