#include "import/batch.h"
#include "audit/audit.h"
#include "commands/command.h"
#include "core/answers.h"
#include <stddef.h>

enum {
    ARENA_BYTES = 64 * 1024 * 1024,
    ARRAY_MOST_BYTES = 16 * 1024 * 1024,
    STATEMENT_MS = 30000,
    ROUNDS_MOST =
        5 /* a short name that is taken is drawn again; of rows with one name the later come later */
};

bool auth_import_batch_init(struct auth_import_batch *batch)
{
    *batch = (struct auth_import_batch){0};
    auth_command_begin(&batch->call, ARENA_BYTES, STATEMENT_MS);
    batch->entries = busi_arena_array(&batch->call.arena, AUTH_IMPORT_BATCH, sizeof(*batch->entries));
    return batch->entries != NULL;
}

void auth_import_batch_fini(struct auth_import_batch *batch)
{
    busi_call_fini(&batch->call);
}

bool auth_import_batch_full(const struct auth_import_batch *batch)
{
    return batch->n == AUTH_IMPORT_BATCH || batch->call.arena.used > AUTH_IMPORT_BATCH_BYTES;
}

struct auth_import_entry *auth_import_batch_add(struct auth_import_batch *batch,
                                                const struct auth_import_record *record,
                                                struct busi_str *text)
{
    if (batch->n == AUTH_IMPORT_BATCH)
        return NULL;
    *text = busi_arena_dup(&batch->call.arena, record->text.ptr ? record->text : BUSI_STR(""));
    if (!text->ptr)
        return NULL;
    struct auth_import_entry *entry = &batch->entries[batch->n++];
    *entry = (struct auth_import_entry){.line = record->line};
    return entry;
}

/* ---- parameters ---- */

static void put_element(struct busi_buf *array, struct busi_str text)
{
    if (!text.ptr) {
        busi_buf_str(array, BUSI_STR("NULL"));
        return;
    }
    busi_buf_char(array, '"');
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"' || text.ptr[i] == '\\')
            busi_buf_char(array, '\\');
        busi_buf_char(array, text.ptr[i]);
    }
    busi_buf_char(array, '"');
}

/* One text of each, as an array of Postgres. where: its place in an entry. ptr NULL: out of memory. */
static struct busi_str array_of(struct busi_arena *arena, struct auth_import_entry *const *entries, size_t n,
                                size_t where)
{
    struct busi_buf array;
    struct busi_str out = {0};
    busi_buf_init(&array, ARRAY_MOST_BYTES);
    busi_buf_char(&array, '{');
    for (size_t i = 0; i < n; i++) {
        struct busi_str text;
        memcpy(&text, (const char *)entries[i] + where, sizeof(text));
        if (i > 0)
            busi_buf_char(&array, ',');
        put_element(&array, text);
    }
    busi_buf_char(&array, '}');
    if (!array.failed)
        out = busi_arena_dup(arena, (struct busi_str){array.ptr, array.len});
    busi_buf_fini(&array);
    return out;
}

/* Where the statement's arrays come from, in its order. */
#define FIELD(name) offsetof(struct auth_import_entry, row.field[AUTH_IMPORT_##name])
static const size_t places[] = {FIELD(email),
                                offsetof(struct auth_import_entry, row.email_key),
                                offsetof(struct auth_import_entry, row.username.text),
                                offsetof(struct auth_import_entry, row.username.key),
                                FIELD(password_hash),
                                FIELD(meta),
                                FIELD(confirmed_at),
                                FIELD(inserted_at),
                                FIELD(external_id),
                                FIELD(roles)};
enum { ARRAYS = sizeof(places) / sizeof(places[0]), AUDIT = ARRAYS, MAKE, PARAMS };

/* ---- results ---- */

static void refuse(struct auth_import_entry *entry, const char *reason)
{
    entry->result = AUTH_IMPORT_REFUSED;
    entry->reason = reason;
}

static void exists(struct auth_import_entry *entry, int64_t user_id)
{
    entry->result = AUTH_IMPORT_EXISTS;
    entry->user_id = user_id;
}

