/* A file of the source tree as a NUL-terminated text in the binary:
 *     BUSI_EMBED(migration_0001, "migrations/0001_businesses.sql");
 * declares `const char migration_0001[]`, unseen by other files' symbols. The path begins at the
 * service's folder, BUSI_FOLDER (which CMake says). At file scope, once per symbol and program. */
#pragma once

#define BUSI_EMBED(symbol, file)                                                                             \
    __asm__(".pushsection .rodata\n"                                                                         \
            ".global " #symbol "\n"                                                                          \
            ".hidden " #symbol "\n" #symbol ":\n"                                                            \
            ".incbin \"" BUSI_FOLDER "/" file "\"\n"                                                         \
            ".byte 0\n"                                                                                      \
            ".popsection\n");                                                                                \
    __attribute__((visibility("hidden"))) extern const char symbol[]
