#include "accounts/new_user.h"
#include "base/text.h"
#include "core/email.h"
#include "core/json_object.h"
#include "core/passwords.h"
#include "crypto/secret.h"

/* One violation for each field: what is blank is not also too short. Only of an address do clients know two
 * texts at once. */
static void refuse_email(struct busi_call *call, struct busi_str email, size_t least)
{
    if (busi_utf8_blank(email)) {
        busi_call_refuse(call, "email", BUSI_RULE_BLANK, 0);
        return;
    }
    if (email.len > AUTH_EMAIL_MOST_BYTES)
        busi_call_refuse(call, "email", BUSI_RULE_TOO_LONG, AUTH_EMAIL_MOST_BYTES);
    else if (!auth_email_valid(email))
        busi_call_refuse(call, "email", BUSI_RULE_FORMAT, 0);
    if (busi_utf8_length(email) < least)
        busi_call_refuse(call, "email", BUSI_RULE_TOO_SHORT, (int64_t)least);
}

static void refuse_length(struct busi_call *call, size_t length)
{
    if (length < AUTH_USERNAME_LEAST)
        busi_call_refuse(call, "username", BUSI_RULE_TOO_SHORT, AUTH_USERNAME_LEAST);
    else
        busi_call_refuse(call, "username", BUSI_RULE_TOO_LONG, AUTH_USERNAME_MOST);
}

static bool is_length(size_t length)
{
    return length >= AUTH_USERNAME_LEAST && length <= AUTH_USERNAME_MOST;
}

static void refuse_username(struct busi_call *call, struct busi_str typed, bool reserve,
                            struct auth_username *out)
{
    if (busi_utf8_blank(typed))
        busi_call_refuse(call, "username", BUSI_RULE_BLANK, 0);
    else if (!is_length(busi_utf8_length(typed)))
        refuse_length(call, busi_utf8_length(typed));
    else if (!auth_username_read(&call->arena, typed, out))
        busi_call_refuse(call, "username", BUSI_RULE_FORMAT, 0);
    else if (!is_length(busi_utf8_length(out->text)))
        refuse_length(call, busi_utf8_length(out->text));
    else if (reserve && auth_username_reserved(out->key))
        busi_call_refuse(call, "username", BUSI_RULE_RESERVED, 0);
}

static void refuse_meta(struct busi_call *call, struct busi_str meta)
{
    if (meta.len > AUTH_META_MOST_BYTES)
        busi_call_refuse(call, "meta", BUSI_RULE_TOO_LONG, AUTH_META_MOST_BYTES);
    else if (meta.ptr && !auth_json_object_valid(meta))
        busi_call_refuse(call, "meta", BUSI_RULE_INVALID, 0);
}

bool auth_new_password_check(struct busi_call *call, const char *field,
                             const struct auth_new_password *chosen)
{
    size_t before = call->n_violations;
    struct busi_str password = chosen->password;
    if (busi_utf8_blank(password))
        busi_call_refuse(call, field, BUSI_RULE_BLANK, 0);
    else if (password.len > AUTH_PASSWORD_MOST_BYTES)
        busi_call_refuse(call, field, BUSI_RULE_TOO_LONG, AUTH_PASSWORD_MOST_BYTES);
    else if (busi_utf8_length(password) < chosen->least)
        busi_call_refuse(call, field, BUSI_RULE_TOO_SHORT, (int64_t)chosen->least);
    else if (auth_password_is_common(chosen->common, password, chosen->email, chosen->username))
        busi_call_refuse(call, field, BUSI_RULE_COMMON, 0);
    return call->n_violations == before;
}

bool auth_password_confirmed(struct busi_call *call, struct busi_str password, struct busi_str confirm)
{
    bool same = password.len == confirm.len && busi_same_bytes(password.ptr, confirm.ptr, password.len);
    if (!same)
        busi_call_refuse(call, "password_confirm", BUSI_RULE_MISMATCH, 0);
    return same;
}

bool auth_new_user_check(struct busi_call *call, const struct busi_sign_up_request *in,
                         const struct auth_door *door, bool reserve_names,
                         const struct auth_common_passwords *common, struct auth_username *username)
{
    size_t before = call->n_violations;
    *username = (struct auth_username){0};
    refuse_email(call, in->email, door->least_email);
    if (in->username.len > 0 || (door->asks & AUTH_ASKS_USERNAME))
        refuse_username(call, in->username, reserve_names, username);
    const struct auth_new_password chosen = {in->password, door->least_password, common, in->email,
                                             in->username};
    (void)!auth_new_password_check(call, "password", &chosen);
    refuse_meta(call, in->meta);
    if (call->n_violations == before && (door->asks & AUTH_ASKS_CONFIRMATION))
        (void)!auth_password_confirmed(call, in->password, in->password_confirm);
    return call->n_violations == before;
}

bool auth_managed_user_check(struct busi_call *call, const struct busi_create_user_request *in,
                             const struct auth_door *door, const struct auth_common_passwords *common,
                             struct auth_username *username)
{
    size_t before = call->n_violations;
    bool nameless = door->logins == AUTH_LOGIN_EMAIL; /* an e-mail is all it could sign in with */
    *username = (struct auth_username){0};
    if (in->email.ptr || nameless)
        refuse_email(call, in->email, door->least_email);
    if (in->username.ptr || (!in->email.ptr && !nameless))
        refuse_username(call, in->username, false, username);
    const struct auth_new_password chosen = {in->password, door->least_password, common, in->email,
                                             in->username};
    (void)!auth_new_password_check(call, "password", &chosen);
    refuse_meta(call, in->meta);
    return call->n_violations == before;
}

bool auth_imported_user_check(struct busi_call *call, struct busi_str email, struct busi_str username,
                              struct busi_str meta, struct auth_username *out)
{
    size_t before = call->n_violations;
    *out = (struct auth_username){0};
    if (email.ptr || !username.ptr)
        refuse_email(call, email, 0);
    if (username.ptr)
        refuse_username(call, username, false, out);
    refuse_meta(call, meta);
    return call->n_violations == before;
}

bool auth_user_change_check(struct busi_call *call, const struct auth_user_change *change,
                            struct auth_username *username)
{
    const struct busi_update_user_request *in = change->in;
    size_t before = call->n_violations;
    struct busi_str email = in->email.ptr ? in->email : change->email;
    struct busi_str name = in->username.ptr ? in->username : change->username;
    *username = (struct auth_username){0};
    if (in->email.ptr)
        refuse_email(call, in->email, change->door->least_email);
    if (in->username.ptr && in->username.len > 0)
        refuse_username(call, in->username,
                        change->reserve_names && !busi_str_ieq(in->username, change->username), username);
    if (in->username.ptr && in->username.len == 0 && !email.ptr)
        busi_call_refuse(call, "username", BUSI_RULE_BLANK, 0); /* nothing would name the account */
    const struct auth_new_password chosen = {in->password, change->door->least_password, change->common,
                                             email, name};
    if (in->password.ptr)
        (void)!auth_new_password_check(call, "password", &chosen);
    refuse_meta(call, in->meta);
    bool twice = in->password_confirm.ptr || (change->door->asks & AUTH_ASKS_CONFIRMATION);
    if (call->n_violations == before && in->password.ptr && twice)
        (void)!auth_password_confirmed(call, in->password, in->password_confirm);
    return call->n_violations == before;
}
