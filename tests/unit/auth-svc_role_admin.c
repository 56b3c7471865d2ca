#include "auth-svc_accounts_kit.h"
#include "auth-svc_roles_kit.h"

/* Roles as those see them who manage them: made, listed, deleted; and that somebody is root. */
TestSuite(role_admin, .init = set_up, .fini = tear_down, .timeout = 60);

#define A "a@b.co"
#define B "b@b.co"

/* ---- rows ---- */

static struct busi_list_roles_reply list(struct busi_list_roles_request in)
{
    struct busi_list_roles_reply out = {0};
    begin(&world.call);
    cr_assert_eq(auth_list_roles(world.auth, &world.call, &in, &out), BUSI_OK);
    return out;
}

static int64_t count(struct busi_list_roles_request in)
{
    struct busi_count_reply out = {0};
    begin(&world.call);
    cr_assert_eq(auth_count_roles(world.auth, &world.call, &in, &out), BUSI_OK);
    return out.count;
}

/* The names, with spaces between. */
static void expect_list(struct busi_list_roles_request in, const char *expected)
{
    char names[1024] = "";
    struct busi_list_roles_reply out = list(in);
    const struct busi_role *roles = out.roles.items;
    for (size_t i = 0; i < out.roles.n; i++)
        snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%.*s", i ? " " : "",
                 BUSI_ARG(roles[i].name));
    cr_assert_str_eq(names, expected);
}

static void rows(void)
{
    int64_t n;
    expect_list((struct busi_list_roles_request){0}, "admin guest root unconfirmed");
    cr_assert_eq(make_role("Book-Keeper_2", "Keeps books"), BUSI_OK);
    cr_assert_eq(make_role("book-keeper_2", NULL), BUSI_ALREADY_EXISTS);
    expect_list((struct busi_list_roles_request){0}, "admin book-keeper_2 guest root unconfirmed");
    expect_list((struct busi_list_roles_request){.descending = true},
                "unconfirmed root guest book-keeper_2 admin");
    expect_list((struct busi_list_roles_request){.name = BUSI_STR("ROOT")}, "root");
    expect_list((struct busi_list_roles_request){.name = BUSI_STR("no such")}, "");
    expect_list((struct busi_list_roles_request){.name_like = BUSI_STR("%U%")}, "guest unconfirmed");
    expect_list((struct busi_list_roles_request){.limit = 2, .offset = 1}, "book-keeper_2 guest");
    cr_assert_eq(count((struct busi_list_roles_request){0}), 5);
    cr_assert_eq(count((struct busi_list_roles_request){.name_like = BUSI_STR("%u%")}), 2);
    struct busi_list_roles_reply out =
        list((struct busi_list_roles_request){.name = BUSI_STR("book-keeper_2")});
    const struct busi_role *role = out.roles.items;
    cr_assert(busi_str_eq(role->description, BUSI_STR("Keeps books")));

    struct busi_count_reply changed = {0};
    begin(&world.call);
    struct busi_role in = {.name = BUSI_STR("BOOK-keeper_2"), .description = BUSI_STR("Keeps all books")};
    cr_assert_eq(auth_update_role(world.auth, &world.call, &in, &changed), BUSI_OK);
    cr_assert_eq(changed.count, 1);
    in.name = BUSI_STR("nobody");
    begin(&world.call);
    cr_assert_eq(auth_update_role(world.auth, &world.call, &in, &changed), BUSI_OK);
    cr_assert_eq(changed.count, 0);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.roles WHERE description = 'Keeps all books'"), 1);
    cr_assert_eq(delete_role("book-keeper_2", &n), BUSI_OK);
    cr_assert_eq(n, 1);
    expect_list((struct busi_list_roles_request){0}, "admin guest root unconfirmed");
    cr_assert_eq(delete_role("nobody", &n), BUSI_OK);
    cr_assert_eq(n, 0);
    cr_assert_eq(delete_role("no such name!", &n), BUSI_OK);
    cr_assert_eq(n, 0);
}

Test(role_admin, rows_are_made_listed_changed_and_deleted)
{
    run(rows);
}

