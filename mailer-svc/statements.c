#include "statements.h"

const struct busi_pg_statement mail_statements[MAIL_SQL_COUNT] = {
#define STATEMENT(name, effect, parameters, sql) {#name, BUSI_PG_##effect, parameters, sql},
#include "statements.def"
#undef STATEMENT
};
