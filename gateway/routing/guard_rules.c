#include "routing/guard_rules.h"
#include "base/roles.h"

static bool same_value(const struct param *have, const struct param *want)
{
    if (!have || have->type != want->type)
        return false;
    if (want->type == PARAM_INT || want->type == PARAM_BOOL)
        return have->number == want->number;
    return busi_str_eq(have->text, want->text);
}

/* The member of this name, as param_find() finds those whose name we know when we write it. */
static const struct param *find_member(const struct param *object, struct busi_str name)
{
    for (const struct param *member = object ? object->children : NULL; member; member = member->next)
        if (busi_str_eq(member->name, name))
            return member;
    return NULL;
}

static bool has_one_of(struct busi_str have, struct busi_str want)
{
    for (struct busi_str one = busi_roles_next(&want); one.ptr; one = busi_roles_next(&want))
        if (busi_roles_have(have, one))
            return true;
    return busi_roles_have(have, BUSI_ROLE_ROOT);
}

static enum guard_verdict judge_roles(struct busi_str roles, bool owner, const struct busi_principal *who,
                                      int64_t *owner_id)
{
    if (has_one_of(who->roles, roles))
        return GUARD_PASSES;
    if (!owner)
        return GUARD_FORBIDDEN;
    *owner_id = who->user_id;
    return GUARD_PASSES;
}

/* *meta is read when it is first asked for. */
static enum guard_verdict judge_condition(const struct guard_condition *condition,
                                          const struct busi_principal *who, struct busi_arena *arena,
                                          struct param **meta, int64_t *owner_id)
{
    switch (condition->kind) {
    case GUARD_CONFIRMED:
        return who->email_confirmed ? GUARD_PASSES : GUARD_NOT_CONFIRMED;
    case GUARD_ROLES:
        return judge_roles(condition->roles, condition->owner, who, owner_id);
    case GUARD_META:
        break;
    }
    if (!*meta && params_json(arena, who->meta, meta) != PARAMS_OK)
        *meta = NULL;
    return same_value(find_member(*meta, condition->key), &condition->value) ? GUARD_PASSES
                                                                             : GUARD_UNAUTHORIZED;
}

enum guard_verdict guard_rules_judge(const struct guard_rules *rules, const struct route *route,
                                     const struct busi_principal *principal, struct busi_arena *arena,
                                     int64_t *owner_id)
{
    const size_t row = (size_t)(route - routes);
    enum guard_verdict verdict = GUARD_PASSES;
    struct param *meta = NULL;
    *owner_id = 0;
    if (route->roles && !rules->judges_roles[row])
        verdict = judge_roles(busi_str_of(route->roles), route->owner, principal, owner_id);
    for (size_t i = 0; i < rules->n && rules->named[row] && verdict == GUARD_PASSES; i++)
        if (rules->list[i].route == row)
            verdict = judge_condition(&rules->list[i], principal, arena, &meta, owner_id);
    return verdict;
}

void guard_rules_print(struct busi_buf *out, const struct guard_rules *rules, const struct route *route)
{
    const size_t row = (size_t)(route - routes);
    size_t begun = out->len;
    if (route->roles && !rules->judges_roles[row])
        busi_buf_printf(out, "%srole=%s ", route->owner ? "owner|" : "", route->roles);
    for (size_t i = 0; i < rules->n; i++)
        if (rules->list[i].route == row)
            busi_buf_printf(out, "%.*s ", BUSI_ARG(rules->list[i].text));
    if (out->len > begun)
        out->len--; /* the last blank */
    else
        busi_buf_printf(out, "%s", route->who == WHO_PUBLIC && !rules->named[row] ? "public" : "token");
}