static void names(void)
{
    static const char *const bad[] = {"a b", "a,b", "é", "a.b", "'", "a/b"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(make_role(bad[i], NULL), BUSI_INVALID_ARGUMENT);
        cr_assert(violates("name", BUSI_RULE_FORMAT, 0), "%s", bad[i]);
    }
    cr_assert_eq(make_role(" ", NULL), BUSI_INVALID_ARGUMENT);
    cr_assert(violates("name", BUSI_RULE_BLANK, 0));
    char *long_name = busi_arena_alloc(&world.arena, 66), *long_text = busi_arena_alloc(&world.arena, 1026);
    memset(long_name, 'x', 65);
    memset(long_text, 'x', 1025);
    cr_assert_eq(make_role(long_name, NULL), BUSI_INVALID_ARGUMENT);
    cr_assert(violates("name", BUSI_RULE_TOO_LONG, 64));
    cr_assert_eq(make_role(long_name + 1, long_text + 1), BUSI_OK);
    cr_assert_eq(make_role("x", long_text), BUSI_INVALID_ARGUMENT);
    cr_assert(violates("description", BUSI_RULE_TOO_LONG, 1024));
}

Test(role_admin, names_that_none_can_have)
{
    run(names);
}

static void grants(void)
{
    struct busi_list_user_roles_reply out = {0};
    int64_t a, b;
    new_session(A, &a);
    new_session(B, &b);
    grant(B, "guest");
    grant(A, "guest");
    grant(A, "admin");
    begin(&world.call);
    cr_assert_eq(
        auth_list_user_roles(world.auth, &world.call, &(struct busi_list_user_roles_request){0}, &out),
        BUSI_OK);
    const struct busi_user_role *row = out.grants.items;
    cr_assert_eq(out.grants.n, 3);
    cr_assert(row[0].user_id == a && busi_str_eq(row[0].role, BUSI_STR("admin")));
    cr_assert(row[1].user_id == a && busi_str_eq(row[1].role, BUSI_STR("guest")));
    cr_assert(row[2].user_id == b && busi_str_eq(row[2].email, BUSI_STR(B)));
    const struct {
        struct busi_list_user_roles_request in;
        int64_t count;
    } asked[] = {{{.role = BUSI_STR("GUEST")}, 2},
                 {{.user_id = b}, 1},
                 {{.name = BUSI_STR(A), .role = BUSI_STR("guest")}, 1},
                 {{.name = BUSI_STR("nobody")}, 0},
                 {{.role = BUSI_STR("root")}, 0}};
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        struct busi_count_reply n = {0};
        begin(&world.call);
        cr_assert_eq(auth_count_user_roles(world.auth, &world.call, &asked[i].in, &n), BUSI_OK);
        cr_assert_eq(n.count, asked[i].count, "%zu", i);
        begin(&world.call);
        cr_assert_eq(auth_list_user_roles(world.auth, &world.call, &asked[i].in, &out), BUSI_OK);
        cr_assert_eq((int64_t)out.grants.n, asked[i].count, "%zu", i);
    }
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.audit WHERE event = 'grant_role' AND detail = 'guest'"),
                 2);
}

Test(role_admin, who_has_what)
{
    run(grants);
}

/* ---- a role that is deleted ---- */

static bool is_free(const char *name, int64_t within_ms)
{
    for (int64_t until_ms = busi_now_ms() + within_ms; busi_now_ms() < until_ms; busi_fiber_sleep(20)) {
        enum busi_code code = make_role(name, NULL);
        if (code == BUSI_OK)
            return true;
        cr_assert_eq(code, BUSI_ABORTED);
    }
    return false;
}

static void deleted(void)
{
    int64_t n;
    struct busi_str token = new_session(A, NULL);
    join_other();
    cr_assert_eq(make_role("editor", NULL), BUSI_OK);
    admin("INSERT INTO auth.users(email, email_key) SELECT i || '@x.y', i || '@x.y' FROM generate_series(1, "
          "1500) AS i");
    admin("INSERT INTO auth.users_roles SELECT u.id, r.id FROM auth.users AS u, auth.roles AS r WHERE name = "
          "'editor'");
    grant(A, "admin");
    expect_roles(token, "admin,editor");
    int64_t since_ms = busi_now_ms();
    cr_assert_eq(delete_role("Editor", &n), BUSI_OK);
    cr_assert_eq(n, 1);
    cr_assert_lt(busi_now_ms() - since_ms, 2000);
    expect_roles(token, "admin");
    expect_list((struct busi_list_roles_request){0}, "admin guest root unconfirmed");
    cr_assert_eq(change(auth_grant_role, A, "editor", &n), BUSI_NOT_FOUND);
    struct busi_session_reply session;
    cr_assert_eq(sign_in(A, PASSWORD, &session), BUSI_OK);
    cr_assert(busi_str_eq(session.roles, BUSI_STR("admin")));
    cr_assert(is_free("editor", 30000));
    expect_roles(token, "admin"); /* another one of the name */
    cr_assert_eq(redis("EXISTS", "busi:retired", NULL, NULL).number, 0);
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.users WHERE roles LIKE '%editor%'"), 0);
    grant(A, "editor");
    expect_roles(token, "admin,editor");
    part_with_other();
}

