#include "auth-svc_kit.h"
#include "base/text.h"

/* The JWTs of every door: what they say, and that a session is opened by its own door's key alone. */
static void set_up_ada(void)
{
    set_up();
    admin("INSERT INTO auth.users(email, email_key, username, username_key, code, confirmed_at)"
          " VALUES ('Ada@example.com', 'ada@example.com', 'Ada', 'ada', 'abc123', now()),"
          " ('bob@example.com', 'bob@example.com', NULL, NULL, 'abc124', now())");
}

TestSuite(tokens, .init = set_up_ada, .fini = tear_down, .timeout = 60);

static const int jwt_doors[] = {AUTH_DOOR_busi, AUTH_DOOR_guardian, AUTH_DOOR_ash, AUTH_DOOR_magic};
enum { JWT_DOORS = sizeof(jwt_doors) / sizeof(jwt_doors[0]) };

static struct busi_str open_at(int door, int64_t user_id)
{
    struct auth_account account;
    struct busi_session_reply reply = {0};
    begin(&world.call);
    cr_assert_eq(auth_account_find_by_id(world.auth, &world.call, user_id, &account), BUSI_OK);
    cr_assert_eq(auth_session_open(world.auth, &world.call, &account, &world.auth->doors[door], NULL, &reply),
                 BUSI_OK);
    return keep(reply.access_token);
}

static const struct busi_jwt_key *key_of(int door)
{
    return &world.auth->doors[door].jwt.ring.keys[0];
}

static struct busi_jwt_claims claims_of(int door, struct busi_str token)
{
    struct busi_jwt_claims claims;
    cr_assert_eq(busi_jwt_verify(&world.arena, key_of(door), token, busi_wall_us() / 1000000, &claims),
                 BUSI_JWT_OK);
    return claims;
}

static bool is(struct busi_str text, const char *expected)
{
    return expected ? busi_str_eq(text, busi_str_of(expected)) : !text.ptr;
}

static bool is_base32(struct busi_str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!strchr("0123456789abcdefghijklmnopqrstuv", text.ptr[i]))
            return false;
    return text.len == 24;
}

/* The payload's text up to its first time, which tells order and names. */
static void expect_payload(struct busi_str token, const char *begins, const char *ends)
{
    char bytes[1024];
    const char *first = memchr(token.ptr, '.', token.len);
    const char *second = strchr(first + 1, '.');
    ptrdiff_t n = busi_base64url_decode(bytes, sizeof(bytes),
                                        (struct busi_str){first + 1, (size_t)(second - first - 1)});
    cr_assert_gt(n, 0);
    struct busi_str payload = {bytes, (size_t)n};
    cr_assert(busi_str_starts(payload, busi_str_of(begins)), "%.*s", BUSI_ARG(payload));
    cr_assert(n > (ptrdiff_t)strlen(ends) &&
                  memcmp(bytes + n - (ptrdiff_t)strlen(ends), ends, strlen(ends)) == 0,
              "%.*s", BUSI_ARG(payload));
}

