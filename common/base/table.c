#include "base/table.h"
#include "base/text.h"
#include <assert.h>
#include <stdlib.h>

enum { GAP = 2, FIRST_ROOM = 64 };

void busi_table_init(struct busi_table *table, const char *const *heads, size_t n_columns)
{
    *table = (struct busi_table){.heads = heads, .n_columns = n_columns};
}

void busi_table_fini(struct busi_table *table)
{
    free(table->cells);
    *table = (struct busi_table){0};
}

void busi_table_add(struct busi_table *table, struct busi_str text)
{
    if (table->n_cells == table->room && !table->failed) {
        size_t room = table->room ? 2 * table->room : FIRST_ROOM;
        struct busi_str *cells = reallocarray(table->cells, room, sizeof(*cells));
        table->failed = !cells;
        if (cells) {
            table->cells = cells;
            table->room = room;
        }
    }
    if (!table->failed)
        table->cells[table->n_cells++] = text.len > 0 ? text : BUSI_STR("-");
}

/* C1 control characters, as two bytes of UTF-8, are some terminals' escape as well. */
void busi_table_text(struct busi_buf *out, struct busi_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i],
                      next = i + 1 < text.len ? (unsigned char)text.ptr[i + 1] : 0;
        if (c == 0xc2 && next >= 0x80 && next < 0xa0)
            i++;
        busi_buf_char(out,
                      c < ' ' || c == 0x7f || (c == 0xc2 && next >= 0x80 && next < 0xa0) ? '?' : (char)c);
    }
}

static void write_row(const struct busi_table *table, const size_t *widths, const struct busi_str *cells,
                      struct busi_buf *out)
{
    for (size_t i = 0; i < table->n_columns; i++) {
        busi_table_text(out, cells[i]);
        for (size_t n = busi_utf8_length(cells[i]); i + 1 < table->n_columns && n < widths[i] + GAP; n++)
            busi_buf_char(out, ' ');
    }
    busi_buf_char(out, '\n');
}

void busi_table_write(const struct busi_table *table, struct busi_buf *out)
{
    struct busi_str heads[BUSI_TABLE_COLUMNS_MOST];
    size_t widths[BUSI_TABLE_COLUMNS_MOST];
    assert(table->n_columns > 0);
    for (size_t i = 0; i < table->n_columns; i++) {
        heads[i] = busi_str_of(table->heads[i]);
        widths[i] = heads[i].len;
    }
    for (size_t i = 0; i < table->n_cells; i++) {
        size_t width = busi_utf8_length(table->cells[i]), *widest = &widths[i % table->n_columns];
        *widest = width > *widest ? width : *widest;
    }
    write_row(table, widths, heads, out);
    for (size_t i = 0; i + table->n_columns <= table->n_cells; i += table->n_columns)
        write_row(table, widths, table->cells + i, out);
}
