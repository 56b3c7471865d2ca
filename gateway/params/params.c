#include "params/params.h"
#include "http/media_type.h"

const struct param *param_find(const struct param *object, const char *name)
{
    if (!object || object->type != PARAM_OBJECT)
        return NULL;
    struct busi_str wanted = busi_str_of(name);
    for (const struct param *child = object->children; child; child = child->next)
        if (busi_str_eq(child->name, wanted))
            return child;
    return NULL;
}

static bool is_json(struct busi_str type)
{
    static const char json[] = "application/json", any[] = "application/", suffix[] = "+json";
    const size_t any_len = sizeof(any) - 1, suffix_len = sizeof(suffix) - 1;
    if (busi_str_ieq(type, BUSI_STR(json)))
        return true;
    return type.len > any_len + suffix_len &&
           busi_str_ieq((struct busi_str){type.ptr, any_len}, BUSI_STR(any)) &&
           busi_str_ieq((struct busi_str){type.ptr + type.len - suffix_len, suffix_len}, BUSI_STR(suffix));
}

static bool is_other_charset(struct busi_str content_type)
{
    char text[16];
    struct busi_str charset;
    switch (media_type_parameter(content_type, BUSI_STR("charset"), text, sizeof(text), &charset)) {
    case MEDIA_PARAMETER_FOUND:
        return !busi_str_ieq(charset, BUSI_STR("utf-8")) && !busi_str_ieq(charset, BUSI_STR("utf8")) &&
               !busi_str_ieq(charset, BUSI_STR("us-ascii"));
    case MEDIA_PARAMETER_ABSENT:
        return false;
    case MEDIA_PARAMETER_BROKEN:
        break;
    }
    return true;
}

enum param_verdict params_body(struct busi_arena *arena, struct busi_str body, struct busi_str content_type,
                               struct param **out)
{
    struct busi_str type = media_type_name(content_type);
    bool json = is_json(type);
    bool form = busi_str_ieq(type, BUSI_STR("application/x-www-form-urlencoded"));
    bool multipart = busi_str_ieq(type, BUSI_STR("multipart/form-data"));
    if ((json || form) && is_other_charset(content_type))
        return PARAMS_BAD_UTF8;
    if (json)
        return params_json(arena, body, out);
    if (multipart)
        return params_multipart(arena, body, content_type, out);
    return params_form(arena, form ? body : (struct busi_str){0}, out);
}
