/* The rows of a file or pipe, one by one, in a memory of fixed size: lines of NDJSON, or records of CSV (RFC
 * 4180), whose quoted fields may hold line ends. What is no row costs one line, and says why. Blocks. */
#pragma once
#include "base/str.h"

enum { AUTH_IMPORT_ROW_MOST_BYTES = 64 * 1024 };

struct auth_import_reader {
    int fd;            /* borrowed */
    bool csv;          /* otherwise NDJSON */
    char *buffer;      /* owned */
    size_t at, len;    /* of it: unread from here; filled up to here */
    int64_t line;      /* number of the one that at is in, from 1 */
    int64_t consumed;  /* bytes of the file read so far, rows not yet returned not counted */
    bool ended;        /* nothing more comes */
    const char *fault; /* why the file cannot be read on; NULL: none */
};
/* False: out of memory. */
[[nodiscard]] bool auth_import_reader_init(struct auth_import_reader *reader, int fd, bool csv);
void auth_import_reader_fini(struct auth_import_reader *reader);

struct auth_import_record {
    int64_t line;         /* its first one */
    struct busi_str text; /* without its line end; borrowed until the next is asked for */
    const char *refused;  /* it is none: why (static); NULL: it is one, and is UTF-8 without NUL */
};
/* The next that is not empty; false at the end, or when reader->fault says why not. */
bool auth_import_reader_next(struct auth_import_reader *reader, struct auth_import_record *record);
