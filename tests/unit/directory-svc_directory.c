#include "directory.h"

#include "business.h"
#include "database.h"
#include "postgres_admin.h"
#include "store/migrate.h"

/* The schema's name is fixed, so tests take turns on it. */
static struct {
    struct busi_loop *loop;
    struct busi_fibers *fibers;
    struct directory *directory;
    PGconn *admin;
    void (*body)(void);
    struct busi_call call;
    char conninfo[512];
} world;

static void admin(const char *sql)
{
    postgres_run(world.admin, sql);
}

static int command(int (*run)(const struct busi_settings *, int, char **), const char *argument)
{
    char *argv[] = {(char *)"command", (char *)argument, NULL};
    struct busi_settings settings = {.migrate_database = busi_str_of(world.conninfo)};
    return run(&settings, argument ? 2 : 1, argv);
}

static void set_up(void)
{
    snprintf(world.conninfo, sizeof world.conninfo, "%s", must_have("BUSI_TEST_POSTGRES"));
    world.admin = postgres_open();
    admin("SELECT pg_advisory_lock(4711)");
    admin("DO $$ BEGIN CREATE ROLE busi_directory; EXCEPTION WHEN duplicate_object THEN NULL; END $$");
    admin("DROP SCHEMA IF EXISTS directory CASCADE; CREATE SCHEMA directory");
}

static void tear_down(void)
{
    PQfinish(world.admin);
}

TestSuite(directory, .init = set_up, .fini = tear_down, .timeout = 60);

static void run_in_world(void *arg)
{
    (void)arg;
    for (int i = 0; i < 1000 && !directory_ready(world.directory); i++)
        busi_fiber_sleep(5);
    cr_assert(directory_ready(world.directory));
    world.body();
    busi_loop_stop(world.loop);
}

/* On a fiber, as the run-time role, with a migrated schema. */
static void run(void (*body)(void))
{
    char restricted[600];
    cr_assert_eq(command(directory_migrate, NULL), 0);
    snprintf(restricted, sizeof restricted, "%s options='-c role=busi_directory'", world.conninfo);
    world.body = body;
    world.loop = busi_loop_new();
    world.fibers = busi_fibers_new(world.loop, 256, 256 * 1024);
    world.directory = directory_new(
        world.loop, &(struct directory_options){
                        .database = busi_str_of(restricted), .connections = 3, .statement_timeout_ms = 2000});
    cr_assert(world.directory);
    cr_assert(busi_fiber_start(world.fibers, run_in_world, NULL));
    busi_loop_run(world.loop);
    directory_free(&world.directory);
    busi_fibers_free(&world.fibers);
    busi_loop_free(&world.loop);
}

/* Each call anew, on behalf of user 7. */
static struct busi_call *new_call(void)
{
    busi_call_fini(&world.call);
    busi_call_init(&world.call, 8 << 20);
    world.call.until_ms = busi_now_ms() + 3000;
    world.call.user_id = 7;
    return &world.call;
}

static enum busi_code create(const char *name, const char *description, const char *tag,
                             struct busi_business *out)
{
    struct busi_write_business_request in = {
        .name = busi_str_of(name), .description = busi_str_of(description), .tag = busi_str_of(tag)};
    *out = (struct busi_business){0};
    return directory_create_business(world.directory, new_call(), &in, out);
}

static enum busi_code update(int64_t id, const char *name, const char *description, const char *tag,
                             struct busi_business *out)
{
    struct busi_write_business_request in = {.id = id,
                                             .name = busi_str_of(name),
                                             .description = busi_str_of(description),
                                             .tag = busi_str_of(tag)};
    *out = (struct busi_business){0};
    return directory_update_business(world.directory, new_call(), &in, out);
}

static enum busi_code get(int64_t id, struct busi_business *out)
{
    *out = (struct busi_business){0};
    return directory_get_business(world.directory, new_call(), &(struct busi_business_id_request){.id = id},
                                  out);
}

static enum busi_code list(int64_t after, int64_t limit, struct busi_list_businesses_reply *out)
{
    *out = (struct busi_list_businesses_reply){0};
    return directory_list_businesses(
        world.directory, new_call(),
        &(struct busi_list_businesses_request){.after_id = after, .limit = limit}, out);
}

#define EXPECT_TEXT(actual, expected)                                                                        \
    cr_assert(busi_str_eq((actual), busi_str_of(expected)), "%.*s is not %s", BUSI_ARG(actual), expected)

static void expect_violation(size_t i, const char *field, enum busi_rule rule, int64_t limit)
{
    const struct busi_violation *violation = &world.call.violations[i];
    cr_assert_lt(i, world.call.n_violations, "violation %zu is missing", i);
    EXPECT_TEXT(violation->field, field);
    cr_assert_eq(violation->rule, rule);
    cr_assert_eq(violation->limit, limit);
}

