#include "auth-svc_kit.h"
#include "sessions/record.h"

/* auth.RenewToken, auth.ExchangeToken, auth.IssueToken, and who is quicker. */
static void set_up_ada(void)
{
    set_up();
    admin("INSERT INTO auth.users(email, email_key, username, username_key, code, confirmed_at)"
          " VALUES ('ada@example.com', 'ada@example.com', 'ada', 'ada', 'abc123', now()),"
          " ('bob@example.com', 'bob@example.com', 'bob', 'bob', 'abc124', now())");
}

TestSuite(further_tokens, .init = set_up_ada, .fini = tear_down, .timeout = 120);

/* ---- requests, each with a call of its own: some are made at once ---- */

static enum busi_code issue_for(struct auth *auth, const struct busi_issue_token_request *in,
                                struct busi_session_reply *out)
{
    struct busi_call call = {0};
    *out = (struct busi_session_reply){0};
    begin(&call);
    enum busi_code code = auth_issue_token(auth, &call, in, out);
    out->access_token = keep(out->access_token);
    out->session_id = keep(out->session_id);
    world.call.message = keep(call.message);
    busi_call_fini(&call);
    return code;
}

static struct busi_str issue(const char *door)
{
    struct busi_session_reply out;
    cr_assert_eq(issue_for(world.auth,
                           &(struct busi_issue_token_request){.door = busi_str_of(door), .user_id = 1}, &out),
                 BUSI_OK);
    return out.access_token;
}

static enum busi_code renew_by(struct auth *auth, struct busi_str token, int64_t lifetime_ms,
                               struct busi_session_reply *out)
{
    struct busi_call call = {0};
    *out = (struct busi_session_reply){0};
    begin(&call);
    enum busi_code code = auth_renew_token(
        auth, &call, &(struct busi_renew_token_request){.token = token, .lifetime_ms = lifetime_ms}, out);
    out->access_token = keep(out->access_token);
    out->session_id = keep(out->session_id);
    out->roles = keep(out->roles);
    world.call.message = keep(call.message);
    busi_call_fini(&call);
    return code;
}

static struct busi_str renew(struct busi_str token)
{
    struct busi_session_reply out;
    cr_assert_eq(renew_by(world.auth, token, 0, &out), BUSI_OK, "%.*s", BUSI_ARG(world.call.message));
    return out.access_token;
}

static enum busi_code exchange_to(struct busi_str token, const char *from, const char *to,
                                  struct busi_str *next)
{
    struct busi_session_reply out = {0};
    begin(&world.call);
    enum busi_code code =
        auth_exchange_token(world.auth, &world.call,
                            &(struct busi_exchange_token_request){
                                .token = token, .from = busi_str_of(from), .to = busi_str_of(to)},
                            &out);
    *next = keep(out.access_token);
    return code;
}

static struct busi_str exchange(struct busi_str token, const char *from, const char *to)
{
    struct busi_str next;
    cr_assert_eq(exchange_to(token, from, to, &next), BUSI_OK, "%.*s", BUSI_ARG(world.call.message));
    return next;
}

static bool is_good(struct busi_str token)
{
    struct busi_principal who;
    return check(token, &who) == BUSI_OK;
}

static struct busi_jwt_claims claims_of(int door, struct busi_str token)
{
    struct busi_jwt_claims claims;
    cr_assert_eq(busi_jwt_verify(&world.arena, &world.auth->doors[door].jwt.ring.keys[0], token,
                                 busi_wall_us() / 1000000, &claims),
                 BUSI_JWT_OK);
    return claims;
}

static const char *key_of(int door, struct busi_str token)
{
    struct busi_jwt_claims claims = claims_of(door, token);
    return busi_arena_printf(&world.arena, "busi:s:{%.*s}", BUSI_ARG(claims.session_id)).ptr;
}

/* ---- renewing ---- */

