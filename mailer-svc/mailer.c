#include "mailer.h"
#include "base/text.h"
#include "database.h"
#include "delivery.h"
#include "mails.h"
#include "service/public_url.h"
#include "statements.h"
#include "wire/codec.h"
#include <stdlib.h>

struct mailer {
    struct busi_pg *pg;
    struct mail_route *route;
    struct busi_offload *offload; /* a thread for each lane of the route */
    struct delivery *delivery;
    struct mail_setup setup; /* borrows the settings; owns its templates */
};

enum {
    REQUEST_MAX_BYTES = 128 * 1024,
    MOST_WAIT_MS =
        3600000, /* lanes never wait for each other: no prediction is to keep one from its thread */
};

static const int64_t last_us = 253402300799000000; /* of the year 9999: Postgres knows more, but not all */

#define METHOD_MAILER(name, wire, request, reply, retry, timeout)                                            \
    BUSI_HANDLER(struct mailer, mailer, name, request, reply)
#include "proto/methods.def"

static const struct busi_endpoint endpoints[] = {
#define METHOD_MAILER(name, wire, request, reply, retry, timeout) BUSI_ENDPOINT(mailer, name)
#include "proto/methods.def"
};

/* ---- mailer.Enqueue ---- */

/* Rendered once for nothing: what is stored can be delivered. */
static enum busi_code try_to_render(const struct mailer *self, struct busi_call *call,
                                    const struct busi_enqueue_mail_request *in)
{
    struct busi_buf text;
    struct mail mail = {.request = in};
    busi_buf_init(&text, MAIL_MAX_BYTES);
    const char *error = mail_render(&text, &mail, &self->setup);
    busi_buf_fini(&text);
    return error ? busi_call_fail(call, BUSI_INVALID_ARGUMENT, error) : BUSI_OK;
}

/* The request as a bytea parameter in text form; ptr NULL when out of memory. Without its end, which is a
 * column and no part of the digest: releases on either side do not know it, and a repetition must still be
 * one. */
static struct busi_str request_parameter(struct busi_call *call, const struct busi_enqueue_mail_request *in)
{
    struct busi_enqueue_mail_request kept = *in;
    kept.expires_at = 0;
    struct busi_str parameter = {0};
    msgpack_packer packer;
    struct busi_buf bytes;
    busi_buf_init(&bytes, REQUEST_MAX_BYTES);
    busi_packer_init(&packer, &bytes);
    busi_encode(&packer, &bytes, busi_desc_enqueue_mail_request(), &kept);
    char *hex = bytes.failed ? NULL : busi_arena_alloc(&call->arena, 2 * bytes.len + 2);
    if (hex) {
        memcpy(hex, "\\x", 2);
        busi_hex_encode(hex + 2, bytes.ptr, bytes.len);
        parameter = (struct busi_str){hex, 2 * bytes.len + 2};
    }
    busi_buf_fini(&bytes);
    return parameter;
}

static enum busi_code store(struct mailer *self, struct busi_call *call,
                            const struct busi_enqueue_mail_request *in, struct busi_enqueue_mail_reply *out)
{
    struct busi_pg_result result = {0};
    struct busi_str caller = call->caller.ptr ? call->caller : BUSI_STR("");
    struct busi_str params[] = {
        caller,        call->idempotency_key,       in->kind,
        in->recipient, request_parameter(call, in), busi_arena_int(&call->arena, in->expires_at)};
    if (!params[4].ptr || !params[5].ptr)
        return busi_call_fail(call, BUSI_RESOURCE_EXHAUSTED, "out of memory");
    enum busi_code code = busi_pg_run(self->pg, MAIL_SQL_store, params, call->until_ms, &result);
    out->mail_id = busi_pg_int(&result, 0, 0);
    out->duplicate = busi_pg_int(&result, 0, 1) != 0;
    bool same = busi_pg_int(&result, 0, 2) != 0;
    busi_pg_clear(&result);
    if (code == BUSI_UNKNOWN) /* asking again with the same key is safe */
        return busi_call_fail(call, BUSI_UNAVAILABLE, "the mail may have been stored");
    if (code != BUSI_OK)
        return busi_call_fail(call, code, "the mail could not be stored");
    return same ? BUSI_OK
                : busi_call_fail(call, BUSI_INVALID_ARGUMENT, "the idempotency key is another mail's");
}

enum busi_code mailer_enqueue(struct mailer *self, struct busi_call *call,
                              const struct busi_enqueue_mail_request *in, struct busi_enqueue_mail_reply *out)
{
    if (call->idempotency_key.len == 0)
        return busi_call_fail(call, BUSI_INVALID_ARGUMENT, "an idempotency key is required");
    if (in->expires_at < 0 || in->expires_at > last_us)
        return busi_call_fail(call, BUSI_INVALID_ARGUMENT, "expires_at is no time");
    enum busi_code code = try_to_render(self, call, in);
    if (code == BUSI_OK)
        code = store(self, call, in, out);
    if (code == BUSI_OK && !out->duplicate)
        delivery_wake(self->delivery);
    return code;
}

