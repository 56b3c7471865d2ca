/* Rows to values and messages. Columns travel in Postgres' binary form: big-endian integers, timestamps as
 * microseconds since 2000, texts as they are. */
#include "store/pg_internal.h"

#include <endian.h>
#include <stdio.h>

enum { STAMP_SIZE = sizeof "2018-11-11 07:00:53.229068" };

static const int64_t us_1970_to_2000 = 946684800000000;

enum pg_kind busi_pg_kind(Oid type)
{
    switch (type) { /* pg_type.dat; libpq has no header for them that a client may include */
    case 16:        /* bool */
        return PG_BOOL;
    case 20: /* int8 */
    case 21: /* int2 */
    case 23: /* int4 */
        return PG_INT;
    case 17:   /* bytea */
    case 19:   /* name */
    case 25:   /* text */
    case 1043: /* varchar */
        return PG_TEXT;
    case 1184: /* timestamptz */
        return PG_STAMP;
    default:
        return PG_OTHER;
    }
}

static const PGresult *rows_of(const struct busi_pg_result *result)
{
    return result->handle ? ((const struct pg_rows *)result->handle)->result : NULL;
}

/* An integer of 1, 2, 4 or 8 bytes. */
static int64_t read_int(const char *bytes, int n)
{
    uint64_t value = n > 0 && (bytes[0] & 0x80) && n > 1 ? UINT64_MAX : 0;
    if (n == 8) {
        memcpy(&value, bytes, sizeof value);
        return (int64_t)be64toh(value);
    }
    for (int i = 0; i < n; i++)
        value = value << 8 | (uint8_t)bytes[i];
    return (int64_t)value;
}

/* Microseconds since 1970; false for the two infinities. */
static bool read_stamp(const char *bytes, int64_t *us)
{
    int64_t value = read_int(bytes, 8);
    return value != INT64_MIN && value != INT64_MAX && !__builtin_add_overflow(value, us_1970_to_2000, us);
}

struct busi_str busi_pg_value(const struct busi_pg_result *result, int row, int column)
{
    const PGresult *rows = rows_of(result);
    if (!rows || row < 0 || row >= result->rows || column < 0 || column >= result->columns ||
        PQgetisnull(rows, row, column) || busi_pg_kind(PQftype(rows, column)) != PG_TEXT)
        return (struct busi_str){0};
    return (struct busi_str){PQgetvalue(rows, row, column), (size_t)PQgetlength(rows, row, column)};
}

int64_t busi_pg_int(const struct busi_pg_result *result, int row, int column)
{
    const PGresult *rows = rows_of(result);
    if (!rows || row < 0 || row >= result->rows || column < 0 || column >= result->columns ||
        PQgetisnull(rows, row, column))
        return 0;
    const char *bytes = PQgetvalue(rows, row, column);
    enum pg_kind kind = busi_pg_kind(PQftype(rows, column));
    int64_t us = 0;
    if (kind == PG_STAMP)
        return read_stamp(bytes, &us) ? us : 0;
    return kind == PG_INT || kind == PG_BOOL ? read_int(bytes, PQgetlength(rows, row, column)) : 0;
}

static void write_digits(char *at, int digits, unsigned value)
{
    for (; digits-- > 0; value /= 10)
        at[digits] = (char)('0' + value % 10);
}

/* "2018-11-11 07:00:53.229068", UTC, always six digits. Returns the length; 0: a year of more than four. */
static size_t write_stamp(char out[STAMP_SIZE], int64_t us)
{
    static const int64_t us_per_day = 86400000000;
    int64_t days = us / us_per_day, rest = us % us_per_day;
    if (rest < 0) {
        rest += us_per_day;
        days--;
    }
    if (days < -719162 || days > 2932896) /* 0001-01-01 .. 9999-12-31 */
        return 0;
    /* civil from days, Howard Hinnant's: years begin in March, eras are of 400 years */
    unsigned z = (unsigned)(days + 719468), era = z / 146097, doe = z % 146097;
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    unsigned month = mp < 10 ? mp + 3 : mp - 9;
    unsigned seconds = (unsigned)(rest / 1000000);
    memcpy(out, "0000-00-00 00:00:00.000000", STAMP_SIZE);
    write_digits(out, 4, yoe + era * 400 + (month <= 2));
    write_digits(out + 5, 2, month);
    write_digits(out + 8, 2, doy - (153 * mp + 2) / 5 + 1);
    write_digits(out + 11, 2, seconds / 3600);
    write_digits(out + 14, 2, seconds / 60 % 60);
    write_digits(out + 17, 2, seconds % 60);
    write_digits(out + 20, 6, (unsigned)(rest % 1000000));
    return STAMP_SIZE - 1;
}