static enum busi_code create_once(const char *key, const char *name, struct busi_business *out)
{
    struct busi_call *call = new_call();
    const struct busi_write_business_request in = {
        .name = busi_str_of(name), .description = BUSI_STR("made once"), .tag = BUSI_STR("x")};
    call->idempotency_key = busi_str_of(key);
    *out = (struct busi_business){0};
    return directory_create_business(world.directory, call, &in, out);
}

static void a_key_is_forgotten_after_a_day(void)
{
    struct busi_business first, again;
    cr_assert_eq(create_once("old", "A", &first), BUSI_OK);
    admin("UPDATE directory.idempotency_keys SET inserted_at = now() - interval '23 hours'");
    cr_assert_eq(create_once("one", "A", &again), BUSI_OK);
    cr_assert_eq(create_once("old", "B", &again), BUSI_INVALID_ARGUMENT);
    expect_violation(0, "idempotency_key", BUSI_RULE_TAKEN, 0);
    admin(
        "UPDATE directory.idempotency_keys SET inserted_at = now() - interval '25 hours' WHERE key = 'old'");
    cr_assert_eq(create_once("two", "A", &again), BUSI_OK);
    cr_assert_eq(create_once("old", "A", &again), BUSI_OK);
    cr_assert(!again.replayed);
    cr_assert_neq(again.id, first.id);
    cr_assert_eq(create_once("one", "A", &again), BUSI_OK);
    cr_assert(again.replayed);
}

Test(directory, keys_of_creations)
{
    run(a_key_is_forgotten_after_a_day);
}

static void a_record_lives(void)
{
    struct busi_business made, found;
    cr_assert_eq(create("Caf\xC3\xA9 'DROP", "Short description ...", "IT, Software", &made), BUSI_OK);
    EXPECT_TEXT(made.name, "Caf\xC3\xA9 'DROP");
    cr_assert_eq(made.created_by, 7);
    char date[32];
    snprintf(date, sizeof date, "%.*s", BUSI_ARG(made.date));
    int64_t id = made.id;
    PGresult *expected = PQexec(world.admin, "SELECT to_char(inserted_at AT TIME ZONE 'UTC',"
                                             " 'YYYY-MM-DD HH24:MI:SS.US') FROM directory.businesses");
    cr_assert_str_eq(date, PQgetvalue(expected, 0, 0));
    PQclear(expected);
    cr_assert_eq(get(id, &found), BUSI_OK);
    EXPECT_TEXT(found.name, "Caf\xC3\xA9 'DROP");
    EXPECT_TEXT(found.description, "Short description ...");
    EXPECT_TEXT(found.tag, "IT, Software");
    EXPECT_TEXT(found.date, date);
    cr_assert_eq(update(id, NULL, NULL, "Marketing", &found), BUSI_OK);
    EXPECT_TEXT(found.name, "Caf\xC3\xA9 'DROP");
    EXPECT_TEXT(found.tag, "Marketing");
    EXPECT_TEXT(found.date, date);
    cr_assert_eq(update(id, NULL, NULL, NULL, &found), BUSI_OK, "nothing to change");
    EXPECT_TEXT(found.tag, "Marketing");
    struct busi_business_id_request request = {.id = id};
    struct busi_empty nothing;
    cr_assert_eq(directory_delete_business(world.directory, new_call(), &request, &nothing), BUSI_OK);
    cr_assert_eq(directory_delete_business(world.directory, new_call(), &request, &nothing), BUSI_NOT_FOUND);
    cr_assert_eq(get(id, &found), BUSI_NOT_FOUND);
    cr_assert_eq(update(id, NULL, NULL, "Marketing", &found), BUSI_NOT_FOUND);
    cr_assert_eq(update(id, NULL, NULL, "", &found), BUSI_NOT_FOUND, "told before what is wrong with it");
    cr_assert_eq(get(INT64_MIN, &found), BUSI_NOT_FOUND);
}

Test(directory, a_record_lives)
{
    run(a_record_lives);
}

static char *repeat(const char *text, size_t n)
{
    size_t len = strlen(text);
    char *out = malloc(n * len + 1);
    for (size_t i = 0; i < n; i++)
        memcpy(out + i * len, text, len);
    out[n * len] = '\0';
    return out;
}

