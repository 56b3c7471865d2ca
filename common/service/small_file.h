/* A whole small file in memory: configuration and secrets. */
#pragma once
#include "base/arena.h"

/* Reads a regular file of at most max_bytes into arena (wiped with it), with a NUL behind that is not
 * counted. NULL, or why not: "No such file or directory", "is larger than it may be" (static or strerror's).
 * Never blocks on a pipe or device. */
[[nodiscard]] const char *busi_small_file_read(const char *path, size_t max_bytes, struct busi_arena *arena,
                                               struct busi_str *out);
