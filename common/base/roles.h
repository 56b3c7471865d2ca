/* Roles as they travel: their names, sorted, with commas between, "" for none. Names are told apart
 * regardless of case and kept in lower case. Pure; any thread. */
#pragma once
#include "base/str.h"

enum { BUSI_ROLE_MOST = 64, BUSI_ROLES_MOST = 2048 }; /* bytes of a name, of all of one account */

/* Passes wherever a role is asked for. */
#define BUSI_ROLE_ROOT BUSI_STR("root")

/* 1 to BUSI_ROLE_MOST of A-Z a-z 0-9 - _ */
bool busi_role_name_valid(struct busi_str name);
/* Exactly this one: root counts only when it is the name. */
bool busi_roles_have(struct busi_str roles, struct busi_str name);
/* The first of those left, which are cut by it; absent when there is none. */
struct busi_str busi_roles_next(struct busi_str *roles);
