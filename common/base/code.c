#include "base/code.h"

struct code_row {
    const char *name;
    int http;
};

static const struct code_row rows[] = {
#define ERROR(name, number, http, retry) [number] = {#name, http},
#include "proto/errors.def"
#undef ERROR
};

static const struct code_row *row(int code)
{
    bool known = code >= 0 && (size_t)code < sizeof rows / sizeof rows[0] && rows[code].name;
    return &rows[known ? code : BUSI_UNKNOWN];
}

const char *busi_code_name(int code)
{
    return row(code)->name;
}

int busi_code_http(int code)
{
    return row(code)->http;
}

bool busi_code_is_verdict(int code)
{
    return row(code)->http >= 400 && row(code)->http < 500;
}

const char *busi_rule_text(int rule)
{
    static const char *const texts[] = {
#define RULE(name, number, text) [number] = text,
#include "proto/rules.def"
#undef RULE
    };
    bool known = rule >= 0 && (size_t)rule < sizeof texts / sizeof texts[0] && texts[rule];
    return texts[known ? rule : BUSI_RULE_INVALID];
}

void busi_rule_print(struct busi_buf *out, int rule, int64_t limit)
{
    const char *text = busi_rule_text(rule), *number = strstr(text, "%d");
    if (number) {
        busi_buf_add(out, text, (size_t)(number - text));
        busi_buf_int(out, limit);
        text = number + 2;
    }
    busi_buf_add(out, text, strlen(text));
}
