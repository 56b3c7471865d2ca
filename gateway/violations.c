#include "violations.h"
#include "base/code.h"

/* A rule's text is a format with at most one %d. */
static void write_rule(struct busi_buf *out, const struct busi_violation *violation)
{
    const char *text = busi_rule_text((int)violation->rule);
    const char *limit = strstr(text, "%d");
    busi_buf_char(out, '"');
    if (limit) {
        busi_buf_add(out, text, (size_t)(limit - text));
        busi_buf_int(out, violation->limit);
        text = limit + 2;
    }
    busi_buf_add(out, text, strlen(text));
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
