#include "params/fields.h"

struct busi_str fields_cut(struct busi_str text, size_t most)
{
    if (text.len <= most)
        return text;
    while (most > 0 && ((unsigned char)text.ptr[most] & 0xc0) == 0x80)
        most--;
    return (struct busi_str){text.ptr, most};
}

void fields_refuse(struct fields *fields, const char *field, enum busi_rule rule, int64_t limit)
{
    if (fields->n_wrong < sizeof fields->wrong / sizeof fields->wrong[0])
        fields->wrong[fields->n_wrong++] = (struct fields_wrong){field, rule, limit};
}

struct busi_str fields_text_as(struct fields *fields, const char *name, const char *field, size_t most)
{
    const struct param *member = param_find(fields->object, name);
    if (!member)
        return (struct busi_str){0};
    if (member->type == PARAM_TEXT)
        return fields_cut(member->text.ptr ? member->text : BUSI_STR(""), most);
    if (member->type != PARAM_NULL)
        fields_refuse(fields, field, BUSI_RULE_INVALID, 0);
    return BUSI_STR("");
}

struct busi_str fields_text(struct fields *fields, const char *name, size_t most)
{
    return fields_text_as(fields, name, name, most);
}

static bool is_wrong(const struct fields *fields, struct busi_str field)
{
    for (size_t i = 0; i < fields->n_wrong; i++)
        if (busi_str_eq(field, busi_str_of(fields->wrong[i].field)))
            return true;
    return false;
}

bool fields_fine(const struct fields *fields, struct busi_call *call)
{
    for (size_t i = 0; i < fields->n_wrong; i++)
        busi_call_refuse(call, fields->wrong[i].field, fields->wrong[i].rule, fields->wrong[i].limit);
    return fields->n_wrong == 0;
}

enum busi_code fields_judge(const struct fields *fields, struct busi_call *call, enum busi_code code)
{
    if (fields->n_wrong == 0)
        return code;
    if (code == BUSI_OK)
        return busi_call_fail(call, BUSI_INTERNAL, "a service took a blank field");
    if (call->n_violations == 0)
        return code;
    size_t kept = 0;
    for (size_t i = 0; i < call->n_violations; i++)
        if (!is_wrong(fields, call->violations[i].field))
            call->violations[kept++] = call->violations[i];
    call->n_violations = kept;
    (void)!fields_fine(fields, call);
    return code;
}
