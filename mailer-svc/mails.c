#include "mails.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/table.h"
#include "service/service.h"
#include "statements.h"
#include "store/pg.h"
#include <inttypes.h>
#include <stdio.h>

enum { CONNECT_MS = 5000, ANSWER_MS = 10000, LIST_MOST = 10000, FIBER_BYTES = 64 * 1024, STEP_MS = 10 };
enum { IDS_MAX_BYTES = 256 * 1024, OUTPUT_MAX_BYTES = 16 * 1024 * 1024, COLUMNS = 7 };

/* What was asked for, and the answer. */
struct errand {
    size_t statement; /* MAIL_SQL_x */
    bool changes;     /* retry or forget */
    bool json;
    const char *done; /* "put back" */
    int64_t after;    /* only mails with greater ids */
    int64_t limit;
    char **ids; /* borrowed */
    int n_ids;
    struct busi_loop *loop;
    struct busi_pg *pg;
    int exit_code;
};

/* ---- the command line ---- */

static int misuse(void)
{
    fprintf(stderr, "usage: mails [--state dead|queued|delivered] [--limit N] [--after ID] [--json]\n"
                    "       mails retry ID...\n       mails forget ID...\n");
    return BUSI_EXIT_USAGE;
}

static bool parse_state(const char *text, struct errand *errand)
{
    static const struct {
        const char *name;
        size_t statement;
    } states[] = {{"dead", MAIL_SQL_list_dead},
                  {"queued", MAIL_SQL_list_queued},
                  {"delivered", MAIL_SQL_list_delivered}};
    for (size_t i = 0; i < sizeof(states) / sizeof(states)[0]; i++)
        if (strcmp(states[i].name, text) == 0) {
            errand->statement = states[i].statement;
            return true;
        }
    return false;
}

static bool parse_list(int argc, char **argv, struct errand *errand)
{
    *errand = (struct errand){.statement = MAIL_SQL_list_all, .limit = 100};
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        bool fine = true;
        if (strcmp(argv[i], "--json") == 0) {
            errand->json = true;
            continue;
        }
        if (strcmp(argv[i], "--state") == 0)
            fine = parse_state(value, errand);
        else if (strcmp(argv[i], "--limit") == 0)
            fine = busi_str_int(busi_str_of(value), &errand->limit) && errand->limit >= 1 &&
                   errand->limit <= LIST_MOST;
        else if (strcmp(argv[i], "--after") == 0)
            fine = busi_str_int(busi_str_of(value), &errand->after) && errand->after >= 0;
        else
            fine = false;
        if (!fine)
            return false;
        i++;
    }
    return true;
}

static bool parse(int argc, char **argv, struct errand *errand)
{
    bool retry = argc > 1 && strcmp(argv[1], "retry") == 0;
    if (!retry && (argc < 2 || strcmp(argv[1], "forget") != 0))
        return parse_list(argc, argv, errand);
    *errand = (struct errand){.statement = retry ? MAIL_SQL_retry_dead : MAIL_SQL_forget_dead,
                              .changes = true,
                              .done = retry ? "put back" : "forgotten",
                              .ids = argv + 2,
                              .n_ids = argc - 2};
    int64_t id = 0;
    for (int i = 0; i < errand->n_ids; i++)
        if (!busi_str_int(busi_str_of(errand->ids[i]), &id) || id < 1)
            return false;
    return errand->n_ids > 0;
}

/* ---- lists ---- */

static const char *const heads[COLUMNS] = {"ID", "KIND", "RECIPIENT", "STATE", "ATTEMPTS", "AGE", "REASON"};
static const char *const names[COLUMNS] = {"id",       "kind",        "recipient", "state",
                                           "attempts", "age_seconds", "reason"};
static const bool is_number[COLUMNS] = {[0] = true, [4] = true, [5] = true};

