/* Accounts, passwords, sessions and tokens: the handlers of proto/methods.def's METHOD_AUTH. They run on
 * fibers of the loop; all they answer with lives in the call's arena. */
#pragma once
#include "core/common_passwords.h"
#include "core/doors.h"
#include "core/one_time.h"
#include "core/sweeper.h"
#include "crypto/password.h"
#include "crypto/sealed.h"
#include "rpc/client.h"
#include "store/pg.h"
#include "store/redis.h"

enum auth_statement {
#define STATEMENT(name, effect, n_params, sql) AUTH_##name,
#include "core/statements.def"
#undef STATEMENT
    AUTH_STATEMENTS
};

struct auth {
    struct busi_pg *pg;                       /* owned: users and the outbox */
    struct busi_redis *redis;                 /* owned: sessions */
    struct auth_passwords *passwords;         /* owned: the threads that hash */
    struct auth_journal *journal;             /* owned: tells Redis again what was revoked */
    struct auth_feed *feed;                   /* owned: tells gateways what has ended */
    struct auth_common_passwords common;      /* those nobody may choose */
    struct auth_outbox *outbox;               /* owned: hands mails to the mailer */
    struct auth_hooks *hooks;                 /* owned: asks and tells other services */
    struct auth_mail_requests *mail_requests; /* owned: decides on mails that were asked for */
    struct auth_role_remover *role_remover;   /* owned: takes deleted roles from all who have them */
    struct auth_oidc *oidc;                   /* owned: asks OpenID providers who somebody is */
    struct auth_limit_tally *tally;           /* owned: counts for the audit log what limits refuse */
    struct auth_sweeper sweeper;
    struct auth_door doors[AUTH_DOORS];
    struct auth_profile profiles[AUTH_PROFILES];
    const struct busi_settings *settings; /* borrowed */
    struct busi_str token_hash_key;       /* of what is stored of tokens; borrowed from the settings */
    struct auth_one_time_rules one_time;
    struct busi_sealer *sealer; /* owned: makes and reads opaque tokens */
    /* generation of the connection whose Redis knows all that was revoked; 0: none. The journal's */
    uint64_t redis_told;
};

struct auth_options {
    const struct busi_settings *settings; /* borrowed while the service lives */
    struct busi_fibers *fibers;           /* the outbox runs on one */
    int64_t lease_ms;                     /* of gateways (feed.h); 0: the usual */
    struct busi_curve *curve;             /* NULL: plain, for tests only, or when it calls nobody */
    bool alone;                           /* mails and events are written, and the service hands them over */
};
/* Connects in the background. NULL: could not, said why in the log. */
[[nodiscard]] struct auth *auth_new(struct busi_loop *loop, const struct auth_options *options);
/* For commands (command.h): of the service only pg, settings and token_hash_key. */
[[nodiscard]] struct auth *auth_new_database(struct busi_loop *loop, const struct auth_options *options);
/* Only when idle, or when the loop will not turn again. */
void auth_free(struct auth **auth);
bool auth_ready(const struct auth *auth);
/* Ends the fibers of its own; auth_idle() says when they have. */
void auth_drain(struct auth *auth);
bool auth_idle(const struct auth *auth);

#define METHOD_AUTH(name, wire, request, reply, retry, timeout_ms)                                           \
    enum busi_code auth_##name(struct auth *self, struct busi_call *call, const struct busi_##request *in,   \
                               struct busi_##reply *out);
#include "proto/methods.def"
