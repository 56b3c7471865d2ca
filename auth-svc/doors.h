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

enum auth_token_format { AUTH_TOKENS_JWT, AUTH_TOKENS_OPAQUE };
enum auth_logins { AUTH_LOGIN_EMAIL, AUTH_LOGIN_EMAIL_OR_USERNAME };
enum auth_asks { AUTH_ASKS_NOTHING, AUTH_ASKS_USERNAME, AUTH_ASKS_CONFIRMATION, AUTH_ASKS_BOTH }; /* bits */
enum auth_new_mail { AUTH_NEW_GREETING, AUTH_NEW_CONFIRMATION };

struct auth_door {
    const char *name;              /* "busi" */
    enum auth_token_format format; /* what it hands out */
    struct busi_jwt_key key;       /* of its JWTs; texts borrowed from the settings */
    int64_t access_s;              /* lifetime of its access tokens, in seconds */
    int64_t session_s;             /* of its sessions; 0: until somebody ends them */
    size_t least_password;         /* characters of a new password */
    enum auth_logins logins;       /* what names an account at sign-in */
    enum auth_asks asks;           /* of a sign-up, besides e-mail and password */
    size_t least_email;            /* characters that clients know a text for; 0: none */
    enum auth_new_mail new_mail;   /* to a new account */
};

void auth_doors_init(struct auth_door doors[AUTH_DOORS], const struct busi_settings *settings);
/* NULL: there is no such door. */
const struct auth_door *auth_door_find(const struct auth_door doors[AUTH_DOORS], struct busi_str name);
