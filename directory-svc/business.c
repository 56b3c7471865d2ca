#include "business.h"

#include "base/text.h"

static bool check_text(struct busi_call *call, const char *field, struct busi_str text, int64_t most)
{
    if (busi_utf8_blank(text)) {
        busi_call_refuse(call, field, BUSI_RULE_BLANK, 0);
        return false;
    }
    /* characters are not counted where bytes suffice */
    if (text.len > (size_t)most && busi_utf8_length(text) > (size_t)most) {
        busi_call_refuse(call, field, BUSI_RULE_TOO_LONG, most);
        return false;
    }
    return true;
}

static bool check(struct busi_call *call, const struct busi_write_business_request *in, bool absent_is_fine)
{
    const struct {
        const char *field;
        struct busi_str text;
        int64_t most; /* characters */
    } rows[] = {
        {"name", in->name, BUSINESS_NAME_MOST},
        {"description", in->description, BUSINESS_DESCRIPTION_MOST},
        {"tag", in->tag, BUSINESS_TAG_MOST},
    };
    bool fine = true;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].text.ptr || !absent_is_fine)
            fine = check_text(call, rows[i].field, rows[i].text, rows[i].most) && fine;
    return fine;
}

bool business_check(struct busi_call *call, const struct busi_write_business_request *in)
{
    return check(call, in, false);
}

bool business_check_change(struct busi_call *call, const struct busi_write_business_request *in)
{
    return check(call, in, true);
}