static void replaced(void)
{
    static const int doors[] = {AUTH_DOOR_busi, AUTH_DOOR_guardian, AUTH_DOOR_ash};
    for (int i = 0; i < 3; i++) {
        struct busi_str token = issue(world.auth->doors[doors[i]].name), next = renew(token);
        cr_assert(is_good(next) && !is_good(token));
        struct busi_jwt_claims before = claims_of(doors[i], token), after = claims_of(doors[i], next);
        cr_assert(busi_str_eq(before.session_id, after.session_id) && !busi_str_eq(before.jti, after.jti));
        struct busi_session_reply out;
        cr_assert_eq(renew_by(world.auth, token, 0, &out), BUSI_UNAUTHENTICATED);
        cr_assert_eq(sign_out(next), BUSI_OK);
        cr_assert(!is_good(next));
    }
}

Test(further_tokens, a_renewed_token_is_replaced_at_once)
{
    run(replaced);
}

static void kept(void)
{
    struct busi_str tokens[20] = {issue("magic")};
    for (int i = 1; i < 20; i++)
        tokens[i] = renew(tokens[i / 2]);
    for (int i = 0; i < 20; i++)
        cr_assert(is_good(tokens[i]), "%d", i);
    cr_assert_eq(redis("ZCARD", "busi:u:{1}", NULL, NULL).number, 1);
    cr_assert_eq(sign_out(tokens[3]), BUSI_OK);
    for (int i = 0; i < 20; i++)
        cr_assert(!is_good(tokens[i]), "%d", i);
}

Test(further_tokens, magics_tickets_stay_good_beside_a_newer_one)
{
    run(kept);
}

static int64_t redis_number(const char *a, const char *b)
{
    return redis(a, b, NULL, NULL).number;
}

/* Redis has been told for how long, in whole seconds, a moment ago: it may keep what ends then a little
 * longer. */
static bool is_until(int64_t kept_s, int64_t ends_s)
{
    return kept_s >= ends_s && kept_s <= ends_s + 5;
}

/* Record, key and index end with the last token; a shorter one later takes nothing back. */
static void moved(void)
{
    struct busi_session_reply out;
    struct busi_str token = issue("guardian");
    const char *key = key_of(AUTH_DOOR_guardian, token);
    int64_t before = redis_number("EXPIRETIME", key);
    busi_fiber_sleep(1100);
    cr_assert_eq(renew_by(world.auth, token, 0, &out), BUSI_OK);
    int64_t after = redis_number("EXPIRETIME", key);
    cr_assert_gt(after, before);
    cr_assert(is_until(after, out.expires_at / 1000000));
    cr_assert_eq(out.access_lifetime, 2419200);
    struct busi_str score = redis("ZSCORE", "busi:u:{1}", out.session_id.ptr, NULL).text;
    cr_assert(busi_str_eq(score, busi_arena_int(&world.arena, out.expires_at / 1000000)));
    cr_assert_geq(redis_number("EXPIRETIME", "busi:u:{1}"), after);
    struct busi_str longer = out.access_token;
    cr_assert_eq(renew_by(world.auth, longer, 1500, &out), BUSI_OK);
    cr_assert_eq(out.access_lifetime, 2);
    cr_assert_eq(redis_number("EXPIRETIME", key), after);
    cr_assert(is_good(out.access_token));
    for (int i = 0; i < 200 && (is_good(out.access_token) || !said("token_expired")); i++)
        busi_fiber_sleep(50);
    cr_assert(said("token_expired"));
}

Test(further_tokens, a_renewal_moves_the_end_of_the_session)
{
    run(moved);
}