/* What is told of neither stays pending. */
static void take_result(const struct busi_pg_result *result, int row, bool dry,
                        struct auth_import_entry *entry)
{
    enum { N, MADE, BY_ID, BY_EMAIL, BY_USERNAME, FIRST };
    int64_t made = busi_pg_int(result, row, MADE), by_id = busi_pg_int(result, row, BY_ID),
            by_email = busi_pg_int(result, row, BY_EMAIL),
            by_username = busi_pg_int(result, row, BY_USERNAME);
    bool nameless = !entry->row.field[AUTH_IMPORT_email].ptr;
    if (made || (dry && !by_id && !by_email && !by_username && busi_pg_int(result, row, FIRST))) {
        entry->result = AUTH_IMPORT_CREATED;
        entry->user_id = made;
    } else if (by_id || by_email) {
        exists(entry, by_id ? by_id : by_email);
    } else if (by_username && nameless) {
        exists(entry, by_username);
    } else if (by_username) {
        refuse(entry, "username has already been taken");
    } else if (dry) {
        refuse(entry, "stands twice in the file");
    }
}

/* ---- asking ---- */

static enum busi_code ask(struct auth *self, struct busi_call *call, struct auth_import_entry *const *entries,
                          size_t n, bool dry)
{
    struct busi_pg_result result;
    struct busi_str params[PARAMS] = {
        [AUDIT] = auth_audit_row(self, call, &(struct auth_deed){.event = AUTH_AUDIT_import_user}),
        [MAKE] = dry ? BUSI_STR("false") : BUSI_STR("true")};
    bool fine = params[AUDIT].ptr;
    for (size_t i = 0; i < ARRAYS && fine; i++) {
        params[i] = array_of(&call->arena, entries, n, places[i]);
        fine = params[i].ptr;
    }
    if (!fine)
        return auth_no_memory(call);
    enum busi_code code =
        busi_pg_run(self->pg, AUTH_IMPORT_USERS, params, busi_now_ms() + STATEMENT_MS, &result);
    for (int i = 0; code == BUSI_OK && i < result.rows && (size_t)i < n; i++)
        take_result(&result, i, dry, entries[i]);
    busi_pg_clear(&result);
    return code;
}

/* Whether asking again may help. */
static bool is_passing(enum busi_code code)
{
    return code == BUSI_UNAVAILABLE || code == BUSI_UNKNOWN || code == BUSI_DEADLINE_EXCEEDED ||
           code == BUSI_ABORTED || code == BUSI_RESOURCE_EXHAUSTED;
}

/* Those of which one cannot be stored, one by one. */
static enum busi_code ask_each(struct auth *self, struct auth_import_entry *const *entries, size_t n,
                               bool dry)
{
    for (size_t i = 0; i < n; i++) {
        struct busi_call call;
        auth_command_begin(&call, ARENA_BYTES, STATEMENT_MS);
        enum busi_code code = ask(self, &call, &entries[i], 1, dry);
        busi_call_fini(&call);
        if (is_passing(code))
            return code;
        if (code != BUSI_OK)
            refuse(entries[i], "the database does not take it");
    }
    return BUSI_OK;
}

static enum busi_code store_round(struct auth *self, struct auth_import_batch *batch, bool dry,
                                  size_t *pending)
{
    struct busi_call call;
    auth_command_begin(&call, ARENA_BYTES, STATEMENT_MS);
    struct auth_import_entry **entries = busi_arena_array(&call.arena, AUTH_IMPORT_BATCH, sizeof(void *));
    enum busi_code code = entries ? BUSI_OK : auth_no_memory(&call);
    size_t n = 0;
    for (size_t i = 0; entries && i < batch->n; i++)
        if (batch->entries[i].result == AUTH_IMPORT_PENDING)
            entries[n++] = &batch->entries[i];
    if (n > 0)
        code = ask(self, &call, entries, n, dry);
    if (code != BUSI_OK && !is_passing(code))
        code = ask_each(self, entries, n, dry);
    *pending = 0;
    for (size_t i = 0; i < n; i++)
        *pending += entries[i]->result == AUTH_IMPORT_PENDING;
    busi_call_fini(&call);
    return code;
}

enum busi_code auth_import_batch_store(struct auth *self, struct auth_import_batch *batch, bool dry)
{
    size_t pending = batch->n;
    for (int i = 0; i < ROUNDS_MOST && pending > 0; i++) {
        enum busi_code code = store_round(self, batch, dry, &pending);
        if (code != BUSI_OK)
            return code;
    }
    for (size_t i = 0; i < batch->n; i++)
        if (batch->entries[i].result == AUTH_IMPORT_PENDING)
            refuse(&batch->entries[i], "could not be stored; try again");
    return BUSI_OK;
}
