/* auth.GetUser, auth.CreateUser, auth.UpdateUser: accounts as those see and change them who manage them,
 * their owners among these. Who may is asked before: by the gateway. */
#include "accounts/managed_user.h"
#include "accounts/new_user.h"
#include "audit/audit.h"
#include "base/log.h"
#include "core/account.h"
#include "core/answers.h"
#include "core/email.h"
#include "core/passwords.h"
#include "hooks/hooks.h"
#include "limits/limiter.h"
#include "mails/outbox.h"
#include "sessions/sessions.h"

enum busi_code auth_get_user(struct auth *self, struct busi_call *call, const struct busi_user_id_request *in,
                             struct busi_account *out)
{
    struct busi_pg_result result;
    struct busi_str id = busi_arena_int(&call->arena, in->user_id);
    size_t fit;
    if (!id.ptr)
        return auth_no_memory(call);
    enum busi_code code = busi_pg_run(self->pg, AUTH_GET_USER, &id, call->until_ms, &result);
    if (code == BUSI_OK && result.rows == 0)
        code = auth_no_such_user(call);
    else if (code == BUSI_OK)
        code = auth_managed_user_read(call, &result, 0, out);
    busi_pg_clear(&result);
    return code == BUSI_OK ? auth_managed_users_complete(self, call, out, 1, &fit) : code;
}

/* ---- making ---- */

/* The salt makes the hash unique: if the account has it, the insert was ours and was committed. */
static enum busi_code resolve_new(struct auth *self, struct busi_call *call,
                                  const struct auth_account_keys *keys, struct busi_str hash,
                                  struct auth_account *account)
{
    enum busi_code code = keys->username.ptr
                              ? auth_account_find(self, call, AUTH_FIND_BY_USERNAME, keys->username, account)
                              : auth_account_find(self, call, AUTH_FIND_BY_EMAIL, keys->email, account);
    if (code == BUSI_OK && account->id != 0 && busi_str_eq(account->hash, hash))
        return BUSI_OK;
    return auth_database_lost(call, "the database went away; the account may exist");
}

static enum busi_code create(struct auth *self, struct busi_call *call,
                             const struct busi_create_user_request *in, const struct auth_username *username,
                             struct auth_account *account)
{
    char hash[BUSI_PASSWORD_HASH_MAX];
    struct auth_account_keys keys = {.username = username->key};
    if (in->email.ptr)
        keys.email = auth_name_key(&call->arena, in->email);
    if (in->email.ptr && !keys.email.ptr)
        return auth_no_memory(call);
    enum busi_code code = auth_password_hash(self->passwords, call, in->password, hash);
    if (code != BUSI_OK)
        return code;
    const struct auth_deed deed = {.event = AUTH_AUDIT_create_user, .door = in->door};
    const struct busi_str params[] = {in->email,
                                      keys.email,
                                      username->text,
                                      username->key,
                                      busi_str_of(hash),
                                      in->meta,
                                      auth_audit_row(self, call, &deed)};
    if (!params[6].ptr)
        return auth_no_memory(call);
    code = auth_account_insert(self, call, AUTH_CREATE_MANAGED_USER, params, &keys, account);
    return code == BUSI_UNKNOWN ? resolve_new(self, call, &keys, params[4], account) : code;
}

enum busi_code auth_create_user(struct auth *self, struct busi_call *call,
                                const struct busi_create_user_request *in, struct busi_account *out)
{
    struct auth_username username;
    struct auth_account account = {0};
    const struct auth_door *door = auth_door_find(self->doors, in->door);
    if (!door)
        return auth_no_such_door(call);
    if (!auth_managed_user_check(call, in, door, &self->common, &username))
        return busi_call_fail(call, BUSI_INVALID_ARGUMENT, "the account is not valid");
    enum busi_code code = auth_passwords_room(self->passwords, call);
    if (code == BUSI_OK)
        code = create(self, call, in, &username, &account);
    if (code != BUSI_OK)
        return code;
    busi_log(BUSI_INFO, "user_created", BUSI_I("user_id", account.id), BUSI_I("by", call->user_id),
             BUSI_S("request_id", call->request_id));
    return auth_get_user(self, call, &(struct busi_user_id_request){.user_id = account.id}, out);
}

/* ---- changing ---- */