Test(role_admin, one_that_is_deleted_is_nobodys_at_once)
{
    run(deleted);
}

/* Whoever retired it died at once; the Redis that is there now has never heard of it. */
static void half_deleted(void)
{
    struct busi_str token = new_session(A, NULL);
    cr_assert_eq(make_role("editor", NULL), BUSI_OK);
    grant(A, "editor");
    expect_roles(token, "editor");
    auth_drain(world.auth); /* nobody takes it away just now */
    while (!auth_idle(world.auth))
        busi_fiber_sleep(5);
    admin("UPDATE auth.roles SET retired_at = now() WHERE name = 'editor'");
    expect_roles(token, "editor");
    join_other();
    struct busi_principal who;
    cr_assert_eq(check_at(world.other, token, &who), BUSI_OK);
    cr_assert_eq(who.roles.len, 0);
    for (int64_t until_ms = busi_now_ms() + 20000; busi_now_ms() < until_ms; busi_fiber_sleep(20))
        if (admin_int("SELECT count(*) FROM auth.roles WHERE name = 'editor'") == 0)
            break;
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.roles WHERE name = 'editor'"), 0);
    cr_assert_eq(redis("EXISTS", "busi:retired", NULL, NULL).number, 0);
    expect_roles(token, "");
    part_with_other();
}

Test(role_admin, whoever_comes_next_finishes_a_deletion)
{
    run(half_deleted);
}

/* An old copy of Redis brings back a name that is free, or another's, by now. */
static void left_over(void)
{
    struct busi_str token = new_session(A, NULL);
    grant(A, "guest");
    redis("HSET", "busi:retired", "guest", "77");
    redis("CLIENT", "KILL", "SKIPME", "no");
    for (int i = 0; i < 1000 && (auth_ready(world.auth) || i < 5); i++)
        busi_fiber_sleep(2);
    while (!auth_ready(world.auth))
        busi_fiber_sleep(2);
    for (int i = 0; i < 500 && redis("EXISTS", "busi:retired", NULL, NULL).number == 1; i++)
        busi_fiber_sleep(10);
    expect_roles(token, "guest");
}

Test(role_admin, a_name_that_is_free_again_hides_no_other_role)
{
    run(left_over);
}

/* ---- root ---- */

static enum busi_code block(const char *email)
{
    struct busi_count_reply out;
    int64_t id =
        admin_int(busi_arena_printf(&world.arena, "SELECT id FROM auth.users WHERE email = '%s'", email).ptr);
    begin(&world.call);
    return auth_block_user(world.auth, &world.call, &(struct busi_user_id_request){.user_id = id}, &out);
}

static void last_root(void)
{
    int64_t n, a, b;
    struct busi_str token = new_session(A, &a);
    new_session(B, &b);
    grant(A, "root");
    cr_assert_eq(change(auth_revoke_role, A, "root", &n), BUSI_FAILED_PRECONDITION);
    cr_assert(said("nobody would be root"));
    cr_assert_eq(block(A), BUSI_FAILED_PRECONDITION);
    cr_assert(said("nobody would be root"));
    cr_assert_eq(delete_user(a, &n), BUSI_FAILED_PRECONDITION);
    expect_roles(token, "root");
    grant(B, "root");
    cr_assert_eq(block(A), BUSI_OK);
    cr_assert_eq(block(B), BUSI_FAILED_PRECONDITION);
    cr_assert_eq(delete_user(b, &n), BUSI_FAILED_PRECONDITION); /* one that is blocked does not count */
    cr_assert_eq(delete_user(a, &n), BUSI_OK);
    cr_assert_eq(n, 1);
    cr_assert_eq(delete_role("ROOT", &n), BUSI_FAILED_PRECONDITION);
    cr_assert(said("the role root stays"));
}

