#include "auth.h"
#include "base/log.h"
#include "base/metrics.h"
#include "email.h"
#include "limits.h"
#include "new_user.h"
#include "outbox.h"
#include "passwords.h"
#include "sessions.h"

enum { RETRY_AFTER_MS = 1000, LOGIN_MOST_BYTES = AUTH_EMAIL_MOST_BYTES };

/* An account as its credentials are looked up. Texts are in the call's arena. */
struct user {
    int64_t id;               /* 0: there is none */
    struct busi_str email;    /* as typed at sign-up */
    struct busi_str username; /* or absent */
    struct busi_str hash;     /* or absent: signs in by other means */
    bool blocked;
};

static enum busi_code no_such_door(struct busi_call *call)
{
    return busi_call_fail(call, BUSI_INVALID_ARGUMENT, "no such door");
}

/* One text for all reasons, which differ in nothing that can be seen. */
static enum busi_code unauthorized(struct busi_call *call)
{
    return busi_call_fail(call, BUSI_UNAUTHENTICATED, "unauthorized");
}

/* Before a hash is computed: without sessions its result would be of no use. */
static enum busi_code need_sessions(struct auth *self, struct busi_call *call)
{
    if (busi_redis_ready(self->redis))
        return BUSI_OK;
    call->retry_after_ms = RETRY_AFTER_MS;
    return busi_call_fail(call, BUSI_UNAVAILABLE, "the session store is away");
}

/* ---- looking up ---- */

static enum busi_code find(struct auth *self, struct busi_call *call, enum auth_statement statement,
                           struct busi_str key, struct user *user)
{
    enum { ID, EMAIL, USERNAME, HASH, BLOCKED };
    struct busi_pg_result result;
    *user = (struct user){0};
    enum busi_code code = busi_pg_run(self->pg, statement, &key, call->until_ms, &result);
    if (code == BUSI_OK && result.rows > 0) {
        user->id = busi_pg_int(&result, 0, ID);
        user->email = busi_arena_dup(&call->arena, busi_pg_value(&result, 0, EMAIL));
        user->username = busi_arena_dup(&call->arena, busi_pg_value(&result, 0, USERNAME));
        user->hash = busi_arena_dup(&call->arena, busi_pg_value(&result, 0, HASH));
        user->blocked = busi_pg_int(&result, 0, BLOCKED) != 0;
    }
    busi_pg_clear(&result);
    return code;
}

/* A login that can be nobody's is looked up as well: "" is no key of any account. */
static enum busi_code find_login(struct auth *self, struct busi_call *call, const struct auth_door *door,
                                 struct busi_str login, struct user *user)
{
    bool username = door->logins == AUTH_LOGIN_EMAIL_OR_USERNAME &&
                    (login.len == 0 || !memchr(login.ptr, '@', login.len));
    struct busi_str key = BUSI_STR("");
    if (login.len <= LOGIN_MOST_BYTES)
        key = auth_name_key(&call->arena, login);
    if (!key.ptr)
        return busi_call_fail(call, BUSI_INTERNAL, "the call's memory is used up");
    return find(self, call, username ? AUTH_FIND_BY_USERNAME : AUTH_FIND_BY_EMAIL, key, user);
}

/* ---- signing up ---- */

/* The connection broke after the insert was sent. The salt makes the hash unique: if the account has it, the
 * insert was ours and was committed. */
static enum busi_code resolve(struct auth *self, struct busi_call *call, struct busi_str key,
                              struct busi_str hash, int64_t *id)
{
    struct user user;
    enum busi_code code = find(self, call, AUTH_FIND_BY_EMAIL, key, &user);
    if (code == BUSI_OK && user.id != 0 && busi_str_eq(user.hash, hash)) {
        *id = user.id;
        return BUSI_OK;
    }
    call->retry_after_ms = RETRY_AFTER_MS;
    return busi_call_fail(call, BUSI_UNAVAILABLE, "the database went away; the account may exist");
}

static enum busi_code insert(struct auth *self, struct busi_call *call, struct busi_str email,
                             struct busi_str hash, int64_t *id)
{
    struct busi_pg_result result;
    struct busi_str key = auth_name_key(&call->arena, email);
    if (!key.ptr)
        return busi_call_fail(call, BUSI_INTERNAL, "the call's memory is used up");
    enum busi_code code = busi_pg_run(self->pg, AUTH_CREATE_USER, (const struct busi_str[]){email, key, hash},
                                      call->until_ms, &result);
    *id = busi_pg_int(&result, 0, 0);
    busi_pg_clear(&result);
    if (code == BUSI_ALREADY_EXISTS) {
        busi_call_refuse(call, "email", BUSI_RULE_TAKEN, 0);
        return busi_call_fail(call, BUSI_INVALID_ARGUMENT, "the account is not valid");
    }
    return code == BUSI_UNKNOWN ? resolve(self, call, key, hash, id) : code;
}