static void forms(void)
{
    static const struct {
        const char *header, *subject, *type, *purpose, *name, *begins, *ends;
        int64_t lifetime_s, before_s;
    } rows[JWT_DOORS] = {{"eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.", "1", "access", NULL, NULL,
                          "{\"aud\":\"busi_api\",\"exp\":", "\"sub\":\"1\",\"typ\":\"access\"}", 2419200, 1},
                         {"eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.", "1", "access", NULL, NULL,
                          "{\"aud\":\"busi_api\",\"exp\":", "\"sub\":\"1\",\"typ\":\"access\"}", 2419200, 1},
                         {"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.", "user?id=1", NULL, "user", NULL,
                          "{\"aud\":\"~> 4.0\",\"exp\":", "\"sub\":\"user?id=1\"}", 14 * 86400, 0},
                         {"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.", NULL, NULL, NULL, "Ada",
                          "{\"exp\":", "\"unique_name\":\"Ada\"}", 720 * 60, 0}};
    for (int i = 0; i < JWT_DOORS; i++) {
        struct busi_str token = open_at(jwt_doors[i], 1);
        struct busi_jwt_claims claims = claims_of(jwt_doors[i], token);
        cr_assert(busi_str_starts(token, busi_str_of(rows[i].header)));
        cr_assert(is(claims.subject, rows[i].subject) && is(claims.type, rows[i].type));
        cr_assert(is(claims.purpose, rows[i].purpose) && is(claims.name, rows[i].name));
        cr_assert_eq(claims.expires_at - claims.issued_at, rows[i].lifetime_s);
        cr_assert_eq(claims.issued_at - claims.not_before, rows[i].before_s);
        expect_payload(token, rows[i].begins, rows[i].ends);
    }
    cr_assert_eq(claims_of(AUTH_DOOR_guardian, open_at(AUTH_DOOR_guardian, 1)).jti.len, 36);
    cr_assert(is_base32(claims_of(AUTH_DOOR_ash, open_at(AUTH_DOOR_ash, 1)).jti));
    cr_assert_not(claims_of(AUTH_DOOR_magic, open_at(AUTH_DOOR_magic, 1)).jti.ptr);
    /* who has no user name goes by the address */
    cr_assert(is(claims_of(AUTH_DOOR_magic, open_at(AUTH_DOOR_magic, 2)).name, "bob@example.com"));
}

Test(tokens, each_door_says_what_its_clients_know)
{
    run(forms);
}

static void issuers(void)
{
    struct busi_str token = open_at(AUTH_DOOR_guardian, 1);
    expect_payload(token, "{\"aud\":\"my app\",\"exp\":", "\"typ\":\"access\"}");
    cr_assert_eq(claims_of(AUTH_DOOR_guardian, token).expires_at -
                     claims_of(AUTH_DOOR_guardian, token).issued_at,
                 7200);
}

Test(tokens, settings_say_issuer_and_lifetime_of_guardians)
{
    run_with(issuers,
             (const char *const[]){"BUSI_GUARDIAN_ISSUER=my app", "BUSI_GUARDIAN_JWT_LIFETIME=2h", NULL});
}

static void grant(const char *roles)
{
    admin(busi_arena_printf(&world.arena,
                            "INSERT INTO auth.users_roles SELECT 1, id FROM auth.roles WHERE name IN (%s)",
                            roles)
              .ptr);
}

static void roles(void)
{
    expect_payload(open_at(AUTH_DOOR_magic, 1), "{\"exp\":", ",\"unique_name\":\"Ada\"}");
    grant("'admin'");
    struct busi_str one = open_at(AUTH_DOOR_magic, 1);
    grant("'guest'");
    struct busi_str two = open_at(AUTH_DOOR_magic, 1);
    char payload[512];
    const struct {
        struct busi_str token;
        const char *role;
    } rows[] = {{one, ",\"role\":\"admin\",\"sid\""}, {two, ",\"role\":[\"admin\",\"guest\"],\"sid\""}};
    for (int i = 0; i < 2; i++) {
        const char *first = strchr(rows[i].token.ptr, '.') + 1;
        ptrdiff_t n = busi_base64url_decode(payload, sizeof(payload) - 1,
                                            (struct busi_str){first, strcspn(first, ".")});
        cr_assert_gt(n, 0);
        payload[n] = '\0';
        cr_assert_not_null(strstr(payload, rows[i].role), "%s", payload);
        struct busi_principal who;
        cr_assert_eq(check(rows[i].token, &who), BUSI_OK); /* an array is read, too */
    }
}

Test(tokens, roles_as_magic_says_them)
{
    run(roles);
}

/* ---- one key for each door ---- */

static void expect_refused(struct busi_str token)
{
    struct busi_principal who;
    cr_assert_eq(check(token, &who), BUSI_UNAUTHENTICATED);
    cr_assert(said("invalid_token"));
}

