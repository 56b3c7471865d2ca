/* New passwords: by a secret out of a mail, and by the password so far. */
#include "auth-svc_accounts_kit.h"

TestSuite(recovery, .init = set_up, .fini = tear_down, .timeout = 60);

#define NEW "another password"
#define HASHES busi_metric_get(BUSI_METRIC_password_hashes)

static void run_without_gap(void (*body)(void))
{
    run_with(body, (const char *const[]){"BUSI_MAIL_MIN_GAP=0s", NULL});
}

/* ---- resetting ---- */

static void reset(void)
{
    struct busi_session_reply session;
    struct busi_str one = bob(), two = signed_in("bob", PASSWORD);
    struct busi_str secret = reset_of("bob"), confirmation = BUSI_STR("x");
    cr_assert_eq(admin_int(EXPIRE_WITH_SECRETS), 2); /* the one for his address, and this */
    cr_assert_eq(finish_reset(secret, NEW, NEW), BUSI_OK);
    cr_assert_not(lives(one));
    cr_assert_not(lives(two));
    cr_assert_eq(sign_in_as("bob", PASSWORD, &session), BUSI_UNAUTHENTICATED);
    struct busi_str three = signed_in("bob", NEW);
    cr_assert(busi_str_eq(admin_text("SELECT kind || recipient || (arguments ->> 'name') FROM auth.outbox"
                                     " ORDER BY id DESC LIMIT 1"),
                          BUSI_STR("password_changedBob@Example.comBob")));
    cr_assert_eq(admin_int("SELECT epoch FROM auth.users WHERE confirmed_at IS NOT NULL"), 1);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.one_time_secrets"), 0);
    cr_assert_eq(finish_reset(secret, NEW, NEW), BUSI_NOT_FOUND);
    cr_assert(said("reset for account does not exist"));
    cr_assert_eq(confirm(confirmation, &session), BUSI_NOT_FOUND);
    /* The journal tells what is settled once more: who signed in since stays signed in. */
    admin("UPDATE auth.revocations SET created_at = created_at - interval '1 minute'");
    busi_fiber_sleep(2600);
    cr_assert(lives(three));
}

Test(recovery, a_reset_ends_every_session_and_confirms_the_address)
{
    run_without_gap(reset);
}

static void what_is_wrong_with_a_reset(void)
{
    int64_t hashes = HASHES;
    bob();
    struct busi_str secret = reset_of("bob");
    hashes = HASHES;
    cr_assert_eq(finish_reset(BUSI_STR("nonsense"), "", ""), BUSI_NOT_FOUND); /* before the fields */
    cr_assert_eq(finish_reset(BUSI_STR(""), NEW, NEW), BUSI_NOT_FOUND);
    cr_assert_eq(finish_reset(secret, "", ""), BUSI_INVALID_ARGUMENT);
    cr_assert(violates("password", BUSI_RULE_BLANK, 0));
    cr_assert_eq(finish_reset(secret, "short", "shirt"), BUSI_INVALID_ARGUMENT);
    cr_assert(violates("password", BUSI_RULE_TOO_SHORT, 6));
    cr_assert_eq(finish_reset(secret, NEW, "else"), BUSI_INVALID_ARGUMENT);
    cr_assert(violates("password_confirm", BUSI_RULE_MISMATCH, 0));
    cr_assert_eq(finish_reset(secret, NEW, NULL), BUSI_INVALID_ARGUMENT);
    cr_assert(violates("password_confirm", BUSI_RULE_MISMATCH, 0));
    admin("UPDATE auth.one_time_secrets SET expires_at = now()");
    cr_assert_eq(finish_reset(secret, "", ""), BUSI_INVALID_ARGUMENT);
    cr_assert(violates("password_reset_expire", BUSI_RULE_EXPIRED, 0));
    admin("UPDATE auth.one_time_secrets SET expires_at = now() + interval '1 hour'; UPDATE auth.users SET "
          "blocked_at = now()");
    cr_assert_eq(finish_reset(secret, NEW, NEW), BUSI_NOT_FOUND);
    cr_assert_eq(HASHES, hashes);
    admin("UPDATE auth.users SET blocked_at = NULL");
    cr_assert_eq(finish_reset(secret, NEW, NEW), BUSI_OK); /* good all the while */
    cr_assert_eq(HASHES, hashes + 1);
}

