/* The rows of doors.def, with the settings they name. */
#pragma once
#include "crypto/jwt.h"
#include "service/settings.h"

enum {
#define DOOR(name, ...) AUTH_DOOR_##name,
#include "doors.def"
#undef DOOR
    AUTH_DOORS
};

enum auth_token_format { AUTH_TOKEN_JWT };
enum auth_logins { AUTH_LOGIN_EMAIL, AUTH_LOGIN_EMAIL_OR_USERNAME };

struct auth_door {
    const char *name;              /* "busi" */
    enum auth_token_format format; /* what it hands out */
    struct busi_jwt_key key;       /* of its tokens; texts borrowed from the settings */
    int64_t lifetime_s;            /* of its tokens and sessions */
    size_t least_password;         /* characters of a new password */
    enum auth_logins logins;       /* what names an account at sign-in */
};

void auth_doors_init(struct auth_door doors[AUTH_DOORS], const struct busi_settings *settings);
/* NULL: there is no such door. */
const struct auth_door *auth_door_find(const struct auth_door doors[AUTH_DOORS], struct busi_str name);