/* What a token of this door would say of a session. */
static struct busi_jwt_claims forge_claims(int door, struct busi_jwt_claims claims)
{
    struct busi_jwt_claims forged = {.session_id = claims.session_id,
                                     .issued_at = claims.issued_at,
                                     .not_before = claims.issued_at,
                                     .expires_at = claims.issued_at + 60};
    if (door == AUTH_DOOR_magic) {
        forged.name = BUSI_STR("Ada");
        return forged;
    }
    forged.jti = claims.jti.ptr ? claims.jti : BUSI_STR("6f1c2b70-8e3f-4b7a-9f0a-1d2e3c4b5a69");
    forged.subject = door == AUTH_DOOR_ash ? BUSI_STR("user?id=1") : BUSI_STR("1");
    if (door == AUTH_DOOR_ash)
        forged.purpose = BUSI_STR("user");
    else
        forged.type = BUSI_STR("access");
    return forged;
}

static void own_key_only(void)
{
    for (int i = 0; i < JWT_DOORS; i++) {
        struct busi_str token = open_at(jwt_doors[i], 1);
        struct busi_jwt_claims claims = claims_of(jwt_doors[i], token);
        for (int j = 0; j < JWT_DOORS; j++) {
            struct busi_principal who;
            struct busi_jwt_claims forged = forge_claims(jwt_doors[j], claims);
            struct busi_str other = busi_jwt_sign(&world.arena, key_of(jwt_doors[j]), &forged);
            if (i == j) {
                cr_assert_eq(check(other, &who), BUSI_OK, "%d", i);
                continue;
            }
            expect_refused(other);
            cr_assert_eq(sign_out(other), BUSI_OK); /* nor does it end any */
            cr_assert_eq(check(token, &who), BUSI_OK, "%d %d", i, j);
        }
    }
}

Test(tokens, a_session_is_opened_by_its_own_doors_key)
{
    run(own_key_only);
}

/* Ash's token that says what another of its uses is for (RFC 8725, 3.11), and those of no use at all. */
static void other_uses(void)
{
    struct busi_jwt_claims ash = claims_of(AUTH_DOOR_ash, open_at(AUTH_DOOR_ash, 1)),
                           guardian = claims_of(AUTH_DOOR_guardian, open_at(AUTH_DOOR_guardian, 1)), changed;
    struct busi_principal who;
    cr_assert_eq(check(busi_jwt_sign(&world.arena, key_of(AUTH_DOOR_ash), &ash), &who), BUSI_OK);
    static const char *const purposes[] = {NULL, "", "sign_in", "revocation", "User", "user ", "access"};
    for (size_t i = 0; i < sizeof(purposes) / sizeof(purposes[0]); i++) {
        changed = ash;
        changed.purpose = busi_str_of(purposes[i]);
        expect_refused(busi_jwt_sign(&world.arena, key_of(AUTH_DOOR_ash), &changed));
    }
    static const char *const types[] = {"refresh", "reset", "Access", "access ", "a"};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        changed = guardian;
        changed.type = busi_str_of(types[i]);
        expect_refused(busi_jwt_sign(&world.arena, key_of(AUTH_DOOR_guardian), &changed));
    }
    static const char *const subjects[] = {"1",          "user?id=",      "user?id=x",
                                           "user?id=2",  "user?id=1&x=2", "User?id=1",
                                           "user?id=-1", "user?id=0",     "user?id=9223372036854775808",
                                           "admin?id=1"};
    for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
        changed = ash;
        changed.subject = busi_str_of(subjects[i]);
        expect_refused(busi_jwt_sign(&world.arena, key_of(AUTH_DOOR_ash), &changed));
    }
}

Test(tokens, other_uses_and_subjects_are_refused)
{
    run(other_uses);
}

/* ---- clocks ---- */

static void drift(void)
{
    struct busi_principal who;
    struct busi_str token = open_at(AUTH_DOOR_guardian, 1);
    struct busi_jwt_claims claims = claims_of(AUTH_DOOR_guardian, token);
    cr_assert_eq(claims.expires_at - claims.issued_at, 1);
    while (busi_wall_us() / 1000000 <= claims.expires_at)
        busi_fiber_sleep(50);
    cr_assert_eq(check(token, &who), BUSI_OK); /* within the drift: record and index live as long */
    cr_assert_eq(who.expires_at, (claims.expires_at + 3) * 1000000);
    while (busi_wall_us() / 1000000 < claims.expires_at + 3)
        busi_fiber_sleep(50);
    cr_assert_eq(check(token, &who), BUSI_UNAUTHENTICATED);
    cr_assert(said("token_expired"));
}

