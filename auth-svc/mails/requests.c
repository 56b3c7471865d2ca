/* auth.SendConfirmation, auth.StartReset, auth.StartMagicLink, auth.RemindUsername */
#include "mails/requests.h"
#include "core/account.h"
#include "core/answers.h"
#include "core/relay.h"
#include "crypto/secret.h"
#include "limits/limiter.h"
#include "mails/outbox.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    STEP_MS = 5000, /* longest for one request */
    /* Between asking and deciding: at random, so that whoever asks and at once measures how busy we are
     * learns nothing, either. */
    PAUSE_LEAST_MS = 100,
    PAUSE_MOST_MS = 500
};

struct auth_mail_requests {
    struct auth *auth; /* borrowed */
    char gap_ms[24];   /* least time between two mails of a kind to an address */
    bool going;        /* the last look found a request */
    struct auth_relay relay;
};

/* ---- asking ---- */

/* secret: of a kind that carries one; all absent: it carries none. link: with {secret} in it, or absent. */
static enum busi_code ask(struct auth *self, struct busi_call *call, const char *kind,
                          const struct auth_name_keys *name, const struct auth_one_time *secret,
                          struct busi_str link)
{
    struct busi_pg_result result;
    const struct busi_str params[] = {busi_str_of(kind),        name->email,  name->username,
                                      secret->secret,           secret->hash, secret->lifetime_s,
                                      auth_mail_language(call), link};
    enum busi_code code = busi_pg_run(self->pg, AUTH_ASK_FOR_MAIL, params, call->until_ms, &result);
    busi_pg_clear(&result);
    if (code == BUSI_OK)
        auth_relay_wake(&self->mail_requests->relay);
    return code == BUSI_UNKNOWN ? auth_database_lost(call, "the database went away; a mail may come") : code;
}

static enum busi_code ask_with_secret(struct auth *self, struct busi_call *call, enum auth_limit limit,
                                      enum auth_one_time_kind kind,
                                      const struct busi_account_name_request *in)
{
    struct auth_name_keys keys;
    struct auth_one_time secret;
    if (!auth_door_find(self->doors, in->door))
        return auth_no_such_door(call);
    enum busi_code code = auth_limit(self, call, limit, in->name);
    if (code != BUSI_OK)
        return code;
    if (!auth_name_keys(&call->arena, in->name, &keys) ||
        !auth_one_time_make(&call->arena, &self->one_time, kind, &secret))
        return auth_no_memory(call);
    return ask(self, call, auth_one_time_name(kind).ptr, &keys, &secret, in->link);
}

enum busi_code auth_send_confirmation(struct auth *self, struct busi_call *call,
                                      const struct busi_account_name_request *in, struct busi_empty *out)
{
    (void)out;
    return ask_with_secret(self, call, AUTH_LIMIT_send_confirmation, AUTH_ONE_TIME_confirm_email, in);
}

enum busi_code auth_start_reset(struct auth *self, struct busi_call *call,
                                const struct busi_account_name_request *in, struct busi_empty *out)
{
    (void)out;
    return ask_with_secret(self, call, AUTH_LIMIT_start_reset, AUTH_ONE_TIME_reset_password, in);
}

enum busi_code auth_start_magic_link(struct auth *self, struct busi_call *call,
                                     const struct busi_account_name_request *in, struct busi_empty *out)
{
    (void)out;
    return ask_with_secret(self, call, AUTH_LIMIT_start_magic_link, AUTH_ONE_TIME_magic_link, in);
}

/* By an address alone: who knows the user name has not forgotten it. */
enum busi_code auth_remind_username(struct auth *self, struct busi_call *call,
                                    const struct busi_account_name_request *in, struct busi_empty *out)
{
    struct auth_name_keys keys;
    (void)out;
    if (!auth_door_find(self->doors, in->door))
        return auth_no_such_door(call);
    enum busi_code code = auth_limit(self, call, AUTH_LIMIT_remind_username, in->name);
    if (code != BUSI_OK)
        return code;
    if (!auth_name_keys(&call->arena, in->name, &keys))
        return auth_no_memory(call);
    if (!keys.email.ptr)
        keys = (struct auth_name_keys){.email = BUSI_STR("")};
    return ask(self, call, "forgot_username", &keys, &(struct auth_one_time){0}, (struct busi_str){0});
}

enum busi_code auth_mail_request_told(struct auth *self, struct busi_call *call, const char *kind,
                                      struct busi_str email_key)
{
    return ask(self, call, kind, &(struct auth_name_keys){.email = email_key}, &(struct auth_one_time){0},
               (struct busi_str){0});
}

enum busi_code auth_mail_request_named(struct auth *self, struct busi_call *call, const char *kind,
                                       struct busi_str name)
{
    struct auth_name_keys keys;
    if (!auth_name_keys(&call->arena, name, &keys))
        return auth_no_memory(call);
    return ask(self, call, kind, &keys, &(struct auth_one_time){0}, (struct busi_str){0});
}

/* ---- deciding ---- */

static void let_time_pass(void)
{
    uint16_t random;
    busi_random_bytes(&random, sizeof(random));
    busi_fiber_sleep(PAUSE_LEAST_MS + random % (PAUSE_MOST_MS - PAUSE_LEAST_MS));
}

/* One request, the oldest: several for one account must be seen one after the other. */
static bool work(void *state)
{
    enum { WAITED, PROMISED };
    struct auth_mail_requests *requests = state;
    struct busi_pg_result result;
    struct busi_str gap_ms = busi_str_of(requests->gap_ms);
    if (!requests->going)
        let_time_pass();
    requests->going = false;
    if (busi_pg_run(requests->auth->pg, AUTH_PROMISE_MAIL, &gap_ms, busi_now_ms() + STEP_MS, &result) ==
        BUSI_OK) {
        requests->going = busi_pg_int(&result, 0, WAITED) != 0;
        if (busi_pg_int(&result, 0, PROMISED) > 0)
            auth_outbox_wake(requests->auth->outbox);
    }
    busi_pg_clear(&result);
    return requests->going;
}

struct auth_mail_requests *auth_mail_requests_new(struct auth *auth, struct busi_fibers *fibers)
{
    struct auth_mail_requests *requests = calloc(1, sizeof(*requests));
    if (!requests)
        return NULL;
    requests->auth = auth;
    snprintf(requests->gap_ms, sizeof(requests->gap_ms), "%lld", (long long)auth->settings->mail_gap_ms);
    if (!auth_relay_start(&requests->relay, fibers, work, requests))
        auth_mail_requests_free(&requests);
    return requests;
}

void auth_mail_requests_stop(struct auth_mail_requests *requests)
{
    auth_relay_stop(&requests->relay);
}

bool auth_mail_requests_stopped(const struct auth_mail_requests *requests)
{
    return !requests->relay.running;
}

void auth_mail_requests_free(struct auth_mail_requests **requests)
{
    free(*requests);
    *requests = NULL;
}