Test(recovery, a_reset_says_what_is_wrong_in_order_and_stays_good)
{
    run_without_gap(what_is_wrong_with_a_reset);
}

static struct busi_str race_secret;
static size_t race_winner;

static const char *password_of(size_t number)
{
    return busi_arena_printf(&world.arena, "password number %zu", number).ptr;
}

static void finish_at_once(struct busi_call *call, size_t number)
{
    struct busi_finish_reset_reply out;
    const char *password = password_of(number);
    struct busi_finish_reset_request in = {.door = DOOR,
                                           .secret = race_secret,
                                           .password = busi_str_of(password),
                                           .password_confirm = busi_str_of(password)};
    enum busi_code code = auth_finish_reset(world.auth, call, &in, &out);
    race.won += code == BUSI_OK;
    race.lost += code == BUSI_NOT_FOUND;
    if (code == BUSI_OK)
        race_winner = number;
}

static void resets_at_once(void)
{
    struct busi_session_reply session;
    struct busi_str before = bob();
    race_secret = reset_of("bob");
    race_all(finish_at_once);
    cr_assert_eq(race.won, 1, "%d", race.won);
    cr_assert_eq(race.lost, RACERS - 1, "%d", race.lost);
    cr_assert_not(lives(before));
    cr_assert_eq(sign_in_as("bob", password_of(race_winner), &session), BUSI_OK);
    cr_assert_eq(admin_int("SELECT epoch FROM auth.users"), 1);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.outbox WHERE kind = 'password_changed'"), 1);
}

Test(recovery, one_of_sixty_four_resets_wins)
{
    run_without_gap(resets_at_once);
}

static void confirm_at_once(struct busi_call *call, size_t number)
{
    struct busi_session_reply out = {0};
    struct busi_confirm_email_request in = {.door = DOOR, .secret = race_secret};
    enum busi_code code = auth_confirm_email(world.auth, call, &in, &out);
    (void)number;
    race.won += code == BUSI_OK;
    race.lost += code == BUSI_NOT_FOUND;
}

static void confirmations_at_once(void)
{
    bob();
    race_secret = admin_text(SECRET);
    race_all(confirm_at_once);
    cr_assert_eq(race.won, 1, "%d", race.won);
    cr_assert_eq(race.lost, RACERS - 1, "%d", race.lost);
}

Test(recovery, one_of_sixty_four_confirmations_wins)
{
    run_without_gap(confirmations_at_once);
}

/* ---- changing ---- */

static enum busi_code change_in(struct busi_call *call, struct busi_str token, const char *password,
                                const char *new_password, int64_t *count)
{
    struct busi_count_reply out = {0};
    struct busi_change_password_request in = {.token = token,
                                              .password = busi_str_of(password),
                                              .new_password = busi_str_of(new_password),
                                              .password_confirm = busi_str_of(new_password)};
    enum busi_code code = auth_change_password(world.auth, call, &in, &out);
    *count = out.count;
    return code;
}

static enum busi_code change(struct busi_str token, const char *password, const char *new_password)
{
    int64_t count;
    begin(&world.call);
    return change_in(&world.call, token, password, new_password, &count);
}

static void changed(void)
{
    int64_t count;
    struct busi_session_reply session;
    struct busi_str here = bob(), there = signed_in("bob", PASSWORD), elsewhere = signed_in("bob", PASSWORD);
    struct busi_str reset = reset_of("bob");
    int64_t hashes = HASHES;
    begin(&world.call);
    cr_assert_eq(change_in(&world.call, here, PASSWORD, NEW, &count), BUSI_OK);
    cr_assert_eq(count, 2);
    cr_assert_eq(HASHES, hashes + 2);
    cr_assert(lives(here));
    cr_assert_not(lives(there));
    cr_assert_not(lives(elsewhere));
    cr_assert_eq(sign_in_as("bob", PASSWORD, &session), BUSI_UNAUTHENTICATED);
    cr_assert_eq(finish_reset(reset, NEW, NEW),
                 BUSI_NOT_FOUND); /* who could read the mail then cannot change it now */
    struct busi_str later = signed_in("bob", NEW);
    admin("UPDATE auth.revocations SET created_at = created_at - interval '1 minute'");
    busi_fiber_sleep(2600); /* told again */
    cr_assert(lives(here) && lives(later));
    cr_assert_eq(change(later, NEW, PASSWORD), BUSI_OK);
    cr_assert_not(lives(here));
    cr_assert(lives(later));
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.outbox WHERE kind = 'password_changed'"), 2);
}

