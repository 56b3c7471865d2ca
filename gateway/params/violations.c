#include "params/violations.h"
#include "base/code.h"

static void write_rule(struct busi_buf *out, const struct busi_violation *violation)
{
    busi_buf_char(out, '"');
    busi_rule_print(out, (int)violation->rule, violation->limit);
    busi_buf_char(out, '"');
}

static bool seen_before(const struct busi_violation *violations, size_t at)
{
    for (size_t i = 0; i < at; i++)
        if (busi_str_eq(violations[i].field, violations[at].field))
            return true;
    return false;
}

void violations_json(struct busi_buf *out, const struct busi_violation *violations, size_t n)
{
    busi_buf_char(out, '{');
    for (size_t i = 0, fields = 0; i < n; i++) {
        if (seen_before(violations, i))
            continue;
        if (fields++)
            busi_buf_char(out, ',');
        busi_buf_json(out, violations[i].field);
        busi_buf_str(out, BUSI_STR(":["));
        for (size_t k = n, texts = 0; k > i; k--) {
            if (!busi_str_eq(violations[k - 1].field, violations[i].field))
                continue;
            if (texts++)
                busi_buf_char(out, ',');
            write_rule(out, &violations[k - 1]);
        }
        busi_buf_char(out, ']');
    }
    busi_buf_char(out, '}');
}