static bool fits(const struct busi_field *field, enum pg_kind kind)
{
    switch ((enum busi_kind)field->kind) {
    case BUSI_TEXT:
        return kind == PG_TEXT || kind == PG_STAMP;
    case BUSI_SECRET:
    case BUSI_BYTES:
        return kind == PG_TEXT;
    case BUSI_INT:
        return kind == PG_INT;
    case BUSI_BOOL:
        return kind == PG_BOOL;
    case BUSI_TIME:
        return kind == PG_STAMP;
    case BUSI_LIST:
    case BUSI_NESTED:
        return false;
    }
    return false;
}

static void make_map(struct pg_map *map, const PGresult *rows, const struct busi_desc *desc)
{
    map->desc = desc;
    map->complete = desc->n_fields <= PG_FIELDS_MOST && PQnfields(rows) <= INT8_MAX;
    for (size_t i = 0; i < desc->n_fields && map->complete; i++) {
        const struct busi_field *field = &desc->fields[i];
        map->column_of[i] = -1;
        for (int column = 0; column < PQnfields(rows); column++)
            if (strcmp(PQfname(rows, column), field->name) == 0)
                map->column_of[i] = (int8_t)column;
        int column = map->column_of[i];
        enum pg_kind kind = column < 0 ? PG_OTHER : busi_pg_kind(PQftype(rows, column));
        map->kind_of[i] = (uint8_t)kind;
        map->complete = column < 0 ? field->need != BUSI_REQUIRED : fits(field, kind);
    }
}

/* How many bytes of text the row's fields need. */
static size_t text_size(const PGresult *rows, int row, const struct busi_desc *desc, const struct pg_map *map)
{
    size_t size = 0;
    for (size_t i = 0; i < desc->n_fields; i++) {
        int column = map->column_of[i];
        if (column >= 0 && desc->fields[i].kind <= BUSI_BYTES)
            size += STAMP_SIZE + (size_t)PQgetlength(rows, row, column);
    }
    return size;
}

static bool put_text(struct busi_str *out, char **room, enum pg_kind kind, const char *bytes, size_t len)
{
    int64_t us = 0;
    out->ptr = *room;
    out->len = len;
    if (kind == PG_TEXT)
        memcpy(*room, bytes, len);
    else
        out->len = read_stamp(bytes, &us) ? write_stamp(*room, us) : 0;
    *room += out->len;
    return out->len > 0 || len == 0;
}

static bool put(const struct busi_field *field, void *at, char **room, enum pg_kind kind, const char *bytes,
                int len)
{
    switch ((enum busi_kind)field->kind) {
    case BUSI_TEXT:
    case BUSI_SECRET:
    case BUSI_BYTES:
        return put_text(at, room, kind, bytes, (size_t)len);
    case BUSI_INT:
        *(int64_t *)at = read_int(bytes, len);
        return true;
    case BUSI_BOOL:
        *(bool *)at = read_int(bytes, len) != 0;
        return true;
    case BUSI_TIME:
        return read_stamp(bytes, at);
    case BUSI_LIST:
    case BUSI_NESTED:
        break;
    }
    return false;
}

bool busi_pg_message(const struct busi_pg_result *result, int row, const struct busi_desc *desc,
                     void *message, struct busi_arena *arena)
{
    const PGresult *rows = rows_of(result);
    if (!rows || row < 0 || row >= result->rows)
        return false;
    struct pg_map *map = ((const struct pg_rows *)result->handle)->map;
    if (map->desc != desc)
        make_map(map, rows, desc);
    char *room = map->complete ? busi_arena_alloc(arena, text_size(rows, row, desc, map)) : NULL;
    if (!room)
        return false;
    for (size_t i = 0; i < desc->n_fields; i++) {
        const struct busi_field *field = &desc->fields[i];
        int column = map->column_of[i];
        if (column < 0)
            continue;
        int len = PQgetlength(rows, row, column);
        if (len == 0 && PQgetisnull(rows, row, column)) {
            if (field->need == BUSI_REQUIRED)
                return false;
            continue;
        }
        if (!put(field, (char *)message + field->offset, &room, map->kind_of[i],
                 PQgetvalue(rows, row, column), len))
            return false;
    }
    return true;
}
