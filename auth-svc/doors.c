#include "doors.h"

void auth_doors_init(struct auth_door doors[AUTH_DOORS], const struct busi_settings *settings)
{
#define DOOR(row, format_, algorithm_, secret_, issuer_, lifetime_, least_, logins_, asks_, email_, mail_)   \
    doors[AUTH_DOOR_##row] = (struct auth_door){                                                             \
        .name = #row,                                                                                        \
        .format = AUTH_TOKEN_##format_,                                                                      \
        .key = {BUSI_JWT_##algorithm_, settings->secret_, settings->issuer_, settings->issuer_},             \
        .lifetime_s = settings->lifetime_ / 1000,                                                            \
        .least_password = (least_),                                                                          \
        .logins = AUTH_LOGIN_##logins_,                                                                      \
        .asks = AUTH_ASKS_##asks_,                                                                           \
        .least_email = (email_),                                                                             \
        .new_mail = AUTH_NEW_##mail_,                                                                        \
    };
#include "doors.def"
#undef DOOR
}

const struct auth_door *auth_door_find(const struct auth_door doors[AUTH_DOORS], struct busi_str name)
{
    for (size_t i = 0; i < AUTH_DOORS; i++)
        if (busi_str_eq(name, busi_str_of(doors[i].name)))
            return &doors[i];
    return NULL;
}
