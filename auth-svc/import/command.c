#include "import/command.h"
#include "audit/audit.h"
#include "commands/command.h"
#include "core/answers.h"
#include "import/batch.h"
#include "import/progress.h"
#include "service/service.h"
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

enum {
    STATEMENT_MS = 30000,
    CALL_BYTES = 4 << 20,
    PATIENCE_MS = 60000, /* with stores that are away */
    PAUSE_MS = 500,
    LINE_MOST_BYTES = 8192
};

#define KIND_TEXT "text"
#define KIND_FLAG "true or false"
#define KIND_TIME "time, as 2018-11-11T07:00:53Z"
#define KIND_OBJECT "JSON object"
#define KIND_NAMES "names, as a list or with commas between"
const char auth_import_details[] =
    "    --dry-run        says what would become of each row, and makes none\n"
    "    --from-line N    leaves out what stands above, as an import that was stopped says it\n"
    "    --csv            records of CSV with a line of names above, as FILE.csv has them; else a JSON "
    "object a line\n"
    "    --refused        tells of refused rows only; else what became of each is a line of JSON on stdout\n"
    "    --allow-root     takes the role root, too\n"
    "    What is known already by external_id or name is left as it is. Fields of a row:\n"
#define IMPORT_FIELD(name, kind) "      " #name ": " KIND_##kind "\n"
#include "import/fields.def"
#undef IMPORT_FIELD
    ;

struct import {
    const char *file; /* NULL: standard input */
    int64_t from_line;
    bool dry, refused_only;
    struct auth_import_rules rules;
    struct auth_import_reader reader;
    struct auth_import_progress progress;
};

/* ---- results ---- */

static void print_entry(struct busi_buf *line, const struct auth_import_entry *entry)
{
    static const char *const results[] = {"pending", "created", "exists", "refused"};
    busi_buf_printf(line, "{\"line\":%lld,\"result\":\"%s\"", (long long)entry->line, results[entry->result]);
    if (entry->user_id)
        busi_buf_printf(line, ",\"user_id\":%lld", (long long)entry->user_id);
    if (entry->reason) {
        busi_buf_str(line, BUSI_STR(",\"reason\":"));
        busi_buf_json(line, busi_str_of(entry->reason));
    }
    busi_buf_str(line, BUSI_STR("}\n"));
}

/* False: nobody reads them any more. */
static bool print_results(const struct import *import, const struct auth_import_batch *batch)
{
    struct busi_buf line;
    bool fine = true;
    busi_buf_init(&line, LINE_MOST_BYTES);
    auth_import_progress_clear(&import->progress);
    for (size_t i = 0; i < batch->n && fine; i++) {
        if (import->refused_only && batch->entries[i].result != AUTH_IMPORT_REFUSED)
            continue;
        busi_buf_clear(&line);
        print_entry(&line, &batch->entries[i]);
        fine = !line.failed && fwrite(line.ptr, 1, line.len, stdout) == line.len;
    }
    busi_buf_fini(&line);
    return fflush(stdout) == 0 && fine;
}

/* ---- the work ---- */

static enum busi_code load_roles(struct auth *auth, struct busi_call *call, struct busi_str *roles)
{
    struct busi_pg_result result;
    enum busi_code code = busi_pg_run(auth->pg, AUTH_ALL_ROLES, NULL, call->until_ms, &result);
    if (code == BUSI_OK) {
        *roles = busi_arena_dup(&call->arena, busi_pg_value(&result, 0, 0));
        code = roles->ptr ? BUSI_OK : auth_no_memory(call);
    }
    busi_pg_clear(&result);
    return code;
}

/* The columns of CSV; they stand before from_line. */
static bool read_header(struct import *import, struct busi_call *call)
{
    struct auth_import_record record;
    if (!import->rules.csv)
        return true;
    const char *why = "is empty";
    if (auth_import_reader_next(&import->reader, &record))
        why = record.refused;
    struct busi_str text = busi_arena_dup(&call->arena, why ? BUSI_STR("") : record.text);
    if (!why)
        why = auth_import_header(call, text, &import->rules);
    if (why)
        fprintf(stderr, "line 1, which names the columns: %s\n", why);
    return !why;
}

static void read_batch(struct import *import, struct auth_import_batch *batch)
{
    struct auth_import_record record;
    struct busi_str text;
    while (!auth_import_batch_full(batch) && auth_import_reader_next(&import->reader, &record)) {
        if (record.line < import->from_line)
            continue;
        struct auth_import_entry *entry = auth_import_batch_add(batch, &record, &text);
        if (!entry)
            return;
        entry->reason = record.refused ? record.refused
                                       : auth_import_read(&batch->call, &import->rules, text, &entry->row);
        if (entry->reason)
            entry->result = AUTH_IMPORT_REFUSED;
    }
}

static enum busi_code store(struct auth *auth, const struct import *import, struct auth_import_batch *batch)
{
    int64_t until_ms = busi_now_ms() + PATIENCE_MS;
    for (;;) {
        enum busi_code code = auth_import_batch_store(auth, batch, import->dry);
        if (code == BUSI_OK || busi_now_ms() > until_ms)
            return code;
        busi_fiber_sleep(PAUSE_MS);
    }
}