/* ---- the service ---- */

static bool check(const struct busi_settings *settings, struct busi_buf *errors)
{
    size_t before = errors->len;
    struct mail_sender from;
    if (settings->mailer_database.len == 0)
        busi_buf_str(errors,
                     BUSI_STR("BUSI_MAILER_DATABASE: is not set; name the database as role busi_mailer\n"));
    else if (!busi_pg_conninfo_valid(settings->mailer_database))
        busi_buf_str(errors, BUSI_STR("BUSI_MAILER_DATABASE: is not a connection string of Postgres\n"));
    (void)mail_route_check(settings, errors);
    if (!mail_sender_parse(settings->mail_from, &from))
        busi_buf_printf(errors, "BUSI_MAIL_FROM: '%.*s' is not like 'name <local@domain>'\n",
                        BUSI_ARG(settings->mail_from));
    if (!busi_public_url_valid(settings->base_url))
        busi_buf_printf(errors,
                        "BUSI_BASE_URL: '%.*s' is not like https://example.com, without a slash at its end\n",
                        BUSI_ARG(settings->base_url));
    if (!mail_language_valid(settings->mail_language))
        busi_buf_printf(errors, "BUSI_MAIL_LANGUAGE: '%.*s' is not a language like en or de-AT\n",
                        BUSI_ARG(settings->mail_language));
    return errors->len == before;
}

static bool start_parts(struct mailer *self, struct busi_process *process)
{
    const struct busi_settings *settings = process->settings;
    if (!mail_sender_parse(settings->mail_from, &self->setup.from))
        return false;
    self->setup.base_url = settings->base_url;
    self->setup.templates = mail_templates_new(settings->mail_templates, settings->mail_language);
    self->pg = busi_pg_new(process->loop,
                           &(struct busi_pg_options){.conninfo = settings->mailer_database,
                                                     .application = "mailer-svc",
                                                     .statements = mail_statements,
                                                     .n_statements = MAIL_SQL_COUNT,
                                                     .connections = (int)settings->database_connections,
                                                     .statement_timeout_ms = settings->statement_timeout_ms});
    self->route = mail_route_new(settings, &self->setup.from);
    if (!self->setup.templates || !self->pg || !self->route)
        return false;
    self->offload =
        busi_offload_new(process->loop, &(struct busi_offload_options){.name = "mail-route",
                                                                       .threads = self->route->lanes,
                                                                       .max_wait_ms = MOST_WAIT_MS,
                                                                       .max_queue = 128});
    if (!self->offload)
        return false;
    self->delivery = delivery_new(&(struct delivery_options){.process = process,
                                                             .queue = {self->pg, settings},
                                                             .offload = self->offload,
                                                             .route = self->route,
                                                             .setup = self->setup});
    return self->delivery && delivery_start(self->delivery);
}

static void *start(struct busi_process *process)
{
    struct mailer *self = calloc(1, sizeof(*self));
    if (!self)
        return NULL;
    if (start_parts(self, process))
        return self;
    free(self); /* the process ends: its parts with it */
    return NULL;
}

static bool ready(void *state)
{
    const struct mailer *self = state;
    return busi_pg_ready(self->pg) && delivery_ready(self->delivery);
}

static void drain(void *state)
{
    struct mailer *self = state;
    delivery_stop(self->delivery);
}

static bool idle(void *state)
{
    const struct mailer *self = state;
    return delivery_stopped(self->delivery);
}

static void stop(void *state)
{
    struct mailer *self = state;
    delivery_free(&self->delivery);
    busi_offload_free(&self->offload);
    self->route->free(&self->route);
    busi_pg_free(&self->pg);
    mail_templates_free(&self->setup.templates);
    free(self);
}

static const struct busi_command commands[] = {
    {.name = "migrate",
     .arguments = "[--status]",
     .help = "bring the schema up to date, or list what is pending",
     .run = mailer_migrate},
    {.name = "mails",
     .arguments = MAILER_MAILS_USAGE,
     .help = "list mails; try dead letters again, or forget them",
     .details = "    S is dead, queued or delivered. ID is what the list begins a line with; --after one "
                "goes on behind it.\n",
     .run = mailer_mails},
};

const struct busi_service mailer_service = {
    .name = "mailer-svc",
    .rpc_name = "mailer",
    .summary = "stores mails and delivers them",
    .user = BUSI_USER_M,
    .endpoints = endpoints,
    .n_endpoints = sizeof(endpoints) / sizeof(endpoints)[0],
    .commands = commands,
    .n_commands = sizeof(commands) / sizeof(commands)[0],
    .check = check,
    .start = start,
    .ready = ready,
    .drain = drain,
    .idle = idle,
    .stop = stop,
};
