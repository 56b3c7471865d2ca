/* Rows of texts in columns, for a person at a terminal. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"

enum { BUSI_TABLE_COLUMNS_MOST = 16 };

struct busi_table {
    const char *const *heads; /* of the columns; borrowed */
    size_t n_columns;         /* at most BUSI_TABLE_COLUMNS_MOST */
    struct busi_str *cells;   /* row by row; owned, its texts borrowed */
    size_t n_cells, room;     /* how many there are, and fit */
    bool failed;              /* out of memory: the table is not whole */
};
void busi_table_init(struct busi_table *table, const char *const *heads, size_t n_columns);
void busi_table_fini(struct busi_table *table);
/* The next cell; after the last of a row the next row begins. One that is absent or empty is shown as "-". */
void busi_table_add(struct busi_table *table, struct busi_str text);
/* What would move a terminal's cursor is shown as '?'. */
void busi_table_write(const struct busi_table *table, struct busi_buf *out);
/* A text from outside as such a table shows it. */
void busi_table_text(struct busi_buf *out, struct busi_str text);
