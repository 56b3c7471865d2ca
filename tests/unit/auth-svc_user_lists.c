/* Lists of accounts, what else is known of them, and what programs of clients keep a record of. */
#include "auth-svc_accounts_kit.h"

TestSuite(user_lists, .init = set_up, .fini = tear_down, .timeout = 60);

#define IS(text, literal) busi_str_eq(text, BUSI_STR(literal))
#define TEXT(...) busi_arena_printf(&world.arena, __VA_ARGS__)
#define LIST(...) list((struct busi_list_users_request){__VA_ARGS__})
#define COUNT(...) count((struct busi_list_users_request){__VA_ARGS__})

static struct busi_list_users_reply users;

/* The numbers of those listed, as "3 1 2". */
static struct busi_str list(struct busi_list_users_request in)
{
    struct busi_str text = BUSI_STR("");
    users = (struct busi_list_users_reply){0};
    begin(&world.call);
    busi_call_init(&world.call, 16 << 20); /* as the server's */
    world.call.until_ms = busi_now_ms() + 20000;
    enum busi_code code = auth_list_users(world.auth, &world.call, &in, &users);
    if (code != BUSI_OK)
        return busi_str_of(busi_code_name((int)code));
    for (size_t i = 0; i < users.users.n; i++)
        text = TEXT("%.*s%s%lld", BUSI_ARG(text), i ? " " : "", (long long)users.users.items[i].user_id);
    return text;
}

static int64_t count(struct busi_list_users_request in)
{
    struct busi_count_reply out = {0};
    begin(&world.call);
    cr_assert_eq(auth_count_users(world.auth, &world.call, &in, &out), BUSI_OK);
    return out.count;
}

/* 1 ann, 2 Bob without an address, 3 carl_x who is blocked, 4 without a user name. Each an hour younger. */
static void four(void)
{
    admin(
        "INSERT INTO auth.users(email, email_key, username, username_key, confirmed_at, blocked_at, "
        "inserted_at,"
        " password_hash) VALUES"
        " ('z@example.com', 'z@example.com', 'ann', 'ann', now(), NULL, '2026-01-01 00:00:00Z', 'secret'),"
        " (NULL, NULL, 'Bob', 'bob', now(), NULL, '2026-01-01 01:00:00Z', 'secret'),"
        " ('C@other.net', 'c@other.net', 'carl_x', 'carl_x', NULL, now(), '2026-01-01 02:00:00Z', 'secret'),"
        " ('d@example.com', 'd@example.com', NULL, NULL, NULL, NULL, '2026-01-01 03:00:00.000001Z', NULL);"
        "INSERT INTO auth.users_roles SELECT 2, id FROM auth.roles WHERE name IN ('root', 'guest');"
        "INSERT INTO auth.users_roles SELECT 3, id FROM auth.roles WHERE name = 'guest'");
}

enum { NEW_YEAR_S = 1767225600 };
#define AT(hour) (INT64_C(1000000) * NEW_YEAR_S + (hour)*INT64_C(3600000000))

static void filtered(void)
{
    four();
    cr_expect(IS(LIST(.limit = 0), "1 2 3 4"));
    cr_expect(!users.more);
    cr_expect(IS(LIST(.username = BUSI_STR("BOB")), "2"));
    cr_expect(IS(LIST(.username = BUSI_STR("bo")), ""));
    cr_expect(IS(LIST(.username = BUSI_STR("no name at all")), ""));
    cr_expect(IS(LIST(.username = BUSI_STR("' OR 1=1 --")), ""));
    cr_expect(IS(LIST(.username_like = BUSI_STR("B%")), "2"));
    cr_expect(IS(LIST(.username_like = BUSI_STR("%N%")), "1"));
    cr_expect(IS(LIST(.username_like = BUSI_STR("_o_")), "2"));
    cr_expect(IS(LIST(.username_like = BUSI_STR("carl\\_%")), "3"));
    cr_expect(IS(LIST(.username_like = BUSI_STR("")), ""));
    cr_expect(IS(LIST(.email = BUSI_STR("c@OTHER.net")), "3"));
    cr_expect(IS(LIST(.email_like = BUSI_STR("%@example.com")), "1 4"));
    cr_expect(IS(LIST(.user_id = 4), "4"));
    cr_expect(IS(LIST(.user_id = 99), ""));
    cr_expect(IS(LIST(.role = BUSI_STR("GUEST")), "2 3"));
    cr_expect(IS(LIST(.role = BUSI_STR("none")), ""));
    cr_expect(IS(LIST(.role = BUSI_STR("guest"), .blocked = true), "3"));
    cr_expect(IS(LIST(.blocked = true), "3"));
    cr_expect(IS(LIST(.unconfirmed = true), "3 4"));
    cr_expect(IS(LIST(.created_from = AT(1)), "2 3 4")); /* inclusive */
    cr_expect(IS(LIST(.created_until = AT(1)), "1"));    /* exclusive */
    cr_expect(IS(LIST(.created_from = AT(1) + 1, .created_until = AT(3) + 1), "3"));
    cr_expect(IS(LIST(.created_from = AT(3) + 1), "4")); /* to the microsecond */
    cr_expect(IS(LIST(.created_from = AT(3) + 2), ""));
    cr_expect_eq(COUNT(.limit = 1), 4);
    cr_expect_eq(COUNT(.role = BUSI_STR("guest")), 2);
    cr_expect_eq(COUNT(.username_like = BUSI_STR("%"), .created_from = AT(2)), 1);
}

