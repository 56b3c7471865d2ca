/* Words for roles, and for who has them. */
#pragma once
#include "auth-svc_kit.h"

static inline enum busi_code make_role(const char *name, const char *description)
{
    struct busi_empty out;
    begin(&world.call);
    struct busi_role in = {.name = busi_str_of(name), .description = busi_str_of(description)};
    return auth_create_role(world.auth, &world.call, &in, &out);
}

static inline enum busi_code delete_role(const char *name, int64_t *count)
{
    struct busi_count_reply out = {.count = -1};
    begin(&world.call);
    enum busi_code code = auth_delete_role(world.auth, &world.call,
                                           &(struct busi_role_name_request){.name = busi_str_of(name)}, &out);
    *count = out.count == -1 ? 0 : out.count;
    return code;
}

typedef enum busi_code changing(struct auth *, struct busi_call *, const struct busi_user_role_request *,
                                struct busi_count_reply *);

static inline enum busi_code change(changing *handler, const char *user, const char *role, int64_t *count)
{
    struct busi_count_reply out = {0};
    begin(&world.call);
    struct busi_user_role_request in = {.role = busi_str_of(role), .name = busi_str_of(user)};
    enum busi_code code = handler(world.auth, &world.call, &in, &out);
    if (count)
        *count = out.count;
    return code;
}

static inline void grant(const char *user, const char *role)
{
    int64_t count;
    cr_assert_eq(change(auth_grant_role, user, role, &count), BUSI_OK, "%.*s", BUSI_ARG(world.call.message));
    cr_assert_eq(count, 1);
}

static inline void revoke(const char *user, const char *role)
{
    int64_t count;
    cr_assert_eq(change(auth_revoke_role, user, role, &count), BUSI_OK, "%.*s", BUSI_ARG(world.call.message));
    cr_assert_eq(count, 1);
}

static inline enum busi_code check_at(struct auth *auth, struct busi_str token, struct busi_principal *out)
{
    *out = (struct busi_principal){0};
    begin(&world.call);
    return auth_check_token(auth, &world.call, &(struct busi_check_token_request){.token = token}, out);
}

/* What a token opens right now, at each replica there is. */
static inline void expect_roles(struct busi_str token, const char *roles)
{
    struct auth *const replicas[] = {world.auth, world.other};
    for (size_t i = 0; i < 2 && replicas[i]; i++) {
        struct busi_principal who;
        cr_assert_eq(check_at(replicas[i], token, &who), BUSI_OK);
        cr_assert(busi_str_eq(who.roles, busi_str_of(roles)), "'%.*s', not '%s'", BUSI_ARG(who.roles), roles);
    }
}
