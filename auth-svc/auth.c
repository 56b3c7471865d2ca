#include "core/auth.h"
#include "base/log.h"
#include "core/passwords.h"
#include "core/session_store.h"
#include "core/username.h"
#include "crypto/secret.h"
#include "hooks/hooks.h"
#include "limits/limiter.h"
#include "limits/tally.h"
#include "mails/outbox.h"
#include "mails/requests.h"
#include "oidc/oidc.h"
#include "roles/remover.h"
#include "sessions/feed.h"
#include "sessions/journal.h"
#include <stdlib.h>

static const struct busi_pg_statement statements[] = {
#define STATEMENT(name, effect, n_params, sql) {#name, BUSI_PG_##effect, n_params, sql},
#include "core/statements.def"
#undef STATEMENT
};

static bool open_database(struct auth *auth, struct busi_loop *loop, const struct busi_settings *settings,
                          const char **error)
{
    *error = "the database's connection string is malformed";
    auth->pg = busi_pg_new(loop, &(struct busi_pg_options){
                                     .conninfo = settings->auth_database,
                                     .application = "auth-svc",
                                     .statements = statements,
                                     .n_statements = AUTH_STATEMENTS,
                                     .connections = (int)settings->database_connections,
                                     .statement_timeout_ms = settings->statement_timeout_ms,
                                 });
    return auth->pg != NULL;
}

static bool open_stores(struct auth *auth, struct busi_loop *loop, const struct busi_settings *settings,
                        const char **error)
{
    if (!open_database(auth, loop, settings, error))
        return false;
    auth->redis = busi_redis_new(loop, settings->redis, settings->redis_timeout_ms,
                                 (size_t)settings->redis_links, error);
    return auth->redis != NULL;
}

/* Opaque tokens have a key of their own, which the one setting gives. */
static bool open_sealer(struct auth *auth, const char **error)
{
    uint8_t key[32];
    *error = "no cipher for tokens";
    busi_keyed_hash(key, auth->token_hash_key, BUSI_STR("busi opaque tokens"));
    auth->sealer = busi_sealer_new(key);
    busi_wipe(key, sizeof(key));
    return auth->sealer != NULL;
}

static bool open_passwords(struct auth *auth, struct busi_loop *loop, const struct busi_settings *settings,
                           const char **error)
{
    *error = auth_common_passwords_open(&auth->common, settings->common_passwords);
    if (*error)
        return false;
    *error = "no threads for passwords";
    auth->passwords = auth_passwords_new(
        loop, &(struct auth_passwords_options){
                  .cost = {(size_t)settings->password_memory, (int)settings->password_passes,
                           (size_t)settings->password_stored_memory},
                  .threads = (int)settings->password_threads,
                  .max_wait_ms = settings->password_wait_ms,
              });
    return auth->passwords != NULL;
}

static bool prepare_names(const char **error)
{
    *error = "Unicode's tables cannot be read";
    return auth_username_prepare();
}

static bool open_journal(struct auth *auth, struct busi_fibers *fibers, const char **error)
{
    *error = "no fiber for the journal of revocations";
    auth->journal = auth_journal_new(auth, fibers);
    return auth->journal != NULL;
}

static bool open_feed(struct auth *auth, struct busi_loop *loop, const struct auth_options *options,
                      const char **error)
{
    auth->feed = auth_feed_new(auth, loop, options, error);
    return auth->feed != NULL;
}

static bool open_outbox(struct auth *auth, struct busi_loop *loop, const struct auth_options *options,
                        const char **error)
{
    auth->outbox = auth_outbox_new(loop,
                                   &(struct auth_outbox_options){
                                       .pg = auth->pg,
                                       .fibers = options->fibers,
                                       .curve = options->curve,
                                       .mailer_endpoints = options->settings->mailer_endpoints,
                                       .curve_server_dir = options->settings->curve_server_dir,
                                       .alone = options->alone,
                                   },
                                   error);
    return auth->outbox != NULL;
}

static bool open_hooks(struct auth *auth, struct busi_loop *loop, const struct auth_options *options,
                       const char **error)
{
    auth->hooks = auth_hooks_new(loop,
                                 &(struct auth_hooks_options){.pg = auth->pg,
                                                              .fibers = options->fibers,
                                                              .curve = options->curve,
                                                              .settings = options->settings,
                                                              .alone = options->alone},
                                 error);
    return auth->hooks != NULL;
}