Test(user_lists, hold_those_who_meet_every_filter)
{
    run(filtered);
}

static void sorted(void)
{
    four();
    cr_expect(IS(LIST(.descending = true), "4 3 2 1"));
    cr_expect(IS(LIST(.order = BUSI_STR("username")), "1 2 3 4"));
    cr_expect(IS(LIST(.order = BUSI_STR("username"), .descending = true), "4 3 2 1"));
    cr_expect(IS(LIST(.order = BUSI_STR("email")), "3 4 1 2"));
    cr_expect(IS(LIST(.order = BUSI_STR("email"), .descending = true), "2 1 4 3"));
    cr_expect(IS(LIST(.order = BUSI_STR("created_at")), "1 2 3 4"));
    cr_expect(IS(LIST(.order = BUSI_STR("created_at"), .descending = true), "4 3 2 1"));
    cr_expect(IS(LIST(.limit = 2), "1 2"));
    cr_expect(users.more);
    cr_expect(IS(LIST(.limit = 2, .offset = 2), "3 4"));
    cr_expect_not(users.more);
    cr_expect(IS(LIST(.limit = 2, .offset = 4), ""));
    cr_expect(IS(LIST(.offset = INT64_MAX), ""));
    static const char *const wrong[] = {"", "id", "password_hash", "username; DROP TABLE auth.users",
                                        "username desc"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        cr_expect(IS(LIST(.order = busi_str_of(wrong[i])), "INVALID_ARGUMENT"), "%s", wrong[i]);
        cr_expect(violates("order", BUSI_RULE_INVALID, 0));
    }
    cr_expect(IS(LIST(.limit = -1), "INVALID_ARGUMENT"));
    cr_expect(violates("limit", BUSI_RULE_INVALID, 0));
    cr_expect(IS(LIST(.offset = -1), "INVALID_ARGUMENT"));
    cr_expect(violates("offset", BUSI_RULE_INVALID, 0));
    cr_expect(IS(LIST(.username_like = BUSI_STR("a\\")), "INVALID_ARGUMENT"));
    cr_expect(violates("username_like", BUSI_RULE_FORMAT, 0));
    cr_expect(IS(LIST(.email_like = BUSI_STR("\\\\")), "")); /* an escaped one */
}

Test(user_lists, are_sorted_by_what_they_know_and_cut)
{
    run(sorted);
}

static void whole(void)
{
    four();
    admin(
        "INSERT INTO auth.users_extra VALUES (2, 'name', 'Bob B.'), (2, 'email', 'b@b.co'), (4, 'name', '')");
    LIST(.order = BUSI_STR("created_at"), .descending = true);
    const struct busi_account *account = &users.users.items[2];
    cr_expect(IS(account->username, "Bob") && !account->email.ptr && IS(account->roles, "guest,root"));
    cr_expect(account->email_confirmed && !account->blocked && account->created_at == AT(1));
    cr_assert_eq(account->extras.n, 2);
    cr_expect(IS(account->extras.items[0].type, "email") && IS(account->extras.items[0].value, "b@b.co"));
    cr_expect(IS(account->extras.items[1].type, "name") && IS(account->extras.items[1].value, "Bob B."));
    cr_expect_eq(users.users.items[1].extras.n, 0);
    cr_assert_eq(users.users.items[0].extras.n, 1);
    cr_expect(users.users.items[0].extras.items[0].value.ptr &&
              users.users.items[0].extras.items[0].value.len == 0);
}

Test(user_lists, say_all_that_is_known_of_an_account)
{
    run(whole);
}