static void bad_renewals(void)
{
    struct busi_session_reply out;
    struct busi_str token = issue("guardian"), opaque = issue("accesspass");
    cr_assert_eq(renew_by(world.auth, token, -1, &out), BUSI_INVALID_ARGUMENT);
    cr_assert_eq(renew_by(world.auth, token, INT64_MAX, &out), BUSI_OK);
    cr_assert_eq(out.access_lifetime, 2419200);
    token = out.access_token;
    cr_assert_eq(renew_by(world.auth, opaque, 0, &out), BUSI_UNAUTHENTICATED);
    cr_assert(said("incorrect_token_type"));
    cr_assert(is_good(opaque));
    cr_assert_eq(renew_by(world.auth, BUSI_STR("a.b.c"), 0, &out), BUSI_UNAUTHENTICATED);
    cr_assert_eq(renew_by(world.auth, (struct busi_str){token.ptr, token.len - 1}, 0, &out),
                 BUSI_UNAUTHENTICATED);
    cr_assert(said("invalid_token") && is_good(token));
    cr_assert_eq(sign_out(token), BUSI_OK);
    cr_assert_eq(renew_by(world.auth, token, 0, &out), BUSI_UNAUTHENTICATED);
}

Test(further_tokens, what_cannot_be_renewed)
{
    run(bad_renewals);
}

/* The account is looked at in Postgres: whatever Redis and gateways have heard. */
static void afresh(void)
{
    struct busi_session_reply out;
    struct busi_principal who;
    struct busi_str token = issue("magic");
    admin("INSERT INTO auth.users_roles SELECT 1, id FROM auth.roles WHERE name IN ('admin', 'guest')");
    cr_assert_eq(check(token, &who), BUSI_OK);
    cr_assert_eq(who.roles.len, 0); /* SQL by hand, and nobody was told yet */
    cr_assert_eq(renew_by(world.auth, token, 0, &out), BUSI_OK);
    cr_assert(busi_str_eq(out.roles, BUSI_STR("admin,guest")));
    cr_assert_eq(check(token, &who), BUSI_OK); /* the session's now, so the old ticket's, too */
    cr_assert(busi_str_eq(who.roles, BUSI_STR("admin,guest")));
    admin(
        "ALTER TABLE auth.users DISABLE TRIGGER USER; UPDATE auth.users SET blocked_at = now() WHERE id = 1;"
        "ALTER TABLE auth.users ENABLE TRIGGER USER");
    cr_assert_eq(renew_by(world.auth, out.access_token, 0, &out), BUSI_UNAUTHENTICATED);
    admin("ALTER TABLE auth.users DISABLE TRIGGER USER; DELETE FROM auth.users WHERE id = 1;"
          "ALTER TABLE auth.users ENABLE TRIGGER USER");
    cr_assert_eq(renew_by(world.auth, token, 0, &out), BUSI_UNAUTHENTICATED);
}

Test(further_tokens, roles_and_account_are_read_afresh)
{
    run(afresh);
}

/* ---- exchanging ---- */

