/* The rows of statements.def: mail_statements[MAIL_SQL_claim]. */
#pragma once
#include "store/pg.h"

enum mail_sql {
#define STATEMENT(name, ...) MAIL_SQL_##name,
#include "statements.def"
#undef STATEMENT
    MAIL_SQL_COUNT
};
extern const struct busi_pg_statement mail_statements[MAIL_SQL_COUNT];