/* What fits no answer is for the next one: nobody is left out, nobody comes twice. */
static void many(void)
{
    admin("INSERT INTO auth.users(email, email_key, meta) SELECT e, e, '{\"x\":\"' || repeat('y', 4000) || "
          "'\"}' FROM"
          " (SELECT 'u' || n || '@b.co' AS e FROM generate_series(1, 1500) AS n) AS t;"
          "INSERT INTO auth.users_extra SELECT id, 'type' || n, repeat('v', 1024) FROM auth.users,"
          " generate_series(1, 2) AS n");
    int64_t got = 0, pages = 0;
    do {
        LIST(.limit = 1000, .offset = got);
        cr_assert_gt(users.users.n, 0);
        for (size_t i = 0; i < users.users.n; i++)
            cr_assert(users.users.items[i].user_id == ++got && users.users.items[i].extras.n == 2);
        pages++;
    } while (users.more);
    cr_expect_eq(got, 1500);
    cr_expect(pages >= 3 && pages <= 5, "%lld", (long long)pages);
}

Test(user_lists, go_on_where_an_answer_was_full)
{
    run(many);
}

/* ---- extras ---- */

static int64_t met; /* by the last update or deletion */

static struct busi_user_extra_request extra(const char *name, const char *type, const char *value)
{
    return (struct busi_user_extra_request){
        .name = busi_str_of(name), .type = busi_str_of(type), .value = busi_str_of(value)};
}

static enum busi_code create_extra(const char *name, const char *type, const char *value)
{
    struct busi_empty out;
    struct busi_user_extra_request in = extra(name, type, value);
    begin(&world.call);
    return auth_create_user_extra(world.auth, &world.call, &in, &out);
}

static enum busi_code update_extra(const char *name, const char *type, const char *value)
{
    struct busi_count_reply out = {0};
    struct busi_user_extra_request in = extra(name, type, value);
    begin(&world.call);
    enum busi_code code = auth_update_user_extra(world.auth, &world.call, &in, &out);
    met = out.count;
    return code;
}

static enum busi_code delete_extra(const char *name, const char *type)
{
    struct busi_count_reply out = {0};
    struct busi_user_extra_request in = extra(name, type, NULL);
    begin(&world.call);
    enum busi_code code = auth_delete_user_extra(world.auth, &world.call, &in, &out);
    met = out.count;
    return code;
}

static struct busi_str list_extras(struct busi_list_user_extra_request in)
{
    struct busi_list_user_extra_reply out = {0};
    struct busi_count_reply n = {0};
    struct busi_str text = BUSI_STR("");
    begin(&world.call);
    enum busi_code code = auth_list_user_extra(world.auth, &world.call, &in, &out);
    if (code != BUSI_OK)
        return busi_str_of(busi_code_name((int)code));
    for (size_t i = 0; i < out.extras.n; i++)
        text =
            TEXT("%.*s%s%.*s.%.*s=%.*s", BUSI_ARG(text), i ? " " : "", BUSI_ARG(out.extras.items[i].username),
                 BUSI_ARG(out.extras.items[i].type), BUSI_ARG(out.extras.items[i].value));
    cr_assert_eq(auth_count_user_extra(world.auth, &world.call, &in, &n), BUSI_OK);
    cr_assert(in.limit || in.offset || n.count == (int64_t)out.extras.n);
    return text;
}

#define EXTRAS(...) list_extras((struct busi_list_user_extra_request){__VA_ARGS__})