static void what_is_refused(void)
{
    struct busi_business out, made;
    cr_assert_eq(create(NULL, "", " \t\n\xC2\xA0\xE2\x80\x83\xE3\x80\x80", &out), BUSI_INVALID_ARGUMENT);
    cr_assert_eq(world.call.n_violations, 3);
    expect_violation(0, "name", BUSI_RULE_BLANK, 0);
    expect_violation(1, "description", BUSI_RULE_BLANK, 0);
    expect_violation(2, "tag", BUSI_RULE_BLANK, 0);
    char *name255 = repeat("\xC3\xA9", 255), *name256 = repeat("\xC3\xA9", 256);
    char *text65536 = repeat("\xF0\x9F\x98\x80", 65536), *text65537 = repeat("x", 65537);
    cr_assert_eq(create(name255, text65536, name255, &made), BUSI_OK, "limits are in characters");
    int64_t id = made.id;
    cr_assert_eq(made.description.len, 65536 * 4);
    cr_assert_eq(create(name256, text65537, name256, &out), BUSI_INVALID_ARGUMENT);
    cr_assert_eq(world.call.n_violations, 3);
    expect_violation(0, "name", BUSI_RULE_TOO_LONG, 255);
    expect_violation(1, "description", BUSI_RULE_TOO_LONG, 65536);
    expect_violation(2, "tag", BUSI_RULE_TOO_LONG, 255);
    cr_assert_eq(update(id, NULL, "", NULL, &out), BUSI_INVALID_ARGUMENT);
    cr_assert_eq(world.call.n_violations, 1);
    expect_violation(0, "description", BUSI_RULE_BLANK, 0);
    cr_assert_eq(get(id, &out), BUSI_OK);
    cr_assert_eq(out.description.len, 65536 * 4, "still what it was");
    free(name255);
    free(name256);
    free(text65536);
    free(text65537);
}

Test(directory, what_is_refused)
{
    run(what_is_refused);
}

static void only_users_write(void)
{
    struct busi_write_business_request in = {
        .id = 1, .name = BUSI_STR("a"), .description = BUSI_STR("b"), .tag = BUSI_STR("c")};
    struct busi_business_id_request id = {.id = 1};
    struct busi_business out;
    struct busi_empty nothing;
    struct busi_call *call = new_call();
    call->user_id = 0;
    cr_assert_eq(directory_create_business(world.directory, call, &in, &out), BUSI_UNAUTHENTICATED);
    cr_assert_eq(directory_update_business(world.directory, call, &in, &out), BUSI_UNAUTHENTICATED);
    cr_assert_eq(directory_delete_business(world.directory, call, &id, &nothing), BUSI_UNAUTHENTICATED);
}

Test(directory, only_users_write)
{
    run(only_users_write);
}

static enum busi_code update_of(int64_t owner_id, int64_t id, const char *tag)
{
    struct busi_write_business_request in = {.id = id, .tag = busi_str_of(tag), .owner_id = owner_id};
    struct busi_business out = {0};
    return directory_update_business(world.directory, new_call(), &in, &out);
}

static enum busi_code delete_of(int64_t owner_id, int64_t id)
{
    struct busi_empty nothing;
    return directory_delete_business(world.directory, new_call(),
                                     &(struct busi_business_id_request){.id = id, .owner_id = owner_id},
                                     &nothing);
}

static void only_the_owner(void)
{
    struct busi_business made, found;
    cr_assert_eq(create("a", "b", "c", &made), BUSI_OK);
    const int64_t id = made.id;
    cr_assert_eq(update_of(8, id, "x"), BUSI_PERMISSION_DENIED);
    cr_assert_eq(update_of(8, id, ""), BUSI_PERMISSION_DENIED, "told before what is wrong with it");
    cr_assert_eq(update_of(8, id, NULL), BUSI_PERMISSION_DENIED);
    cr_assert_eq(delete_of(8, id), BUSI_PERMISSION_DENIED);
    cr_assert_eq(get(id, &found), BUSI_OK);
    EXPECT_TEXT(found.tag, "c");
    cr_assert_eq(update_of(7, id, "x"), BUSI_OK);
    cr_assert_eq(update_of(7, id, NULL), BUSI_OK);
    cr_assert_eq(update_of(0, id, "y"), BUSI_OK, "anybody's");
    cr_assert_eq(update_of(7, id + 1, "x"), BUSI_NOT_FOUND);
    cr_assert_eq(delete_of(7, id + 1), BUSI_NOT_FOUND);
    cr_assert_eq(delete_of(7, id), BUSI_OK);
    cr_assert_eq(delete_of(7, id), BUSI_NOT_FOUND);
    cr_assert_eq(update_of(8, id, "x"), BUSI_NOT_FOUND);
}

Test(directory, only_the_owner)
{
    run(only_the_owner);
}