Test(role_admin, somebody_is_root_once_there_was_one)
{
    run(last_root);
}

static struct {
    struct busi_call call;
    enum busi_code code;
    const char *user;
    bool done;
} hands[2];

static void take_root(void *arg)
{
    struct busi_count_reply out;
    busi_call_init(&hands[(size_t)arg].call, 1 << 20);
    hands[(size_t)arg].call.until_ms = busi_now_ms() + 10000;
    struct busi_user_role_request in = {.role = BUSI_STR("root"),
                                        .name = busi_str_of(hands[(size_t)arg].user)};
    hands[(size_t)arg].code =
        auth_revoke_role((size_t)arg ? world.other : world.auth, &hands[(size_t)arg].call, &in, &out);
    busi_call_fini(&hands[(size_t)arg].call);
    hands[(size_t)arg].done = true;
}

static void two_roots(void)
{
    new_session(A, NULL);
    new_session(B, NULL);
    join_other();
    grant(A, "root");
    grant(B, "root");
    for (int i = 0; i < 50; i++) {
        for (size_t hand = 0; hand < 2; hand++) {
            hands[hand].user = hand ? B : A;
            hands[hand].done = false;
            cr_assert(busi_fiber_start(world.fibers, take_root, (void *)hand));
        }
        while (!hands[0].done || !hands[1].done)
            busi_fiber_sleep(1);
        cr_assert_eq((hands[0].code == BUSI_OK) + (hands[1].code == BUSI_OK), 1, "%d: %s, %s", i,
                     busi_code_name((int)hands[0].code), busi_code_name((int)hands[1].code));
        cr_assert_eq(hands[0].code == BUSI_OK ? hands[1].code : hands[0].code, BUSI_FAILED_PRECONDITION);
        grant(hands[0].code == BUSI_OK ? A : B, "root");
    }
    part_with_other();
}

Test(role_admin, of_two_who_take_root_from_two_one_is_refused)
{
    run(two_roots);
}

/* ---- the double opt-in ---- */

static void opt_in(void)
{
    struct busi_session_reply session;
    struct busi_sign_up_request in = {.door = BUSI_STR("magic"),
                                      .email = BUSI_STR("bob@example.com"),
                                      .username = BUSI_STR("Bob"),
                                      .password = BUSI_STR("correct horse battery")};
    begin(&world.call);
    cr_assert_eq(auth_sign_up(world.auth, &world.call, &in, &session), BUSI_OK);
    cr_assert(busi_str_eq(session.roles, BUSI_STR("unconfirmed")), "%.*s", BUSI_ARG(session.roles));
    struct busi_str token = keep(session.access_token);
    expect_roles(token, "unconfirmed");
    cr_assert_eq(confirm(admin_text(SECRET), &session), BUSI_OK);
    cr_assert(busi_str_eq(session.roles, BUSI_STR("guest")));
    expect_roles(keep(session.access_token), "guest");
    expect_roles(token, "guest");
}

Test(role_admin, who_confirms_is_a_guest)
{
    run(opt_in);
}

static void by_reset(void)
{
    bob();
    grant("bob@example.com", "unconfirmed");
    grant("bob@example.com", "admin");
    ask(auth_start_reset, "bob@example.com");
    decided();
    struct busi_finish_reset_reply out = {0};
    struct busi_finish_reset_request in = {.door = DOOR,
                                           .secret = admin_text(SECRET),
                                           .password = BUSI_STR("another horse"),
                                           .password_confirm = BUSI_STR("another horse")};
    begin(&world.call);
    cr_assert_eq(auth_finish_reset(world.auth, &world.call, &in, &out), BUSI_OK, "%.*s",
                 BUSI_ARG(world.call.message));
    expect_roles(signed_in("bob", "another horse"), "admin,guest");
}

Test(role_admin, so_is_who_resets_a_password_by_mail)
{
    run(by_reset);
}

static void bob_confirms(void)
{
    struct busi_session_reply session;
    struct busi_str token = bob(); /* of a door whose accounts begin with no role */
    cr_assert_eq(confirm(admin_text(SECRET), &session), BUSI_OK);
    expect_roles(token, "");
}

Test(role_admin, who_had_no_role_gets_none_by_confirming)
{
    run(bob_confirms);
}
