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
