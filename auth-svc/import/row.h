/* One account of an import: what a row says, and whether it can be taken. Pure. */
#pragma once
#include "core/username.h"
#include "crypto/password.h"
#include "import/reader.h"
#include "rpc/call.h"

enum auth_import_field {
#define IMPORT_FIELD(name, kind) AUTH_IMPORT_##name,
#include "import/fields.def"
#undef IMPORT_FIELD
    AUTH_IMPORT_FIELDS
};

/* What holds for all rows of one import. */
struct auth_import_rules {
    bool csv;
    enum auth_import_field columns[AUTH_IMPORT_FIELDS]; /* of CSV: which field each is */
    size_t n_columns;
    struct busi_password_cost cost; /* what hashes may ask for */
    struct busi_str roles;          /* the names of all there are; borrowed */
    bool allow_root;                /* accounts may be root */
};

/* Of CSV, the columns of the first line. NULL, or what is wrong with it, in the call's arena. */
[[nodiscard]] const char *auth_import_header(struct busi_call *call, struct busi_str record,
                                             struct auth_import_rules *rules);

/* Texts are in the record or in the call's arena; what is not said has ptr NULL. Times are as Postgres reads
 * them. */
struct auth_import_row {
    /* as given; a FLAG is "true" or "false", NAMES are as base/roles.h has them */
    struct busi_str field[AUTH_IMPORT_FIELDS];
    struct busi_str email_key;
    struct auth_username username; /* or absent */
};
/* NULL, or why it is refused: a text in the call's arena that has nothing of the hash in it. */
[[nodiscard]] const char *auth_import_read(struct busi_call *call, const struct auth_import_rules *rules,
                                           struct busi_str record, struct auth_import_row *row);