static bool open_oidc(struct auth *auth, struct busi_loop *loop, const char **error)
{
    auth->oidc = auth_oidc_new(loop, auth->settings, error);
    return auth->oidc != NULL;
}

static bool open_fibers(struct auth *auth, struct busi_fibers *fibers, const char **error)
{
    *error = "no fibers for mails that are asked for, to count refusals, for roles, or to sweep";
    auth->mail_requests = auth_mail_requests_new(auth, fibers);
    auth->tally = auth_limit_tally_new(auth, fibers);
    auth->role_remover = auth_role_remover_new(auth, fibers);
    return auth->mail_requests && auth->tally && auth->role_remover &&
           auth_sweeper_start(&auth->sweeper, auth->pg, fibers, auth->settings);
}

struct auth *auth_new(struct busi_loop *loop, const struct auth_options *options)
{
    const struct busi_settings *settings = options->settings;
    const char *error = "out of memory";
    struct auth *auth = calloc(1, sizeof(*auth));
    if (auth) {
        auth_limits_init();
        auth_doors_init(auth->doors, auth->profiles, settings);
        auth->settings = settings;
        auth->token_hash_key = settings->token_hash_key;
        auth_one_time_init(&auth->one_time, settings);
    }
    if (!auth || !prepare_names(&error) || !open_sealer(auth, &error) ||
        !open_stores(auth, loop, settings, &error) || !open_passwords(auth, loop, settings, &error) ||
        !open_journal(auth, options->fibers, &error) || !open_feed(auth, loop, options, &error) ||
        !open_outbox(auth, loop, options, &error) || !open_hooks(auth, loop, options, &error) ||
        !open_oidc(auth, loop, &error) || !open_fibers(auth, options->fibers, &error)) {
        busi_log(BUSI_ERR, "cannot_start", BUSI_C("why", error));
        auth_free(&auth);
    }
    return auth;
}

struct auth *auth_new_database(struct busi_loop *loop, const struct auth_options *options)
{
    const char *error = "out of memory";
    struct auth *auth = calloc(1, sizeof(*auth));
    if (auth) {
        auth->settings = options->settings;
        auth->token_hash_key = options->settings->token_hash_key;
    }
    if (!auth || !open_database(auth, loop, options->settings, &error)) {
        busi_log(BUSI_ERR, "cannot_start", BUSI_C("why", error));
        auth_free(&auth);
    }
    return auth;
}

void auth_free(struct auth **auth)
{
    if (!*auth)
        return;
    auth_oidc_free(&(*auth)->oidc);
    auth_passwords_free(&(*auth)->passwords);
    auth_common_passwords_close(&(*auth)->common);
    auth_limit_tally_free(&(*auth)->tally);
    auth_mail_requests_free(&(*auth)->mail_requests);
    auth_role_remover_free(&(*auth)->role_remover);
    auth_hooks_free(&(*auth)->hooks);
    auth_outbox_free(&(*auth)->outbox);
    auth_feed_free(&(*auth)->feed);
    auth_journal_free(&(*auth)->journal);
    busi_redis_free(&(*auth)->redis);
    busi_pg_free(&(*auth)->pg);
    busi_sealer_free(&(*auth)->sealer);
    free(*auth);
    *auth = NULL;
}

bool auth_ready(const struct auth *auth)
{
    return busi_pg_ready(auth->pg) && busi_redis_ready(auth->redis) && auth_store_knows(auth);
}

void auth_drain(struct auth *auth)
{
    auth_relay_stop(&auth->sweeper.relay);
    auth_limit_tally_stop(auth->tally);
    auth_mail_requests_stop(auth->mail_requests);
    auth_role_remover_stop(auth->role_remover);
    auth_hooks_stop(auth->hooks);
    auth_outbox_stop(auth->outbox);
    auth_journal_stop(auth->journal);
    auth_feed_stop(auth->feed);
}

bool auth_idle(const struct auth *auth)
{
    return !auth->sweeper.relay.running && auth_limit_tally_stopped(auth->tally) &&
           auth_mail_requests_stopped(auth->mail_requests) && auth_role_remover_stopped(auth->role_remover) &&
           auth_hooks_stopped(auth->hooks) && auth_outbox_stopped(auth->outbox) &&
           auth_journal_stopped(auth->journal) && auth_feed_stopped(auth->feed);
}
