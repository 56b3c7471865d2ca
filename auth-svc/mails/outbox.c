#include "mails/outbox.h"
#include "base/log.h"
#include "core/auth.h"
#include "core/relay.h"
#include <stdio.h>
#include <stdlib.h>

enum {
    BATCH = 16,        /* mails taken at once */
    ENQUEUE_MS = 2000, /* a mailer's answer */
    ARENA_BYTES = 256 * 1024,
    ARGUMENTS_MOST = 16,
    LANGUAGE_MOST_BYTES = 16, /* of enqueue_mail_request */
};
/* Columns of TAKE_MAILS. */
enum { ID, KEY, KIND, RECIPIENT, LANGUAGE, ATTEMPTS, EXPIRES_AT, NAME, VALUE };

struct auth_outbox {
    struct busi_pg *pg;             /* borrowed */
    struct busi_rpc_client *mailer; /* owned; NULL: none configured */
    struct auth_relay relay;        /* never begun without a mailer */
};

/* A mail and what its delivery needs. Arguments are rows of their own. */
struct mail {
    int64_t id;
    struct busi_str key;
    struct busi_enqueue_mail_request request;
    int rows; /* of the result */
};

static void read_mail(const struct busi_pg_result *result, int row, struct busi_mail_argument *arguments,
                      struct mail *mail)
{
    *mail = (struct mail){.id = busi_pg_int(result, row, ID), .key = busi_pg_value(result, row, KEY)};
    mail->request.kind = busi_pg_value(result, row, KIND);
    mail->request.recipient = busi_pg_value(result, row, RECIPIENT);
    mail->request.language = busi_pg_value(result, row, LANGUAGE);
    mail->request.expires_at = busi_pg_int(result, row, EXPIRES_AT);
    mail->request.arguments.items = arguments;
    for (; row < result->rows && busi_pg_int(result, row, ID) == mail->id; row++, mail->rows++) {
        struct busi_mail_argument argument = {.name = busi_pg_value(result, row, NAME),
                                              .value = busi_pg_value(result, row, VALUE)};
        if (argument.name.ptr && argument.value.ptr && mail->request.arguments.n < ARGUMENTS_MOST)
            arguments[mail->request.arguments.n++] = argument;
    }
}

static void forget(struct auth_outbox *outbox, struct busi_call *call, int64_t id)
{
    struct busi_pg_result result;
    char text[24];
    struct busi_str param = {text, (size_t)snprintf(text, sizeof(text), "%lld", (long long)id)};
    if (busi_pg_run(outbox->pg, AUTH_DELETE_MAIL, &param, call->until_ms, &result) != BUSI_OK)
        busi_log(BUSI_WARN, "mail_comes_again",
                 BUSI_I("outbox_id", id)); /* the mailer will know it by its key */
    busi_pg_clear(&result);
}

/* False: the mailer is not there; no use to go on with others. */
static bool hand_over(struct auth_outbox *outbox, const struct mail *mail, int64_t attempts)
{
    struct busi_call call;
    struct busi_enqueue_mail_reply reply = {0};
    busi_call_init(&call, ARENA_BYTES);
    call.until_ms = busi_now_ms() + ENQUEUE_MS;
    call.request_id = busi_arena_printf(&call.arena, "outbox-%lld", (long long)mail->id);
    call.idempotency_key = mail->key;
    enum busi_code code = busi_rpc_mailer_enqueue(outbox->mailer, &call, &mail->request, &reply);
    if (code == BUSI_OK) {
        call.until_ms = busi_now_ms() + ENQUEUE_MS;
        forget(outbox, &call, mail->id);
    } else {
        busi_log(BUSI_WARN, "mail_not_taken", BUSI_I("outbox_id", mail->id), BUSI_I("attempts", attempts),
                 BUSI_C("code", busi_code_name((int)code)), BUSI_S("message", call.message));
    }
    busi_call_fini(&call);
    return code != BUSI_UNAVAILABLE && code != BUSI_DEADLINE_EXCEEDED;
}

/* Those not handed over stay in the table and are due again. True: there may be more. */
static bool work(void *state)
{
    struct auth_outbox *outbox = state;
    struct busi_mail_argument arguments[ARGUMENTS_MOST];
    struct busi_pg_result result;
    char text[24];
    struct busi_str most = {text, (size_t)snprintf(text, sizeof(text), "%d", BATCH)};
    struct mail mail;
    if (!busi_rpc_client_ready(outbox->mailer))
        return false; /* what is not taken needs no lease to run out */
    if (busi_pg_run(outbox->pg, AUTH_TAKE_MAILS, &most, busi_now_ms() + ENQUEUE_MS, &result) != BUSI_OK) {
        busi_pg_clear(&result);
        return false;
    }
    bool there = true;
    int mails = 0;
    for (int row = 0; row < result.rows && there && !outbox->relay.stopping; row += mail.rows, mails++) {
        read_mail(&result, row, arguments, &mail);
        there = hand_over(outbox, &mail, busi_pg_int(&result, row, ATTEMPTS));
    }
    busi_pg_clear(&result);
    return there && mails == BATCH;
}

static struct busi_rpc_client *connect_mailer(struct busi_loop *loop,
                                              const struct auth_outbox_options *options, const char **error)
{
    struct busi_arena arena;
    busi_arena_init(&arena, 8192);
    struct busi_str key_file = {0};
    if (options->curve)
        key_file = busi_arena_printf(&arena, "%.*s/mailer-svc.pub", BUSI_ARG(options->curve_server_dir));
    struct busi_rpc_target target = {"mailer", options->mailer_endpoints, key_file};
    struct busi_rpc_client *client = busi_rpc_client_new(
        loop,
        &(struct busi_rpc_client_options){
            .targets = &target, .n_targets = 1, .curve = options->curve, .max_in_flight = BATCH},
        error);
    busi_arena_fini(&arena);
    return client;
}

struct auth_outbox *auth_outbox_new(struct busi_loop *loop, const struct auth_outbox_options *options,
                                    const char **error)
{
    struct auth_outbox *outbox = calloc(1, sizeof(*outbox));
    *error = "out of memory";
    if (!outbox)
        return NULL;
    outbox->pg = options->pg;
    if (options->alone)
        return outbox;
    if (options->mailer_endpoints.len == 0) {
        busi_log(BUSI_WARN, "mails_wait", BUSI_C("why", "BUSI_MAILER_ENDPOINTS is not set"));
        return outbox;
    }
    outbox->mailer = connect_mailer(loop, options, error);
    if (!outbox->mailer) {
        auth_outbox_free(&outbox);
        return NULL;
    }
    *error = "no fiber is left";
    if (!auth_relay_start(&outbox->relay, options->fibers, work, outbox))
        auth_outbox_free(&outbox);
    return outbox;
}

/* A longer one than mailers take is no reason to lose a mail. */
struct busi_str auth_mail_language(const struct busi_call *call)
{
    struct busi_str language = call->origin.language;
    return language.len > 0 && language.len <= LANGUAGE_MOST_BYTES ? language : (struct busi_str){0};
}

void auth_outbox_wake(struct auth_outbox *outbox)
{
    auth_relay_wake(&outbox->relay);
}

void auth_outbox_stop(struct auth_outbox *outbox)
{
    auth_relay_stop(&outbox->relay);
}

bool auth_outbox_stopped(const struct auth_outbox *outbox)
{
    return !outbox->relay.running;
}

void auth_outbox_free(struct auth_outbox **outbox)
{
    if (!*outbox)
        return;
    busi_rpc_client_free(&(*outbox)->mailer);
    free(*outbox);
    *outbox = NULL;
}