static void extras(void)
{
    four();
    cr_expect_eq(create_extra("ANN", "name", "Ann A."), BUSI_OK);
    cr_expect_eq(create_extra("c@other.net", "name", "Carl"), BUSI_OK);
    cr_expect_eq(create_extra("ann", "phone", "1 2 3"), BUSI_OK);
    cr_expect_eq(create_extra("ann", "name", "again"), BUSI_ALREADY_EXISTS);
    cr_expect_eq(create_extra("nobody", "name", "x"), BUSI_NOT_FOUND);
    cr_expect(said("no such user"));
    cr_expect_eq(create_extra(NULL, "name", "x"), BUSI_NOT_FOUND); /* nobody is named */
    cr_expect_eq(create_extra("ann", "", "x"), BUSI_INVALID_ARGUMENT);
    cr_expect(violates("type", BUSI_RULE_BLANK, 0));
    cr_expect_eq(create_extra("ann", "na me", "x"), BUSI_INVALID_ARGUMENT);
    cr_expect(violates("type", BUSI_RULE_FORMAT, 0));
    cr_expect_eq(create_extra("ann", TEXT("%065d", 1).ptr, "x"), BUSI_INVALID_ARGUMENT);
    cr_expect(violates("type", BUSI_RULE_TOO_LONG, 64));
    cr_expect_eq(create_extra("ann", "x", NULL), BUSI_INVALID_ARGUMENT);
    cr_expect(violates("value", BUSI_RULE_BLANK, 0));
    cr_expect_eq(create_extra("ann", "x", TEXT("%01025d", 1).ptr), BUSI_INVALID_ARGUMENT);
    cr_expect(violates("value", BUSI_RULE_TOO_LONG, 1024));
    cr_expect(IS(EXTRAS(.limit = 0), "ann.name=Ann A. ann.phone=1 2 3 carl_x.name=Carl"));
    cr_expect(IS(EXTRAS(.descending = true, .limit = 2), "carl_x.name=Carl ann.phone=1 2 3"));
    cr_expect(IS(EXTRAS(.offset = 2), "carl_x.name=Carl"));
    cr_expect(IS(EXTRAS(.name = BUSI_STR("Z@example.com")), "ann.name=Ann A. ann.phone=1 2 3"));
    cr_expect(IS(EXTRAS(.user_id = 3), "carl_x.name=Carl"));
    cr_expect(IS(EXTRAS(.type = BUSI_STR("phone")), "ann.phone=1 2 3"));
    cr_expect(IS(EXTRAS(.value = BUSI_STR("Carl")), "carl_x.name=Carl"));
    cr_expect(IS(EXTRAS(.value_like = BUSI_STR("%A%"), .type = BUSI_STR("name")),
                 "ann.name=Ann A. carl_x.name=Carl"));
    cr_expect(IS(EXTRAS(.value_like = BUSI_STR("\\")), "INVALID_ARGUMENT"));
    cr_expect(update_extra("ann", "name", "Ann B.") == BUSI_OK && met == 1);
    cr_expect(update_extra("ann", "none", "x") == BUSI_OK && met == 0);
    cr_expect_eq(update_extra("nobody", "name", "x"), BUSI_NOT_FOUND);
    cr_expect_eq(update_extra("ann", "name", NULL), BUSI_INVALID_ARGUMENT);
    cr_expect(delete_extra("ann", "phone") == BUSI_OK && met == 1);
    cr_expect(delete_extra("ann", "phone") == BUSI_OK && met == 0);
    cr_expect_eq(delete_extra("nobody", "name"), BUSI_NOT_FOUND);
    cr_expect(IS(EXTRAS(.limit = 0), "ann.name=Ann B. carl_x.name=Carl"));
    int64_t count_;
    cr_expect_eq(delete_user(1, &count_), BUSI_OK);
    cr_expect(IS(EXTRAS(.limit = 0), "carl_x.name=Carl"));
}

Test(user_lists, extras_are_made_changed_found_and_deleted)
{
    run(extras);
}

static void too_many_extras(void)
{
    four();
    for (int i = 0; i < 32; i++)
        cr_assert_eq(create_extra("ann", TEXT("type%d", i).ptr, "x"), BUSI_OK);
    cr_expect_eq(create_extra("ann", "one-more", "x"), BUSI_FAILED_PRECONDITION);
    cr_expect_eq(create_extra("bob", "one-more", "x"), BUSI_OK);
    admin("INSERT INTO auth.users_extra VALUES (1, 'by-hand', '')");
    LIST(.user_id = 1);
    cr_expect_eq(users.users.items[0].extras.n, 32); /* what an answer may hold */
}

Test(user_lists, extras_of_one_account_are_bounded)
{
    run(too_many_extras);
}

/* ---- log entries ---- */

static int64_t log_id;

static enum busi_code write_log(const char *type, const char *content, const char *meta)
{
    struct busi_log_id out = {0};
    struct busi_write_log_request in = {
        .type = busi_str_of(type), .content = busi_str_of(content), .meta = busi_str_of(meta)};
    begin(&world.call);
    world.call.user_id = 7;
    world.call.request_id = BUSI_STR("request-1");
    enum busi_code code = auth_write_log(world.auth, &world.call, &in, &out);
    log_id = out.id;
    return code;
}

static struct busi_str list_log(struct busi_list_log_request in)
{
    struct busi_list_log_reply out = {0};
    struct busi_str text = BUSI_STR("");
    begin(&world.call);
    enum busi_code code = auth_list_log(world.auth, &world.call, &in, &out);
    if (code != BUSI_OK)
        return busi_str_of(busi_code_name((int)code));
    for (size_t i = 0; i < out.entries.n; i++)
        text = TEXT("%.*s%s%.*s", BUSI_ARG(text), i ? "|" : "", BUSI_ARG(out.entries.items[i].content));
    return text;
}

