#include "base/roles.h"
#include <criterion/criterion.h>

Test(roles, names)
{
    cr_assert(busi_role_name_valid(BUSI_STR("Data-Steward_2")));
    cr_assert_not(busi_role_name_valid(BUSI_STR("")));
    cr_assert_not(busi_role_name_valid(BUSI_STR("a,b")));
    cr_assert_not(busi_role_name_valid(BUSI_STR("admin ")));
    char long_name[BUSI_ROLE_MOST + 1];
    memset(long_name, 'x', sizeof(long_name));
    cr_assert(busi_role_name_valid((struct busi_str){long_name, BUSI_ROLE_MOST}));
    cr_assert_not(busi_role_name_valid((struct busi_str){long_name, BUSI_ROLE_MOST + 1}));
}

Test(roles, only_whole_names_count)
{
    struct busi_str roles = BUSI_STR("admin,guest,root-reader");
    cr_assert(busi_roles_have(roles, BUSI_STR("admin")));
    cr_assert(busi_roles_have(roles, BUSI_STR("GUEST")));
    cr_assert(busi_roles_have(roles, BUSI_STR("root-reader")));
    cr_assert_not(busi_roles_have(roles, BUSI_ROLE_ROOT));
    cr_assert_not(busi_roles_have(roles, BUSI_STR("admin,guest")));
    cr_assert_not(busi_roles_have(roles, BUSI_STR("")));
    cr_assert_not(busi_roles_have(BUSI_STR(""), BUSI_STR("")));
    cr_assert_not(busi_roles_have((struct busi_str){0}, BUSI_STR("admin")));
}

Test(roles, one_by_one)
{
    struct busi_str roles = BUSI_STR("a,bc");
    cr_assert(busi_str_eq(busi_roles_next(&roles), BUSI_STR("a")));
    cr_assert(busi_str_eq(busi_roles_next(&roles), BUSI_STR("bc")));
    cr_assert_null(busi_roles_next(&roles).ptr);
}
