/* How far an import has come: a line on a terminal, and the sum at the end, both on stderr. */
#pragma once
#include "import/batch.h"

struct auth_import_progress {
    int64_t created, existing, refused; /* rows */
    int64_t began_ms, shown_ms;         /* busi_now_ms() scale */
    int64_t read_bytes, file_bytes;     /* of the file; 0: it is a pipe */
    bool terminal;                      /* somebody watches */
};
void auth_import_progress_begin(struct auth_import_progress *progress, int fd);
/* A batch that is done. */
void auth_import_progress_add(struct auth_import_progress *progress, const struct auth_import_batch *batch,
                              int64_t read_bytes);
/* Makes room for other lines. */
void auth_import_progress_clear(const struct auth_import_progress *progress);
void auth_import_progress_end(const struct auth_import_progress *progress, bool dry);