/* What UPDATE_USER takes besides the request. */
struct change {
    const struct busi_update_user_request *in;
    struct auth_account before;    /* the account so far */
    struct auth_username username; /* absent: not to change, or none any more */
    struct busi_str email_key;     /* absent: not to change */
    struct busi_str hash;          /* of the new password; absent: not to change */
    struct busi_str spared;        /* the session that asks; may be absent */
    struct auth_one_time confirm;  /* of another address */
    struct busi_str told;          /* of another password */
    int64_t epoch;                 /* the account's, afterwards */
};

/* Of this user; another's changes an account that none of its sessions need be spared of. */
static enum busi_code find_spared(struct auth *self, struct busi_call *call, struct change *change)
{
    struct busi_principal who = {0};
    if (!change->in->token.ptr)
        return BUSI_OK;
    enum busi_code code =
        auth_check_token(self, call, &(struct busi_check_token_request){.token = change->in->token}, &who);
    if (code == BUSI_OK && who.user_id == change->in->user_id)
        change->spared = who.session_id;
    return code;
}

/* A name that is refused is somebody else's. */
static bool names_anew(const struct change *change)
{
    const struct busi_str name = change->in->username;
    return name.len > 0 && !busi_str_eq(name, change->before.username);
}

/* A mail to an address that somebody names, and a hash, are what others must not be made to pay for; nor
 * shall anybody learn who has an account by trying name after name. */
static enum busi_code charge(struct auth *self, struct busi_call *call, const struct change *change)
{
    struct busi_str name = busi_arena_int(&call->arena, change->in->user_id);
    enum busi_code code = name.ptr ? BUSI_OK : auth_no_memory(call);
    if (code == BUSI_OK && change->in->password.ptr)
        code = auth_passwords_room(self->passwords, call);
    if (code == BUSI_OK && change->in->password.ptr)
        code = auth_limit(self, call, AUTH_LIMIT_change_password, name);
    if (code == BUSI_OK && change->email_key.ptr)
        code = auth_limit(self, call, AUTH_LIMIT_change_email, name);
    if (code == BUSI_OK && names_anew(change))
        code = auth_limit(self, call, AUTH_LIMIT_change_username, name);
    return code;
}

/* Everything that can be refused is, before anything is done. */
static enum busi_code prepare(struct auth *self, struct busi_call *call, const struct auth_door *door,
                              struct change *change)
{
    const struct busi_update_user_request *in = change->in;
    enum busi_code code = auth_account_find_by_id(self, call, in->user_id, &change->before);
    if (code != BUSI_OK)
        return code;
    if (change->before.id == 0)
        return auth_no_such_user(call);
    const struct auth_user_change wanted = {
        in,           door, change->before.email, change->before.username, self->settings->reserved_names,
        &self->common};
    if (!auth_user_change_check(call, &wanted, &change->username))
        return busi_call_fail(call, BUSI_INVALID_ARGUMENT, "the account is not valid");
    if (in->email.ptr)
        change->email_key = auth_name_key(&call->arena, in->email);
    if ((in->email.ptr && !change->email_key.ptr) ||
        (in->email.ptr &&
         !auth_one_time_make(&call->arena, &self->one_time, AUTH_ONE_TIME_confirm_email, &change->confirm)) ||
        (in->password.ptr &&
         !auth_hooks_told(self->hooks, call, AUTH_EVENT_after_password_change, in->door, &change->told)))
        return auth_no_memory(call);
    code = find_spared(self, call, change);
    if (code == BUSI_OK)
        code = auth_need_sessions(self, call);
    return code == BUSI_OK ? charge(self, call, change) : code;
}

/* The statement said nothing. A new hash is there only if it was ours; of the rest nobody can tell, and
 * whoever asks may ask again. */
static enum busi_code resolve(struct auth *self, struct busi_call *call, struct change *change,
                              struct busi_account *out)
{
    struct auth_account now;
    enum busi_code code = BUSI_UNAVAILABLE;
    if (change->hash.ptr)
        code = auth_account_find_by_id(self, call, change->in->user_id, &now);
    if (code != BUSI_OK || now.id == 0 || !busi_str_eq(now.hash, change->hash))
        return auth_database_lost(call, "the database went away; the account may be changed");
    change->epoch = now.epoch;
    return auth_get_user(self, call, &(struct busi_user_id_request){.user_id = now.id}, out);
}