static void lists_in_pages(void)
{
    struct busi_list_businesses_reply page;
    cr_assert_eq(list(0, 0, &page), BUSI_OK);
    cr_assert_eq(page.businesses.n, 0);
    cr_assert_eq(page.next_after_id, 0);
    admin("INSERT INTO directory.businesses(name, description, tag, created_by)"
          " SELECT 'Company ' || g, 'Short description ...', 'IT', 1 FROM generate_series(1, 1005) AS g");
    cr_assert_eq(list(0, 0, &page), BUSI_OK);
    cr_assert_eq(page.businesses.n, 1000);
    EXPECT_TEXT(page.businesses.items[0].name, "Company 1");
    EXPECT_TEXT(page.businesses.items[999].name, "Company 1000");
    cr_assert_eq(page.next_after_id, 1000);
    cr_assert_eq(list(page.next_after_id, 0, &page), BUSI_OK);
    cr_assert_eq(page.businesses.n, 5);
    cr_assert_eq(page.next_after_id, 0);
    cr_assert_eq(list(3, 2, &page), BUSI_OK);
    cr_assert_eq(page.businesses.n, 2);
    EXPECT_TEXT(page.businesses.items[0].name, "Company 4");
    cr_assert_eq(page.next_after_id, 5);
    cr_assert_eq(list(1003, 2, &page), BUSI_OK);
    cr_assert_eq(page.next_after_id, 0, "just as many as asked for");
}

Test(directory, lists_in_pages)
{
    run(lists_in_pages);
}

/* Walks all pages; every row once, no page much over a MiB. */
static void long_texts_make_short_pages(void)
{
    struct busi_list_businesses_reply page;
    int64_t after = 0, rows = 0, pages = 0;
    admin("INSERT INTO directory.businesses(name, description, tag, created_by)"
          " SELECT 'Company ' || g, repeat('x', CASE WHEN g % 3 = 0 THEN 65536 ELSE 10 END), 'IT', 1"
          " FROM generate_series(1, 100) AS g");
    do {
        size_t bytes = 0;
        cr_assert_eq(list(after, 0, &page), BUSI_OK);
        for (size_t i = 0; i < page.businesses.n; i++) {
            const struct busi_business *row = &page.businesses.items[i];
            bytes += row->name.len + row->description.len + row->tag.len;
            cr_assert_eq(row->id, ++rows);
            cr_assert_eq(row->description.len, rows % 3 == 0 ? 65536 : 10);
        }
        cr_assert_lt(bytes, (1 << 20) + 70000);
        after = page.next_after_id;
        pages++;
    } while (after);
    cr_assert_eq(rows, 100);
    cr_assert_eq(pages, 3);
}

Test(directory, long_texts_make_short_pages)
{
    run(long_texts_make_short_pages);
}

static int64_t count(const char *sql)
{
    PGresult *result = PQexec(world.admin, sql);
    cr_assert_eq(PQresultStatus(result), PGRES_TUPLES_OK, "%s", PQerrorMessage(world.admin));
    int64_t number = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    PQclear(result);
    return number;
}

Test(directory, migrates_and_seeds_once)
{
    cr_assert_eq(command(directory_migrate, "--status"), 3, "pending");
    cr_assert_eq(command(directory_migrate, NULL), 0);
    cr_assert_eq(command(directory_migrate, NULL), 0);
    cr_assert_eq(command(directory_migrate, "--status"), 0);
    cr_assert_eq(command(directory_migrate, "--nonsense"), 2);
    cr_assert_eq(command(directory_seed, NULL), 0);
    cr_assert_eq(command(directory_seed, NULL), 0);
    cr_assert_eq(count("SELECT count(*) FROM directory.businesses"), 3);
    cr_assert_eq(count("SELECT count(*) FROM directory.businesses WHERE id = 1 AND name = 'Company 1'"
                       " AND tag = 'IT, Software' AND description = 'Short description ...'"),
                 1);
    admin("UPDATE directory.migrations SET sha256 = 'other'");
    cr_assert_eq(command(directory_migrate, NULL), 1, "a text that changed");
    cr_assert_eq(command(directory_migrate, "--status"), 1);
    world.conninfo[0] = '\0';
    cr_assert_eq(command(directory_migrate, NULL), 78);
    cr_assert_eq(command(directory_seed, NULL), 78);
}

Test(directory, the_service_cannot_change_the_schema)
{
    cr_assert_eq(command(directory_migrate, NULL), 0);
    admin("SET ROLE busi_directory");
    const char *const refused[] = {"DROP TABLE directory.businesses", "TRUNCATE directory.businesses",
                                   "UPDATE directory.businesses SET created_by = 1",
                                   "SELECT * FROM directory.migrations",
                                   "CREATE TABLE directory.mine(id int)"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        PGresult *result = PQexec(world.admin, refused[i]);
        cr_assert_str_eq(PQresultErrorField(result, PG_DIAG_SQLSTATE), "42501", "%s", refused[i]);
        PQclear(result);
    }
}
