/* The texts of JSONTestSuite, each with what our reader is to say of it (tests/vectors/json.txt). */
#include "base/text.h"
#include "params/params.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { LINE_MAX_BYTES = 4096, TEXT_MAX_BYTES = 1 << 20 };

/* One part of a line, its escapes undone, in place. */
static size_t unescape(char *part)
{
    char *to = part;
    for (const char *at = part; *at; at++) {
        if (*at != '\\') {
            *to++ = *at;
            continue;
        }
        at++;
        cr_assert(*at == 's' || *at == '\\' || *at == 'x', "an escape that the file does not have");
        *to++ = *at == 's'    ? ' '
                : *at == '\\' ? '\\'
                              : (char)(busi_hex_digit(at[1]) << 4 | busi_hex_digit(at[2]));
        if (*at == 'x')
            at += 2;
    }
    return (size_t)(to - part);
}

/* The rest of a line behind NAME STATUS. */
static size_t read_text(char *text, char *saved)
{
    size_t len = 0;
    for (char *times; (times = strtok_r(NULL, " \n", &saved));) {
        char *part = strtok_r(NULL, " \n", &saved);
        cr_assert(part, "TIMES without TEXT");
        const size_t part_len = unescape(part);
        for (int n = atoi(times); n > 0; n--) {
            cr_assert(len + part_len <= TEXT_MAX_BYTES);
            memcpy(text + len, part, part_len);
            len += part_len;
        }
    }
    return len;
}

/* As long as the text and not a byte longer, so that a sanitizer sees a read behind its end. */
static enum param_verdict verdict_of(const char *text, size_t len)
{
    struct busi_arena arena;
    struct param *root = NULL;
    char *exact = malloc(len + (len == 0));
    cr_assert(exact);
    memcpy(exact, text, len);
    busi_arena_init(&arena, 64 << 20);
    enum param_verdict verdict = params_json(&arena, (struct busi_str){exact, len}, &root);
    busi_arena_fini(&arena);
    free(exact);
    return verdict;
}

Test(json_suite, every_text)
{
    static char line[LINE_MAX_BYTES], text[TEXT_MAX_BYTES];
    int texts = 0;
    FILE *file = fopen(BUSI_SOURCE "/tests/vectors/json.txt", "r");
    cr_assert(file, "the texts are not there");
    while (fgets(line, sizeof(line), file)) {
        char *saved = NULL;
        if (line[0] == '#')
            continue;
        const char *name = strtok_r(line, " ", &saved), *status = strtok_r(NULL, " \n", &saved);
        cr_assert(name && status);
        const size_t len = read_text(text, saved);
        const enum param_verdict verdict = verdict_of(text, len);
        cr_expect_eq((int)verdict, atoi(status), "%s: %d, not %s", name, (int)verdict, status);
        texts++;
    }
    fclose(file);
    cr_assert_eq(texts, 318);
}