Test(recovery, a_change_ends_every_other_session)
{
    run_without_gap(changed);
}

static void what_is_wrong_with_a_change(void)
{
    struct busi_str token = bob();
    int64_t hashes = HASHES;
    cr_assert_eq(change(BUSI_STR("nonsense"), PASSWORD, NEW), BUSI_UNAUTHENTICATED);
    cr_assert_eq(change(token, PASSWORD, "short"), BUSI_INVALID_ARGUMENT);
    cr_assert(violates("new_password", BUSI_RULE_TOO_SHORT, 6));
    cr_assert_eq(change(token, PASSWORD, NULL), BUSI_INVALID_ARGUMENT);
    cr_assert(violates("new_password", BUSI_RULE_BLANK, 0));
    cr_assert_eq(HASHES, hashes);
    cr_assert_eq(change(token, "wrong password", NEW), BUSI_INVALID_ARGUMENT);
    cr_assert(violates("password", BUSI_RULE_INVALID, 0));
    cr_assert_eq(HASHES, hashes + 1);
    admin("UPDATE auth.users SET password_hash = NULL");
    cr_assert_eq(change(token, PASSWORD, NEW), BUSI_INVALID_ARGUMENT);
    cr_assert(violates("password", BUSI_RULE_INVALID, 0));
    cr_assert_eq(HASHES, hashes + 2);
    cr_assert(lives(token));
    cr_assert_eq(admin_int("SELECT epoch FROM auth.users"), 0);
}

Test(recovery, a_change_says_what_is_wrong)
{
    run_without_gap(what_is_wrong_with_a_change);
}

static struct busi_str race_tokens[RACERS];

static void change_at_once(struct busi_call *call, size_t number)
{
    int64_t count;
    enum busi_code code = change_in(call, race_tokens[number], PASSWORD, password_of(number), &count);
    race.won += code == BUSI_OK;
    race.lost += code == BUSI_INVALID_ARGUMENT || code == BUSI_UNAUTHENTICATED;
    if (code == BUSI_OK)
        race_winner = number;
}

/* Each from a session of its own; the winner's lives, and it alone. */
static void changes_at_once(void)
{
    struct busi_session_reply session;
    bob();
    for (size_t i = 0; i < RACERS; i++)
        race_tokens[i] = signed_in("bob", PASSWORD);
    race_all(change_at_once);
    cr_assert_eq(race.won, 1, "%d", race.won);
    cr_assert_eq(race.lost, RACERS - 1, "%d", race.lost);
    for (size_t i = 0; i < RACERS; i++)
        cr_assert_eq(lives(race_tokens[i]), i == race_winner, "%zu", i);
    cr_assert_eq(sign_in_as("bob", password_of(race_winner), &session), BUSI_OK);
    cr_assert_eq(admin_int("SELECT epoch FROM auth.users"), 1);
}

Test(recovery, one_of_sixty_four_changes_wins)
{
    run_without_gap(changes_at_once);
}

static int old_sessions;

static void sign_in_meanwhile(struct busi_call *call, size_t number)
{
    struct busi_session_reply out = {0};
    if (number == RACERS / 2) {
        finish_at_once(call, number);
        return;
    }
    struct busi_sign_in_request in = {.door = DOOR, .login = BUSI_STR("bob"), .password = BUSI_STR(PASSWORD)};
    enum busi_code code = auth_sign_in(world.auth, call, &in, &out);
    cr_assert(code == BUSI_OK || code == BUSI_UNAUTHENTICATED);
    if (code == BUSI_OK)
        race_tokens[old_sessions++] = keep(out.access_token);
}

