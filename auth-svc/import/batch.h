/* Accounts of an import on their way into the database, some hundreds in one statement. */
#pragma once
#include "core/auth.h"
#include "import/row.h"

enum { AUTH_IMPORT_BATCH = 1000, AUTH_IMPORT_BATCH_BYTES = 4 * 1024 * 1024 };

enum auth_import_result {
    AUTH_IMPORT_PENDING, /* not asked yet */
    AUTH_IMPORT_CREATED, /* in a dry run: would be */
    AUTH_IMPORT_EXISTS,  /* it was there before, and is left as it is */
    AUTH_IMPORT_REFUSED
};
struct auth_import_entry {
    int64_t line; /* of the file */
    enum auth_import_result result;
    int64_t user_id;    /* whose it is; 0: refused, or a dry run */
    const char *reason; /* when refused; in the batch's arena */
    struct auth_import_row row;
};
struct auth_import_batch {
    struct busi_call call;             /* its arena holds all texts */
    struct auth_import_entry *entries; /* AUTH_IMPORT_BATCH of them, in the arena */
    size_t n;
};
/* False: out of memory. Ended by auth_import_batch_fini(). */
[[nodiscard]] bool auth_import_batch_init(struct auth_import_batch *batch);
void auth_import_batch_fini(struct auth_import_batch *batch);
bool auth_import_batch_full(const struct auth_import_batch *batch);
/* The next entry, with a copy of the record in *text. NULL: it is full. */
struct auth_import_entry *auth_import_batch_add(struct auth_import_batch *batch,
                                                const struct auth_import_record *record,
                                                struct busi_str *text);

/* Makes the accounts of all that are pending, unless dry; afterwards none is. A row the database refuses does
 * not hold up the others. Suspends the fiber. Anything but OK: the stores are away, some may be pending; to
 * be asked again any number of times, what was made is found. */
[[nodiscard]] enum busi_code auth_import_batch_store(struct auth *self, struct auth_import_batch *batch,
                                                     bool dry);