#define LOG(...) list_log((struct busi_list_log_request){__VA_ARGS__})

static void log_entries(void)
{
    struct busi_log_entry entry = {0};
    struct busi_count_reply n = {0};
    cr_expect_eq(write_log("info", "One", "{\"a\":1}"), BUSI_OK);
    int64_t first = log_id;
    cr_expect_eq(write_log("error", "two <b>", NULL), BUSI_OK);
    int64_t second = log_id;
    cr_expect_eq(write_log("fatal", "three", NULL), BUSI_OK);
    cr_expect(IS(LOG(.limit = 0), "three|two <b>|One")); /* the newest first */
    cr_expect(IS(LOG(.limit = 1), "three"));
    cr_expect(IS(LOG(.from = second), "One"));
    cr_expect(IS(LOG(.from = first), ""));
    cr_expect(IS(LOG(.query = BUSI_STR("O")), "two <b>|One"));
    cr_expect(IS(LOG(.query = BUSI_STR("%")), ""));
    cr_expect(IS(LOG(.type = BUSI_STR("error")), "two <b>"));
    cr_expect(IS(LOG(.limit = -1), "INVALID_ARGUMENT"));
    begin(&world.call);
    cr_expect_eq(
        auth_count_log(world.auth, &world.call, &(struct busi_list_log_request){.query = BUSI_STR("O")}, &n),
        BUSI_OK);
    cr_expect_eq(n.count, 2);
    begin(&world.call);
    cr_expect_eq(auth_get_log(world.auth, &world.call, &(struct busi_log_id){.id = first}, &entry), BUSI_OK);
    cr_expect(entry.id == first && IS(entry.type, "info") && IS(entry.content, "One") &&
              IS(entry.meta, "{\"a\":1}"));
    cr_expect(entry.user_id == 7 && IS(entry.request_id, "request-1"));
    cr_expect(entry.created_at > busi_wall_us() - 60000000);
    begin(&world.call);
    cr_expect_eq(auth_get_log(world.auth, &world.call, &(struct busi_log_id){.id = 999}, &entry),
                 BUSI_NOT_FOUND);
}

Test(user_lists, log_entries_are_written_and_found)
{
    run(log_entries);
}

static void wrong_log_entries(void)
{
    cr_expect_eq(write_log("warning", "x", NULL), BUSI_INVALID_ARGUMENT);
    cr_expect(violates("type", BUSI_RULE_INVALID, 0));
    cr_expect_eq(write_log("info", " ", NULL), BUSI_INVALID_ARGUMENT);
    cr_expect(violates("content", BUSI_RULE_BLANK, 0));
    cr_expect_eq(write_log("info", TEXT("%08193d", 1).ptr, NULL), BUSI_INVALID_ARGUMENT);
    cr_expect(violates("content", BUSI_RULE_TOO_LONG, 8192));
    cr_expect_eq(write_log("info", "x", "[1]"), BUSI_INVALID_ARGUMENT);
    cr_expect(violates("meta", BUSI_RULE_INVALID, 0));
    cr_expect_eq(admin_int("SELECT count(*) FROM auth.log_entries"), 0);
    cr_expect_eq(write_log("info", "one", NULL), BUSI_OK);
    cr_expect_eq(write_log("info", "two", NULL), BUSI_OK);
    cr_expect_eq(write_log("info", "three", NULL), BUSI_RESOURCE_EXHAUSTED);
    cr_expect_eq(world.call.quota.limit, 2);
}

Test(user_lists, log_entries_are_bounded)
{
    run_with(wrong_log_entries, (const char *const[]){"BUSI_LIMIT_LOG_ACCOUNT=2/1h", NULL});
}

static void kept_for_a_while(void)
{
    cr_expect_eq(write_log("info", "old", NULL), BUSI_OK);
    admin("UPDATE auth.log_entries SET created_at = now() - interval '2 minutes'");
    cr_expect_eq(write_log("info", "new", NULL), BUSI_OK);
    for (int64_t until_ms = busi_now_ms() + 10000; !IS(LOG(.limit = 0), "new"); busi_fiber_sleep(20)) {
        cr_assert_lt(busi_now_ms(), until_ms, "it is still there");
        world.auth->sweeper.due_ms = 0;
    }
}

Test(user_lists, log_entries_go_when_their_time_is_over)
{
    run_with(kept_for_a_while, (const char *const[]){"BUSI_LOG_ENTRIES_KEEP=1m", NULL});
}