static struct busi_str age(struct busi_arena *arena, int64_t seconds)
{
    static const struct {
        int64_t seconds;
        char unit;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    size_t i = 0;
    while (i < 3 && seconds < 2 * units[i].seconds)
        i++;
    return busi_arena_printf(arena, "%" PRId64 "%c", seconds / units[i].seconds, units[i].unit);
}

static void add_table(struct busi_buf *out, const struct busi_pg_result *result)
{
    struct busi_arena arena;
    struct busi_table table;
    busi_arena_init(&arena, OUTPUT_MAX_BYTES);
    busi_table_init(&table, heads, COLUMNS);
    for (int row = 0; row < result->rows; row++)
        for (int column = 0; column < COLUMNS; column++)
            busi_table_add(&table, column == 5 ? age(&arena, busi_pg_int(result, row, column))
                                   : is_number[column]
                                       ? busi_arena_int(&arena, busi_pg_int(result, row, column))
                                       : busi_pg_value(result, row, column));
    busi_table_write(&table, out);
    out->failed |= table.failed;
    busi_table_fini(&table);
    busi_arena_fini(&arena);
}

static void add_lines(struct busi_buf *out, const struct busi_pg_result *result)
{
    for (int row = 0; row < result->rows; row++) {
        for (int column = 0; column < COLUMNS; column++) {
            busi_buf_printf(out, "%s\"%s\":", column == 0 ? "{" : ",", names[column]);
            if (is_number[column])
                busi_buf_int(out, busi_pg_int(result, row, column));
            else
                busi_buf_json(out, busi_pg_value(result, row, column));
        }
        busi_buf_str(out, BUSI_STR("}\n"));
    }
}

/* ---- changes ---- */

static const char *become(const struct errand *errand, const struct busi_pg_result *result, int64_t id)
{
    enum { ID, EXPIRED };
    for (int row = 0; row < result->rows; row++)
        if (busi_pg_int(result, row, ID) == id)
            return busi_pg_int(result, row, EXPIRED) ? "its link has expired" : errand->done;
    return "is no dead letter";
}

static bool add_changes(struct busi_buf *out, const struct errand *errand,
                        const struct busi_pg_result *result)
{
    bool all = true;
    for (int i = 0; i < errand->n_ids; i++) {
        int64_t id = 0;
        (void)busi_str_int(busi_str_of(errand->ids[i]), &id); /* parse() has read it */
        const char *what = become(errand, result, id);
        busi_buf_printf(out, "%s: %s\n", errand->ids[i], what);
        all &= what == errand->done;
    }
    return all;
}

/* ---- the errand ---- */

static void print(struct errand *errand, const struct busi_pg_result *result)
{
    struct busi_buf out;
    busi_buf_init(&out, OUTPUT_MAX_BYTES);
    if (errand->changes)
        errand->exit_code = add_changes(&out, errand, result) ? BUSI_EXIT_FINE : BUSI_EXIT_FAILED;
    else
        errand->exit_code = BUSI_EXIT_FINE;
    if (!errand->changes && errand->json)
        add_lines(&out, result);
    else if (!errand->changes)
        add_table(&out, result);
    if (out.failed || (out.len > 0 && fwrite(out.ptr, 1, out.len, stdout) != out.len) || fflush(stdout) != 0)
        errand->exit_code = BUSI_EXIT_FAILED;
    busi_buf_fini(&out);
}

static void ask(struct errand *errand)
{
    struct busi_buf ids;
    char a[24], b[24];
    struct busi_pg_result result = {0};
    busi_buf_init(&ids, IDS_MAX_BYTES);
    for (int i = 0; i < errand->n_ids; i++)
        busi_buf_printf(&ids, "%c%s", i == 0 ? '{' : ',', errand->ids[i]);
    busi_buf_char(&ids, '}');
    const struct busi_str changes[] = {{ids.ptr, ids.len}};
    const struct busi_str list[] = {{a, (size_t)snprintf(a, sizeof(a), "%" PRId64, errand->after)},
                                    {b, (size_t)snprintf(b, sizeof(b), "%" PRId64, errand->limit)}};
    enum busi_code code = ids.failed
                              ? BUSI_INVALID_ARGUMENT
                              : busi_pg_run(errand->pg, errand->statement, errand->changes ? changes : list,
                                            busi_now_ms() + ANSWER_MS, &result);
    if (code == BUSI_OK)
        print(errand, &result);
    else
        fprintf(stderr, "the database did not answer: %s\n", busi_code_name((int)code));
    busi_pg_clear(&result);
    busi_buf_fini(&ids);
}

static void run(void *arg)
{
    struct errand *errand = arg;
    for (int64_t until = busi_now_ms() + CONNECT_MS; !busi_pg_ready(errand->pg);) {
        if (busi_now_ms() >= until) {
            fprintf(stderr, "cannot connect to the database of BUSI_MAILER_DATABASE\n");
            busi_loop_stop(errand->loop);
            return;
        }
        busi_fiber_sleep(STEP_MS);
    }
    ask(errand);
    busi_loop_stop(errand->loop);
}

int mailer_mails(const struct busi_settings *settings, int argc, char **argv)
{
    struct errand errand;
    if (!parse(argc, argv, &errand))
        return misuse();
    if (settings->mailer_database.len == 0) {
        fprintf(stderr, "BUSI_MAILER_DATABASE: must name the database\n");
        return BUSI_EXIT_CONFIG;
    }
    busi_log_init("mailer-svc", BUSI_WARN); /* that a connection was made is no news to a person */
    errand.exit_code = BUSI_EXIT_FAILED;
    errand.loop = busi_loop_new();
    struct busi_fibers *fibers = errand.loop ? busi_fibers_new(errand.loop, 1, FIBER_BYTES) : NULL;
    errand.pg =
        fibers ? busi_pg_new(errand.loop, &(struct busi_pg_options){.conninfo = settings->mailer_database,
                                                                    .application = "mailer-svc mails",
                                                                    .statements = mail_statements,
                                                                    .n_statements = MAIL_SQL_COUNT,
                                                                    .connections = 2,
                                                                    .statement_timeout_ms = ANSWER_MS})
               : NULL;
    if (errand.pg && busi_fiber_start(fibers, run, &errand))
        busi_loop_run(errand.loop);
    busi_pg_free(&errand.pg);
    if (fibers)
        busi_fibers_free(&fibers);
    busi_loop_free(&errand.loop);
    busi_log_fini();
    return errand.exit_code;
}
