/* auth.SignUp */
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
#include "mails/requests.h"
#include "sessions/sessions.h"

/* An account about to be made, as CREATE_USER takes it. */
struct draft {
    struct busi_str email_key;
    struct auth_username username; /* or absent */
    struct busi_str hash;          /* of the password */
    struct auth_one_time confirm;  /* the secret that confirms its address; absent: its mail is a greeting */
};

/* The connection broke after the insert was sent. The salt makes the hash unique: if the account has it, the
 * insert was ours and was committed. */
static enum busi_code resolve(struct auth *self, struct busi_call *call, const struct draft *draft,
                              struct auth_account *account)
{
    enum busi_code code = auth_account_find(self, call, AUTH_FIND_BY_EMAIL, draft->email_key, account);
    if (code == BUSI_OK && account->id != 0 && busi_str_eq(account->hash, draft->hash))
        return BUSI_OK;
    return auth_database_lost(call, "the database went away; the account may exist");
}

static enum busi_code create(struct auth *self, struct busi_call *call, const struct busi_sign_up_request *in,
                             const struct auth_door *door, const struct draft *draft,
                             struct auth_account *account)
{
    const struct busi_str params[] = {
        in->email,
        draft->email_key,
        draft->username.text,
        draft->username.key,
        draft->hash,
        in->meta,
        auth_mail_language(call),
        draft->confirm.secret,
        draft->confirm.hash,
        draft->confirm.lifetime_s,
        busi_arena_int(&call->arena, auth_hooks_patience_ms(self->hooks, AUTH_EVENT_after_register)),
        auth_audit_row(self, call, &(struct auth_deed){.event = AUTH_AUDIT_sign_up, .door = in->door}),
        in->link,
        door->new_role,
        in->name};
    if (!params[10].ptr || !params[11].ptr)
        return auth_no_memory(call);
    const struct auth_account_keys keys = {draft->email_key, draft->username.key};
    enum busi_code code = auth_account_insert(self, call, AUTH_CREATE_USER, params, &keys, account);
    return code == BUSI_UNKNOWN ? resolve(self, call, draft, account) : code;
}

/* A hook has refused the account, or was to be asked and could not be. Its mail has waited for that. */
static enum busi_code undo(struct auth *self, struct busi_call *call, struct busi_str door,
                           const struct auth_account *account, enum busi_code why)
{
    struct busi_pg_result result;
    const struct auth_deed deed = {
        .event = AUTH_AUDIT_sign_up, .failed = true, .door = door, .detail = BUSI_STR("hook")};
    const struct busi_str params[] = {busi_arena_int(&call->arena, account->id),
                                      auth_audit_row(self, call, &deed)};
    if (!params[0].ptr || !params[1].ptr)
        return auth_no_memory(call);
    enum busi_code code = busi_pg_run(self->pg, AUTH_UNDO_USER, params, call->until_ms, &result);
    busi_pg_clear(&result);
    if (code != BUSI_OK)
        busi_log(BUSI_ERR, "refused_account_left_behind", BUSI_I("user_id", account->id),
                 BUSI_C("code", busi_code_name((int)code)));
    return why;
}

static enum busi_code prepare(struct auth *self, struct busi_call *call,
                              const struct busi_sign_up_request *in, const struct auth_door *door,
                              struct draft *draft)
{
    if (!auth_new_user_check(call, in, door, self->settings->reserved_names, &self->common, &draft->username))
        return busi_call_fail(call, BUSI_INVALID_ARGUMENT, "the account is not valid");
    draft->email_key = auth_name_key(&call->arena, in->email);
    if (!draft->email_key.ptr)
        return auth_no_memory(call);
    if (door->new_mail == AUTH_NEW_CONFIRMATION &&
        !auth_one_time_make(&call->arena, &self->one_time, AUTH_ONE_TIME_confirm_email, &draft->confirm))
        return auth_no_memory(call);
    return auth_need_sessions(self, call);
}

/* A taken address, which its owner is told of, is answered as a new one. */
static enum busi_code hide_taken(struct auth *self, struct busi_call *call, const struct draft *draft,
                                 enum busi_code code)
{
    const struct busi_violation *violation = &call->violations[0];
    if (call->n_violations != 1 || violation->rule != BUSI_RULE_TAKEN ||
        !busi_str_eq(violation->field, BUSI_STR("email")))
        return code;
    call->n_violations = 0;
    call->message = (struct busi_str){0};
    return auth_mail_request_told(self, call, "already_registered", draft->email_key);
}

static void say_nothing(struct busi_session_reply *out, int64_t user_id)
{
    *out = (struct busi_session_reply){
        .user_id = user_id, .session_id = BUSI_STR(""), .access_token = BUSI_STR("")};
}

/* A taken address costs its hash, too: the time of the answer says nothing more than the answer. */
enum busi_code auth_sign_up(struct auth *self, struct busi_call *call, const struct busi_sign_up_request *in,
                            struct busi_session_reply *out)
{
    char hash[BUSI_PASSWORD_HASH_MAX];
    struct draft draft = {0};
    struct auth_account account = {0};
    const struct auth_door *door = auth_door_find(self->doors, in->door);
    if (!door)
        return auth_no_such_door(call);
    enum busi_code code = prepare(self, call, in, door, &draft);
    if (code == BUSI_OK)
        code = auth_passwords_room(self->passwords, call);
    if (code == BUSI_OK)
        code = auth_limit(self, call, AUTH_LIMIT_sign_up, in->email);
    if (code == BUSI_OK)
        code = auth_password_hash(self->passwords, call, in->password, hash);
    if (code != BUSI_OK)
        return code;
    draft.hash = busi_str_of(hash);
    code = create(self, call, in, door, &draft, &account);
    if (in->discreet && code == BUSI_INVALID_ARGUMENT) {
        say_nothing(out, 0);
        return hide_taken(self, call, &draft, code);
    }
    if (code != BUSI_OK)
        return code;
    busi_log(BUSI_INFO, "user_created", BUSI_I("user_id", account.id),
             BUSI_S("request_id", call->request_id));
    struct auth_hook_answer added;
    code = auth_hooks_ask(self->hooks, call, AUTH_EVENT_after_register, &account, in->door, &added);
    if (code != BUSI_OK)
        return undo(self, call, in->door, &account, code);
    auth_outbox_wake(self->outbox);
    if (in->discreet) {
        say_nothing(out, account.id);
        return BUSI_OK;
    }
    return auth_session_open(self, call, &account, door, &added, out);
}
