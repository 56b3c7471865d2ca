#include "doors.h"

/* Up, so that a short lifetime never becomes 0, which is for ever. */
static int64_t seconds(int64_t ms)
{
    return (ms + 999) / 1000;
}

/* What the words of a row say of the door. */
#define JWT(algorithm_, secret_, issuer_, lifetime_ms_)                                                      \
    .format = AUTH_TOKENS_JWT,                                                                               \
    .key = {BUSI_JWT_##algorithm_, settings->secret_, settings->issuer_, settings->issuer_},                 \
    .access_s = seconds(settings->lifetime_ms_), .session_s = seconds(settings->lifetime_ms_)
#define OPAQUE(access_ms_, session_ms_)                                                                      \
    .format = AUTH_TOKENS_OPAQUE, .access_s = seconds(settings->access_ms_),                                 \
    .session_s = seconds(settings->session_ms_)
#define SIGN_UP(password_, email_, asks_, mail_)                                                             \
    .least_password = (password_), .least_email = (email_), .asks = AUTH_ASKS_##asks_,                       \
    .new_mail = AUTH_NEW_##mail_
#define SIGN_IN(logins_) .logins = AUTH_LOGIN_##logins_

void auth_doors_init(struct auth_door doors[AUTH_DOORS], const struct busi_settings *settings)
{
#define DOOR(row, ...) doors[AUTH_DOOR_##row] = (struct auth_door){.name = #row, __VA_ARGS__};
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