static void refreshing(void)
{
    struct busi_str token = issue("guardian"), refresh = exchange(token, "guardian", "guardian_refresh"),
                    next;
    cr_assert(is_good(token));
    cr_assert(!is_good(refresh) && said("invalid_token")); /* never a Bearer credential */
    cr_assert_eq(sign_out(refresh), BUSI_OK);
    cr_assert(is_good(token)); /* nor does it end anything */
    struct busi_jwt_claims claims = claims_of(AUTH_DOOR_guardian, refresh);
    cr_assert(busi_str_eq(claims.type, BUSI_STR("refresh")));
    cr_assert(is_good(exchange(refresh, "other,guardian_refresh", "guardian")));
    static const struct {
        const char *from, *to;
        enum busi_code code;
    } wrong[] = {{"guardian", "guardian", BUSI_UNAUTHENTICATED},
                 {"", "guardian", BUSI_UNAUTHENTICATED},
                 {"guardian_refresh ", "guardian", BUSI_UNAUTHENTICATED},
                 {"guardian_refresh", "busi", BUSI_UNAUTHENTICATED}, /* another door's */
                 {"guardian_refresh", "magic", BUSI_UNAUTHENTICATED},
                 {"guardian_refresh", "accesspass", BUSI_INVALID_ARGUMENT},
                 {"guardian_refresh", "", BUSI_INVALID_ARGUMENT}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        cr_assert_eq(exchange_to(refresh, wrong[i].from, wrong[i].to, &next), wrong[i].code, "%zu", i);
    next = renew(refresh); /* of its own kind */
    cr_assert(!is_good(next));
    cr_assert_eq(exchange_to(refresh, "guardian_refresh", "guardian", &refresh), BUSI_UNAUTHENTICATED);
    cr_assert(is_good(exchange(next, "guardian_refresh", "guardian")));
}

Test(further_tokens, a_refresh_token_is_good_for_others_only)
{
    run(refreshing);
}

/* At most AUTH_BONDS_MOST are good at once. The one that is used stays, the oldest of the others are given
 * up. */
static void bounded(void)
{
    enum { EXCHANGES = 20 };
    struct busi_str first = issue("guardian"), refresh = exchange(first, "guardian", "guardian_refresh");
    struct busi_str tokens[EXCHANGES];
    const char *key = key_of(AUTH_DOOR_guardian, first);
    int64_t one = redis_number("STRLEN", key);
    for (int i = 0; i < EXCHANGES; i++) {
        tokens[i] = exchange(refresh, "guardian_refresh", "guardian");
        cr_assert_leq(redis_number("STRLEN", key), one + (AUTH_BONDS_MOST - 2) * AUTH_BOND_BYTES);
    }
    cr_assert(!is_good(first));
    for (int i = 0; i < EXCHANGES; i++)
        cr_assert_eq(is_good(tokens[i]), i >= EXCHANGES - (AUTH_BONDS_MOST - 1), "%d", i);
    cr_assert_eq(sign_out(tokens[EXCHANGES - 1]), BUSI_OK);
    for (int i = 0; i < EXCHANGES; i++)
        cr_assert(!is_good(tokens[i]));
    cr_assert_eq(exchange_to(refresh, "guardian_refresh", "guardian", &first), BUSI_UNAUTHENTICATED);
}

Test(further_tokens, there_are_not_more_than_so_many)
{
    run(bounded);
}

/* ---- issuing ---- */

static void issuing(void)
{
    struct busi_session_reply out;
    const struct {
        const char *door, *claims;
        int64_t user_id, lifetime_ms;
        enum busi_code code;
    } rows[] = {{"busi", NULL, 1, 0, BUSI_OK},
                {"accesspass", NULL, 1, 0, BUSI_OK},
                {"ash_page", NULL, 1, 1000, BUSI_OK},
                {"magic", "{\"a\":{}}", 1, 1, BUSI_OK},
                {"nowhere", NULL, 1, 0, BUSI_INVALID_ARGUMENT},
                {"guardian_refresh", NULL, 1, 0, BUSI_INVALID_ARGUMENT},
                {"busi", NULL, 77, 0, BUSI_NOT_FOUND},
                {"busi", NULL, 0, 0, BUSI_NOT_FOUND},
                {"busi", NULL, 1, -1, BUSI_INVALID_ARGUMENT},
                {"busi", "[]", 1, 0, BUSI_INVALID_ARGUMENT},
                {"busi", "{", 1, 0, BUSI_INVALID_ARGUMENT},
                {"busi", "", 1, 0, BUSI_INVALID_ARGUMENT},
                {"accesspass", "{}", 1, 0, BUSI_INVALID_ARGUMENT}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct busi_issue_token_request in = {.door = busi_str_of(rows[i].door),
                                                    .user_id = rows[i].user_id,
                                                    .claims = busi_str_of(rows[i].claims),
                                                    .lifetime_ms = rows[i].lifetime_ms};
        cr_assert_eq(issue_for(world.auth, &in, &out), rows[i].code, "%zu", i);
        if (rows[i].code == BUSI_OK)
            cr_assert(is_good(out.access_token), "%zu", i);
    }
    admin("UPDATE auth.users SET blocked_at = now() WHERE id = 2");
    cr_assert_eq(issue_for(world.auth,
                           &(struct busi_issue_token_request){.door = BUSI_STR("busi"), .user_id = 2}, &out),
                 BUSI_PERMISSION_DENIED);
}

Test(further_tokens, issued_for_somebody)
{
    run(issuing);
}

static void issued_life(void)
{
    struct busi_session_reply out;
    struct busi_issue_token_request in = {.door = BUSI_STR("magic"),
                                          .user_id = 1,
                                          .claims = BUSI_STR("{\"plan\":\"gold\",\"role\":\"root\"}"),
                                          .lifetime_ms = 600500};
    cr_assert_eq(issue_for(world.auth, &in, &out), BUSI_OK);
    struct busi_jwt_claims claims = claims_of(AUTH_DOOR_magic, out.access_token);
    cr_assert(claims.expires_at - claims.issued_at == 601 && out.access_lifetime == 601);
    struct busi_str gold = BUSI_STR("{\"plan\":\"gold\"}");
    cr_assert(busi_str_eq(busi_jwt_more(&world.arena, out.access_token), gold));
    cr_assert(busi_str_eq(busi_jwt_more(&world.arena, renew(out.access_token)), gold)); /* stays */
    in.lifetime_ms = 10 * 86400000LL; /* longer than the door's */
    cr_assert_eq(issue_for(world.auth, &in, &out), BUSI_OK);
    cr_assert_eq(out.access_lifetime, 720 * 60);
}

Test(further_tokens, an_issued_tokens_claims_and_life)
{
    run(issued_life);
}

/* ---- at once, on two replicas ---- */

enum { ROUNDS = 60 };

static struct race {
    struct busi_str token;
    enum busi_code codes[2];           /* of the two */
    struct busi_session_reply outs[2]; /* likewise */
    int delay_ms;                      /* of the renewal: whoever ends the session writes to Postgres first */
    int running;
} race;

static void renew_here(void *arg)
{
    (void)arg;
    busi_fiber_sleep(race.delay_ms);
    race.codes[0] = renew_by(world.auth, race.token, 0, &race.outs[0]);
    race.running--;
}

static void renew_there(void *arg)
{
    (void)arg;
    race.codes[1] = renew_by(world.other, race.token, 0, &race.outs[1]);
    race.running--;
}

static void sign_out_there(void *arg)
{
    struct busi_call call = {0};
    struct busi_empty out;
    (void)arg;
    begin(&call);
    race.codes[1] =
        auth_sign_out(world.other, &call, &(struct busi_check_token_request){.token = race.token}, &out);
    busi_call_fini(&call);
    race.running--;
}

static void block_there(void *arg)
{
    struct busi_call call = {0};
    struct busi_count_reply out = {0};
    (void)arg;
    begin(&call);
    race.codes[1] = auth_block_user(world.other, &call, &(struct busi_user_id_request){.user_id = 1}, &out);
    busi_call_fini(&call);
    race.running--;
}

static void grant_there(void *arg)
{
    struct busi_call call = {0};
    (void)arg;
    admin("INSERT INTO auth.users_roles SELECT 1, id FROM auth.roles WHERE name = 'admin'");
    begin(&call);
    race.codes[1] = auth_session_update_roles(world.other, &call, 1);
    busi_call_fini(&call);
    race.running--;
}

static void run_both(void (*there)(void *arg), int round)
{
    race.running = 2;
    race.delay_ms = round / 2 % 6;
    void (*const order[])(void *) = {round % 2 ? renew_here : there, round % 2 ? there : renew_here};
    for (int i = 0; i < 2; i++)
        cr_assert(busi_fiber_start(world.fibers, order[i], NULL));
    while (race.running > 0)
        busi_fiber_sleep(1);
}

/* Whoever was answered that it signed out is out, whatever was renewed meanwhile. */
static void renew_and_sign_out(void)
{
    join_other();
    for (int i = 0; i < ROUNDS; i++) {
        race.token = issue(i % 4 < 2 ? "guardian" : "magic");
        run_both(sign_out_there, i);
        cr_assert_eq(race.codes[1], BUSI_OK);
        cr_assert(race.codes[0] == BUSI_OK || race.codes[0] == BUSI_UNAUTHENTICATED);
        cr_assert(!is_good(race.token), "%d", i);
        cr_assert(race.codes[0] != BUSI_OK || !is_good(race.outs[0].access_token), "%d", i);
    }
    cr_assert_eq(redis("KEYS", "busi:s:*", NULL, NULL).n_items, 0);
    part_with_other();
}

Test(further_tokens, a_sign_out_wins_against_a_renewal)
{
    run(renew_and_sign_out);
}

static void renew_and_block(void)
{
    join_other();
    for (int i = 0; i < ROUNDS; i++) {
        race.token = issue(i % 4 < 2 ? "guardian" : "magic");
        run_both(block_there, i);
        cr_assert_eq(race.codes[1], BUSI_OK);
        cr_assert(!is_good(race.token), "%d", i);
        cr_assert(race.codes[0] != BUSI_OK || !is_good(race.outs[0].access_token), "%d", i);
        admin("UPDATE auth.users SET blocked_at = NULL WHERE id = 1");
    }
    cr_assert_eq(redis("KEYS", "busi:s:*", NULL, NULL).n_items, 0);
    part_with_other();
}

Test(further_tokens, a_ban_wins_against_a_renewal)
{
    run(renew_and_block);
}

/* One token makes one other where it is replaced; both get theirs where it stays. */
static void renew_twice(void)
{
    join_other();
    for (int i = 0; i < ROUNDS; i++) {
        bool replaces = i % 4 < 2;
        race.token = issue(replaces ? "guardian" : "magic");
        run_both(renew_there, i);
        int won = 0;
        for (int j = 0; j < 2; j++) {
            cr_assert(race.codes[j] == BUSI_OK || race.codes[j] == BUSI_UNAUTHENTICATED);
            won += race.codes[j] == BUSI_OK;
            cr_assert(race.codes[j] != BUSI_OK || is_good(race.outs[j].access_token));
        }
        cr_assert_eq(won, replaces ? 1 : 2, "%d", i);
        cr_assert_eq(is_good(race.token), !replaces);
    }
    part_with_other();
}

Test(further_tokens, of_two_renewals_at_once)
{
    run(renew_twice);
}

/* Neither undoes the other: the new token is good, and its session has the new role. */
static void renew_and_grant(void)
{
    join_other();
    for (int i = 0; i < ROUNDS; i++) {
        struct busi_principal who;
        race.token = issue(i % 4 < 2 ? "guardian" : "magic");
        run_both(grant_there, i);
        cr_assert(race.codes[0] == BUSI_OK && race.codes[1] == BUSI_OK, "%d", i);
        cr_assert_eq(check(race.outs[0].access_token, &who), BUSI_OK);
        cr_assert(busi_str_eq(who.roles, BUSI_STR("admin")), "%d: '%.*s'", i, BUSI_ARG(who.roles));
        cr_assert_eq(sign_out(race.outs[0].access_token), BUSI_OK);
        admin("DELETE FROM auth.users_roles");
    }
    part_with_other();
}

Test(further_tokens, a_change_of_roles_and_a_renewal_are_both_true)
{
    run(renew_and_grant);
}

/* A session that was renewed and ended stays ended in a copy of Redis from between, as long as it would have
 * lived there. */
static void journalled(void)
{
    struct busi_str token = issue("guardian");
    const char *key = key_of(AUTH_DOOR_guardian, token);
    struct busi_str next = renew(token);
    int64_t until_s = redis_number("EXPIRETIME", key);
    cr_assert_eq(sign_out(token), BUSI_OK); /* with the one that was replaced */
    cr_assert(!is_good(next));
    cr_assert(is_until(
        until_s, admin_int("SELECT extract(epoch FROM max(expires_at))::bigint FROM auth.revocations")));
}

Test(further_tokens, an_ended_session_is_journalled_as_long_as_it_could_be_renewed)
{
    run(journalled);
}