/* Sign-ins by the old password all around a reset leave no session behind. */
static void reset_among_sign_ins(void)
{
    bob();
    for (int round = 0; round < 3; round++) {
        race_secret = reset_of("bob");
        old_sessions = 0;
        race_all(sign_in_meanwhile);
        cr_assert_eq(race.won, 1);
        for (int i = 0; i < old_sessions; i++)
            cr_assert_not(lives(race_tokens[i]), "%d of %d", i, old_sessions);
        race_secret = reset_of("bob");
        cr_assert_eq(finish_reset(race_secret, PASSWORD, PASSWORD), BUSI_OK);
    }
}

Test(recovery, no_session_of_before_outlives_a_reset)
{
    run_without_gap(reset_among_sign_ins);
}

/* ---- passwords ---- */

/* A password is the bytes that were given, at setting and at verifying alike. */
static void as_received(void)
{
    struct busi_session_reply session;
    bob();
    cr_assert_eq(finish_reset(reset_of("bob"), "pass\u00e9word", "pass\u00e9word"), BUSI_OK);
    cr_assert_eq(sign_in_as("bob", "passe\u0301word", &session), BUSI_UNAUTHENTICATED);
    cr_assert_eq(sign_in_as("bob", "pass\u00e9word", &session), BUSI_OK);
    cr_assert_eq(finish_reset(reset_of("bob"), "  \uff50\uff57 \U0001f511 ", "  \uff50\uff57 \U0001f511 "),
                 BUSI_OK);
    cr_assert_eq(sign_in_as("bob", "  \uff50\uff57 \U0001f511 ", &session), BUSI_OK);
    cr_assert_eq(sign_in_as("bob", "\uff50\uff57 \U0001f511", &session), BUSI_UNAUTHENTICATED);
    cr_assert_eq(sign_in_as("bob", "  pw \U0001f511 ", &session), BUSI_UNAUTHENTICATED);
}

Test(recovery, passwords_are_taken_as_received)
{
    run_without_gap(as_received);
}

static void lengths(void)
{
    static char password[2000];
    static const int fine[] = {6, 64, 72, 73, 128, 129, 1024};
    struct busi_session_reply session;
    bob();
    for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++) {
        memset(password, 'p', sizeof(password));
        password[fine[i]] = '\0';
        cr_assert_eq(finish_reset(reset_of("bob"), password, password), BUSI_OK, "%d", fine[i]);
        password[fine[i] - 1] = 'q';
        cr_assert_eq(sign_in_as("bob", password, &session), BUSI_UNAUTHENTICATED, "%d", fine[i]);
    }
    struct busi_str secret = reset_of("bob");
    memset(password, 'p', 1025);
    password[1025] = '\0';
    cr_assert_eq(finish_reset(secret, password, password), BUSI_INVALID_ARGUMENT);
    cr_assert(violates("password", BUSI_RULE_TOO_LONG, 1024));
    cr_assert_eq(finish_reset(secret, "      ", "      "), BUSI_INVALID_ARGUMENT);
    cr_assert(violates("password", BUSI_RULE_BLANK, 0));
    cr_assert_eq(finish_reset(secret, "aaaaaa", "aaaaaa"), BUSI_OK);
}

Test(recovery, passwords_of_every_length)
{
    run_without_gap(lengths);
}

static void deleted_meanwhile(void)
{
    int64_t id, count;
    struct busi_principal who;
    struct busi_str token = bob(), secret = reset_of("bob"), confirmation;
    struct busi_session_reply session;
    confirmation = admin_text("SELECT arguments ->> 'secret' FROM auth.outbox ORDER BY id LIMIT 1");
    cr_assert_eq(check(token, &who), BUSI_OK);
    id = who.user_id;
    ask(auth_start_reset, "bob");
    cr_assert_eq(delete_user(id, &count), BUSI_OK);
    decided();
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.one_time_secrets"), 0);
    cr_assert_eq(finish_reset(secret, NEW, NEW), BUSI_NOT_FOUND);
    cr_assert_eq(confirm(confirmation, &session), BUSI_NOT_FOUND);
    cr_assert_eq(change(token, PASSWORD, NEW), BUSI_UNAUTHENTICATED);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.users"), 0);
    bob(); /* the names are free */
}

Test(recovery, nothing_is_left_of_a_deleted_account)
{
    run_without_gap(deleted_meanwhile);
}