static int stopped(const struct import *import, const struct auth_import_batch *batch, const char *why)
{
    auth_import_progress_clear(&import->progress);
    fprintf(stderr, "stopped: %s; go on with --from-line %lld\n", why, (long long)batch->entries[0].line);
    return BUSI_EXIT_FAILED;
}

/* *more: it was a batch. */
static int import_batch(struct auth *auth, struct import *import, bool *more)
{
    struct auth_import_batch batch;
    int exit = BUSI_EXIT_FINE;
    *more = false;
    if (!auth_import_batch_init(&batch)) {
        fprintf(stderr, "out of memory\n");
        return BUSI_EXIT_FAILED;
    }
    read_batch(import, &batch);
    *more = batch.n > 0;
    enum busi_code code = *more ? store(auth, import, &batch) : BUSI_OK;
    if (code != BUSI_OK)
        exit = stopped(import, &batch, busi_code_name((int)code));
    else if (!print_results(import, &batch))
        exit = stopped(import, &batch, "the results cannot be written");
    if (exit == BUSI_EXIT_FINE)
        auth_import_progress_add(&import->progress, &batch, import->reader.consumed);
    auth_import_batch_fini(&batch);
    return exit;
}

/* That it was, beside what it made. */
static void audit(struct auth *auth, const struct import *import)
{
    struct busi_call call;
    auth_command_begin(&call, CALL_BYTES, STATEMENT_MS);
    const struct auth_import_progress *done = &import->progress;
    struct busi_str detail =
        busi_arena_printf(&call.arena, "import-users: %lld created, %lld exist, %lld refused",
                          (long long)done->created, (long long)done->existing, (long long)done->refused);
    enum busi_code code =
        auth_audit(auth, &call, &(struct auth_deed){.event = AUTH_AUDIT_command, .detail = detail});
    if (code != BUSI_OK)
        (void)auth_command_failed(&call, code);
    busi_call_fini(&call);
}

static int import_all(struct auth *auth, struct import *import, struct busi_call *call)
{
    bool more = true;
    int exit = BUSI_EXIT_FINE;
    enum busi_code code = load_roles(auth, call, &import->rules.roles);
    if (code != BUSI_OK)
        return auth_command_failed(call, code);
    if (!read_header(import, call))
        return BUSI_EXIT_FAILED;
    while (more && exit == BUSI_EXIT_FINE)
        exit = import_batch(auth, import, &more);
    auth_import_progress_end(&import->progress, import->dry);
    if (import->reader.fault) {
        fprintf(stderr, "line %lld: cannot be read: %s\n", (long long)import->reader.line,
                import->reader.fault);
        exit = BUSI_EXIT_FAILED;
    }
    if (!import->dry)
        audit(auth, import);
    return exit == BUSI_EXIT_FINE && import->progress.refused > 0 ? BUSI_EXIT_FAILED : exit;
}

static int work(struct auth *auth, void *arg)
{
    struct import *import = arg;
    struct busi_call call;
    auth_command_begin(&call, CALL_BYTES, STATEMENT_MS);
    int exit = import_all(auth, import, &call);
    busi_call_fini(&call);
    return exit;
}

/* ---- what is asked for ---- */

static int misuse(void)
{
    fputs("usage: import-users " AUTH_IMPORT_ARGUMENTS "\n", stderr);
    return BUSI_EXIT_USAGE;
}

static bool read_option(struct import *import, int option)
{
    switch (option) {
    case 'd':
        return import->dry = true;
    case 'f':
        return busi_str_int(busi_str_of(optarg), &import->from_line) && import->from_line > 0;
    case 'c':
        return import->rules.csv = true;
    case 'r':
        return import->refused_only = true;
    case 'a':
        return import->rules.allow_root = true;
    default:
        return false;
    }
}

static bool read_options(struct import *import, int argc, char **argv)
{
    static const struct option options[] = {
        {"dry-run", no_argument, NULL, 'd'},    {"from-line", required_argument, NULL, 'f'},
        {"csv", no_argument, NULL, 'c'},        {"refused", no_argument, NULL, 'r'},
        {"allow-root", no_argument, NULL, 'a'}, {0}};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        if (!read_option(import, option))
            return false;
    if (optind != argc - 1)
        return false;
    size_t len = strlen(argv[optind]);
    import->file = strcmp(argv[optind], "-") == 0 ? NULL : argv[optind];
    import->rules.csv |= len > 4 && strcmp(argv[optind] + len - 4, ".csv") == 0;
    return true;
}

int auth_import_command(const struct busi_settings *settings, int argc, char **argv)
{
    struct busi_settings own = *settings;
    struct import import = {.rules.cost.most_bytes = (size_t)settings->password_stored_memory};
    if (!read_options(&import, argc, argv))
        return misuse();
    int fd = import.file ? open(import.file, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
    if (fd < 0) {
        fprintf(stderr, "%s: %s\n", import.file, strerror(errno));
        return BUSI_EXIT_FAILED;
    }
    own.statement_timeout_ms = STATEMENT_MS; /* one statement is a thousand accounts */
    int exit = BUSI_EXIT_FAILED;
    auth_import_progress_begin(&import.progress, fd);
    if (auth_import_reader_init(&import.reader, fd, import.rules.csv))
        exit = auth_command_run(&own, AUTH_COMMAND_DATABASE, work, &import);
    auth_import_reader_fini(&import.reader);
    if (import.file)
        close(fd);
    return exit;
}
