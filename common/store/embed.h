/* A file of the source tree as a NUL-terminated text in the binary:
 *     BUSI_EMBED(migration_0001, "migrations/0001_businesses.sql");
 * defines `static const char *const migration_0001`. The path is searched below the service's folder (CMake
 * passes it to the assembler). */
#pragma once

#define BUSI_EMBED(symbol, file)                                                                             \
    __asm__(".pushsection .rodata\n"                                                                         \
            ".global busi_embedded_" #symbol "\n"                                                            \
            ".hidden busi_embedded_" #symbol "\n"                                                            \
            "busi_embedded_" #symbol ":\n"                                                                   \
            ".incbin \"" file "\"\n"                                                                         \
            ".byte 0\n"                                                                                      \
            ".popsection\n");                                                                                \
    extern const char busi_embedded_##symbol[];                                                              \
    static const char *const symbol = busi_embedded_##symbol
