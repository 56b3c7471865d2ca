/* Words for the life of an account at the accesspass door: user names, confirmation, mails that are asked
 * for. */
#pragma once
#include "auth-svc_kit.h"

#define DOOR BUSI_STR("accesspass")
#define MAILS "SELECT count(*) FROM auth.outbox"
#define REQUESTS "SELECT count(*) FROM auth.mail_requests"
/* Mails that are of no use from the moment on from which their secret is. */
#define EXPIRE_WITH_SECRETS                                                                                  \
    "SELECT count(*) FROM auth.outbox AS o JOIN auth.one_time_secrets AS s USING (kind, expires_at)"         \
    " WHERE o.arguments ? 'secret'"
/* The secret of the newest mail. */
#define SECRET "SELECT arguments ->> 'secret' FROM auth.outbox ORDER BY id DESC LIMIT 1"

static inline enum busi_code sign_up_as(const char *username, const char *email, const char *meta,
                                        struct busi_session_reply *out)
{
    struct busi_sign_up_request in = {.door = DOOR,
                                      .email = busi_str_of(email),
                                      .username = busi_str_of(username),
                                      .password = BUSI_STR(PASSWORD),
                                      .password_confirm = BUSI_STR(PASSWORD),
                                      .meta = busi_str_of(meta)};
    *out = (struct busi_session_reply){0};
    begin(&world.call);
    world.call.origin.language = BUSI_STR("de");
    return auth_sign_up(world.auth, &world.call, &in, out);
}

/* Bob, whose address is bob@example.com: a token of his. */
static inline struct busi_str bob(void)
{
    struct busi_session_reply session;
    cr_assert_eq(sign_up_as("Bob", "Bob@Example.com", NULL, &session), BUSI_OK);
    return keep(session.access_token);
}

static inline enum busi_code sign_in_as(const char *login, const char *password,
                                        struct busi_session_reply *out)
{
    struct busi_sign_in_request in = {
        .door = DOOR, .login = busi_str_of(login), .password = busi_str_of(password)};
    *out = (struct busi_session_reply){0};
    begin(&world.call);
    return auth_sign_in(world.auth, &world.call, &in, out);
}

static inline struct busi_str signed_in(const char *login, const char *password)
{
    struct busi_session_reply session;
    cr_assert_eq(sign_in_as(login, password, &session), BUSI_OK);
    return keep(session.access_token);
}

static inline enum busi_code confirm(struct busi_str secret, struct busi_session_reply *out)
{
    struct busi_confirm_email_request in = {.door = DOOR, .secret = secret};
    *out = (struct busi_session_reply){0};
    begin(&world.call);
    return auth_confirm_email(world.auth, &world.call, &in, out);
}

/* ---- mails that anybody may ask for ---- */

typedef enum busi_code asking(struct auth *, struct busi_call *, const struct busi_account_name_request *,
                              struct busi_empty *);

static inline void ask(asking *handler, const char *name)
{
    struct busi_empty out;
    begin(&world.call);
    world.call.origin.language = BUSI_STR("de");
    struct busi_account_name_request in = {.door = DOOR, .name = busi_str_of(name)};
    cr_assert_eq(handler(world.auth, &world.call, &in, &out), BUSI_OK);
    cr_assert(!world.call.message.ptr && world.call.n_violations == 0);
}

/* Until all that was asked for is decided. */
static inline void decided(void)
{
    for (int64_t until_ms = busi_now_ms() + 10000; admin_int(REQUESTS) > 0; busi_fiber_sleep(5))
        cr_assert(busi_now_ms() < until_ms, "requests wait");
}

static inline void ask_and_wait(asking *handler, const char *name)
{
    ask(handler, name);
    decided();
}

static inline struct busi_str reset_of(const char *name)
{
    ask_and_wait(auth_start_reset, name);
    return admin_text(SECRET);
}

static inline enum busi_code finish_reset(struct busi_str secret, const char *password, const char *again)
{
    struct busi_finish_reset_reply out;
    struct busi_finish_reset_request in = {.door = DOOR,
                                           .secret = secret,
                                           .password = busi_str_of(password),
                                           .password_confirm = busi_str_of(again)};
    begin(&world.call);
    return auth_finish_reset(world.auth, &world.call, &in, &out);
}

static inline bool lives(struct busi_str token)
{
    struct busi_principal who;
    enum busi_code code = check(token, &who);
    cr_assert(code == BUSI_OK || code == BUSI_UNAUTHENTICATED, "%s", busi_code_name((int)code));
    return code == BUSI_OK;
}

/* ---- many at once ---- */

enum { RACERS = 64 };
static struct {
    int running, won, lost;
    void (*body)(struct busi_call *call, size_t number); /* says won or lost */
} race;

static inline void race_one(void *arg)
{
    struct busi_call call;
    busi_call_init(&call, 1 << 20);
    call.until_ms = busi_now_ms() + 30000;
    race.body(&call, (size_t)(intptr_t)arg);
    busi_call_fini(&call);
    race.running--;
}

static inline void race_all(void (*body)(struct busi_call *call, size_t number))
{
    race.body = body;
    race.won = race.lost = 0;
    for (race.running = 0; race.running < RACERS;)
        cr_assert(busi_fiber_start(world.fibers, race_one, (void *)(intptr_t)race.running++));
    while (race.running > 0)
        busi_fiber_sleep(5);
}