/* For the audit log: which fields, not what they became. */
static struct busi_str list_changes(struct busi_call *call, const struct change *change)
{
    const struct busi_update_user_request *in = change->in;
    struct busi_str list = busi_arena_printf(
        &call->arena, "%s%s%s%s", in->email.ptr ? ",email" : "", in->username.ptr ? ",username" : "",
        in->password.ptr ? ",password" : "", in->meta.ptr ? ",meta" : "");
    return list.len ? (struct busi_str){list.ptr + 1, list.len - 1} : list;
}

static enum busi_code apply(struct auth *self, struct busi_call *call, struct change *change,
                            struct busi_account *out)
{
    enum { EPOCH = 10 }; /* behind the columns of MANAGED */
    const struct busi_update_user_request *in = change->in;
    struct busi_pg_result result;
    char constraint[64];
    bool unnamed = in->username.ptr && in->username.len == 0;
    const struct auth_account_keys keys = {change->email_key, change->username.key};
    const struct auth_deed deed = {
        .event = AUTH_AUDIT_update_user, .door = in->door, .detail = list_changes(call, change)};
    const struct busi_str params[] = {busi_arena_int(&call->arena, in->user_id),
                                      in->email,
                                      change->email_key,
                                      change->username.text,
                                      change->username.key,
                                      unnamed ? BUSI_STR("true") : BUSI_STR("false"),
                                      change->hash,
                                      in->meta,
                                      change->spared,
                                      auth_mail_language(call),
                                      change->confirm.secret,
                                      change->confirm.hash,
                                      change->confirm.lifetime_s,
                                      change->told,
                                      auth_audit_row(self, call, &deed)};
    if (!params[0].ptr || !deed.detail.ptr || !params[14].ptr)
        return auth_no_memory(call);
    enum busi_code code = busi_pg_run(self->pg, AUTH_UPDATE_USER, params, call->until_ms, &result);
    memcpy(constraint, result.constraint, sizeof(constraint));
    if (code == BUSI_OK && result.rows == 0)
        code = auth_no_such_user(call);
    else if (code == BUSI_OK)
        code = auth_managed_user_read(call, &result, 0, out);
    change->epoch = busi_pg_int(&result, 0, EPOCH);
    busi_pg_clear(&result);
    if (code == BUSI_ALREADY_EXISTS)
        return auth_account_refuse_taken(self, call, &keys, in->user_id, constraint);
    return code == BUSI_UNKNOWN ? resolve(self, call, change, out) : code;
}

/* Before it is answered no session of before lives that must not, and those that live say what is true. */
static enum busi_code settle(struct auth *self, struct busi_call *call, const struct change *change,
                             struct busi_account *out)
{
    const struct busi_update_user_request *in = change->in;
    enum busi_code code = BUSI_OK;
    size_t fit;
    if (change->hash.ptr)
        code = auth_session_end_below(self, call, in->user_id, change->epoch, change->spared, NULL);
    if (code == BUSI_OK && (in->email.ptr || in->username.ptr || in->meta.ptr))
        code = auth_session_update_account(self, call, in->user_id);
    return code == BUSI_OK ? auth_managed_users_complete(self, call, out, 1, &fit) : code;
}

enum busi_code auth_update_user(struct auth *self, struct busi_call *call,
                                const struct busi_update_user_request *in, struct busi_account *out)
{
    char hash[BUSI_PASSWORD_HASH_MAX];
    struct change change = {.in = in};
    const struct auth_door *door = auth_door_find(self->doors, in->door);
    if (!door)
        return auth_no_such_door(call);
    enum busi_code code = prepare(self, call, door, &change);
    if (code == BUSI_OK && in->password.ptr) {
        code = auth_password_hash(self->passwords, call, in->password, hash);
        change.hash = busi_str_of(hash);
    }
    if (code == BUSI_OK)
        code = apply(self, call, &change, out);
    if (code != BUSI_OK)
        return code;
    busi_log(BUSI_INFO, "user_updated", BUSI_I("user_id", in->user_id), BUSI_I("by", call->user_id),
             BUSI_S("request_id", call->request_id));
    auth_outbox_wake(self->outbox);
    auth_hooks_wake(self->hooks);
    return settle(self, call, &change, out);
}