Test(tokens, guardians_drift_is_allowed_and_no_more)
{
    run_with(drift, (const char *const[]){"BUSI_GUARDIAN_JWT_LIFETIME=1s",
                                          "BUSI_GUARDIAN_ALLOWED_DRIFT=2500ms", NULL});
}

/* ---- keys that change ---- */

#define OLD_KEY "the-old-secret-of-at-least-sixty-four-bytes-0123456789-0123456789-01"
#define NEW_KEY "the-new-secret-of-at-least-sixty-four-bytes-0123456789-0123456789-02"
static struct busi_settings others; /* of the second replica */

static void join_with(const char *lines)
{
    others = world.settings;
    others.jwt_secret = busi_str_of(lines);
    world.other =
        auth_new(world.loop,
                 &(struct auth_options){.settings = &others, .fibers = world.fibers, .lease_ms = LEASE_MS});
    cr_assert(world.other);
    while (!auth_ready(world.other))
        busi_fiber_sleep(5);
}

static enum busi_code check_by_other(struct busi_str token)
{
    struct busi_principal who = {0};
    begin(&world.call);
    return auth_check_token(world.other, &world.call, &(struct busi_check_token_request){.token = token},
                            &who);
}

/* A replica that has the next key first and the last one still, then one that has the next alone. */
static void rotated(void)
{
    struct busi_str tokens[JWT_DOORS];
    for (int i = 0; i < JWT_DOORS; i++)
        tokens[i] = open_at(jwt_doors[i], 1);
    join_with("next " NEW_KEY "\n" OLD_KEY);
    for (int i = 0; i < JWT_DOORS; i++) /* derived keys turn with it */
        cr_assert_eq(check_by_other(tokens[i]), BUSI_OK, "%d", i);
    struct busi_session_reply renewed = {0};
    begin(&world.call);
    cr_assert_eq(auth_renew_token(world.other, &world.call,
                                  &(struct busi_renew_token_request){.token = tokens[0]}, &renewed),
                 BUSI_OK);
    struct busi_str next = keep(renewed.access_token);
    cr_assert(busi_str_starts(next, BUSI_STR("eyJhbGciOiJIUzUxMiIsImtpZCI6Im5leHQiLCJ0eXAiOiJKV1QifQ.")));
    cr_assert_eq(check_by_other(next), BUSI_OK);
    expect_refused(next); /* by one that has not heard of it: so it is added everywhere before it is first */
    part_with_other();
}

Test(tokens, a_former_key_verifies_as_long_as_it_is_held)
{
    run_with(rotated, (const char *const[]){"BUSI_JWT_SECRET=" OLD_KEY, NULL});
}

static void outside_overlap(void)
{
    struct busi_str tokens[JWT_DOORS];
    for (int i = 0; i < JWT_DOORS; i++)
        tokens[i] = open_at(jwt_doors[i], 1);
    join_with("next " NEW_KEY);
    for (int i = 0; i < JWT_DOORS; i++)
        cr_assert_eq(check_by_other(tokens[i]), BUSI_UNAUTHENTICATED, "%d", i);
    part_with_other();
}

Test(tokens, a_former_key_that_was_dropped_opens_nothing)
{
    run_with(outside_overlap, (const char *const[]){"BUSI_JWT_SECRET=" OLD_KEY, NULL});
}

/* The same secret under a kid is another key: its header differs. */
static void renamed(void)
{
    struct busi_str token = open_at(AUTH_DOOR_busi, 1);
    join_with("named " OLD_KEY);
    cr_assert_eq(check_by_other(token), BUSI_UNAUTHENTICATED);
    part_with_other();
}

Test(tokens, a_kid_is_part_of_the_key)
{
    run_with(renamed, (const char *const[]){"BUSI_JWT_SECRET=" OLD_KEY, NULL});
}