/* A taken address costs its hash, too: the time of the answer says nothing more than the answer. */
enum busi_code auth_sign_up(struct auth *self, struct busi_call *call, const struct busi_sign_up_request *in,
                            struct busi_session_reply *out)
{
    char hash[BUSI_PASSWORD_HASH_MAX];
    int64_t id = 0;
    const struct auth_door *door = auth_door_find(self->doors, in->door);
    if (!door)
        return no_such_door(call);
    if (!auth_new_user_check(call, in, door->least_password))
        return busi_call_fail(call, BUSI_INVALID_ARGUMENT, "the account is not valid");
    enum busi_code code = need_sessions(self, call);
    if (code == BUSI_OK)
        code = auth_limit(self, call, AUTH_LIMIT_sign_up, in->email);
    if (code == BUSI_OK)
        code = auth_password_hash(self->passwords, call, in->password, hash);
    if (code == BUSI_OK)
        code = insert(self, call, in->email, busi_str_of(hash), &id);
    if (code != BUSI_OK)
        return code;
    busi_log(BUSI_INFO, "user_created", BUSI_I("user_id", id), BUSI_S("request_id", call->request_id));
    auth_outbox_wake(self->outbox);
    out->email = in->email;
    return auth_session_open(self, call, id, door, out);
}

/* ---- signing in ---- */

/* A failure is counted, not told: the password was right. */
static void replace_hash(struct auth *self, struct busi_call *call, const struct user *user,
                         const char *better)
{
    struct busi_pg_result result;
    const struct busi_str params[] = {busi_arena_int(&call->arena, user->id), user->hash,
                                      busi_str_of(better)};
    enum busi_code code = BUSI_INTERNAL;
    if (*better && params[0].ptr) {
        code = busi_pg_run(self->pg, AUTH_REPLACE_HASH, params, call->until_ms, &result);
        busi_pg_clear(&result);
    }
    if (code == BUSI_OK)
        return;
    busi_metric_add(BUSI_METRIC_password_rehash_failed, 1);
    busi_log(BUSI_WARN, "rehash_failed", BUSI_I("user_id", user->id),
             BUSI_C("code", busi_code_name((int)code)));
}

enum busi_code auth_sign_in(struct auth *self, struct busi_call *call, const struct busi_sign_in_request *in,
                            struct busi_session_reply *out)
{
    struct user user = {0};
    const struct auth_door *door = auth_door_find(self->doors, in->door);
    if (!door)
        return no_such_door(call);
    enum busi_code code = need_sessions(self, call);
    if (code == BUSI_OK)
        code = auth_limit(self, call, AUTH_LIMIT_sign_in, in->login);
    if (code == BUSI_OK)
        code = find_login(self, call, door, in->login, &user);
    if (code != BUSI_OK)
        return code;
    struct auth_password_check check = {.stored = user.hash, .password = in->password};
    code = auth_password_verify(self->passwords, call, &check);
    if (code != BUSI_OK)
        return code;
    if (check.verdict == BUSI_PASSWORD_UNREADABLE)
        busi_log(BUSI_ERR, "stored_hash_unreadable", BUSI_I("user_id", user.id));
    bool right = check.verdict == BUSI_PASSWORD_RIGHT || check.verdict == BUSI_PASSWORD_WEAK;
    if (!right || user.blocked)
        return unauthorized(call);
    auth_limit_passed(self, call, AUTH_LIMIT_sign_in, in->login);
    if (check.verdict == BUSI_PASSWORD_WEAK)
        replace_hash(self, call, &user, check.better);
    out->email = user.email;
    out->username = user.username;
    return auth_session_open(self, call, user.id, door, out);
}

/* ---- deleting ---- */

/* First the account, so that no session can begin any more, then the sessions. Asked again after a failure,
 * it goes on where it stopped. */
enum busi_code auth_delete_user(struct auth *self, struct busi_call *call,
                                const struct busi_user_id_request *in, struct busi_count_reply *out)
{
    struct busi_pg_result result;
    struct busi_str id = busi_arena_int(&call->arena, in->user_id);
    if (!id.ptr)
        return busi_call_fail(call, BUSI_INTERNAL, "the call's memory is used up");
    enum busi_code code = busi_pg_run(self->pg, AUTH_DELETE_USER, &id, call->until_ms, &result);
    out->count = busi_pg_int(&result, 0, 0);
    busi_pg_clear(&result);
    if (code == BUSI_UNKNOWN)
        return busi_call_fail(call, BUSI_UNAVAILABLE, "the database went away; the account may be gone");
    if (code != BUSI_OK)
        return code;
    return auth_session_end_all(self, call, in->user_id);
}
