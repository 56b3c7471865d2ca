/* What a new account, and a new password, must look like. Pure. */
#pragma once
#include "core/common_passwords.h"
#include "core/doors.h"
#include "core/username.h"
#include "rpc/call.h"

enum { AUTH_META_MOST_BYTES = 4096 };

/* Adds a violation to the call for each field that is wrong; false when there is any. *username is filled
 * when the account has one (texts in the call's arena), else absent. */
bool auth_new_user_check(struct busi_call *call, const struct busi_sign_up_request *in,
                         const struct auth_door *door, bool reserve_names,
                         const struct auth_common_passwords *common, struct auth_username *username);
/* The same for an account made by somebody who may: any name, no e-mail where the door lets user names in. */
bool auth_managed_user_check(struct busi_call *call, const struct busi_create_user_request *in,
                             const struct auth_door *door, const struct auth_common_passwords *common,
                             struct auth_username *username);
/* The same for an account that comes from elsewhere, with the hash of its password: any name, and one of both
 * is enough. */
bool auth_imported_user_check(struct busi_call *call, struct busi_str email, struct busi_str username,
                              struct busi_str meta, struct auth_username *out);
/* The same for what of an account is to change; a user name it has already may be a reserved one. */
struct auth_user_change {
    const struct busi_update_user_request *in;
    const struct auth_door *door;
    struct busi_str email, username;            /* so far; may be absent */
    bool reserve_names;                         /* refuse those that would pass for somebody in charge */
    const struct auth_common_passwords *common; /* refused */
};
bool auth_user_change_check(struct busi_call *call, const struct auth_user_change *change,
                            struct auth_username *username);
/* The same for a password alone, reported as field. */
struct auth_new_password {
    struct busi_str password;
    size_t least;                               /* characters */
    const struct auth_common_passwords *common; /* refused */
    struct busi_str email, username;            /* its owner's, refused likewise; may be absent */
};
bool auth_new_password_check(struct busi_call *call, const char *field,
                             const struct auth_new_password *chosen);
/* Whether it was typed twice alike; to be asked when all else is right. */
bool auth_password_confirmed(struct busi_call *call, struct busi_str password, struct busi_str confirm);
