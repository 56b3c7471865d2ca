/* Hands the mails of auth.outbox to the mailer: each at least once, with a key by which the mailer knows a
 * repetition. Runs on a fiber of its own; nobody waits for it. Loop thread only. */
#pragma once
#include "rpc/client.h"
#include "store/pg.h"

struct auth_outbox;
struct auth_outbox_options {
    struct busi_pg *pg;               /* borrowed */
    struct busi_fibers *fibers;       /* borrowed: one is kept */
    struct busi_curve *curve;         /* borrowed; NULL: plain, for tests only */
    struct busi_str mailer_endpoints; /* empty: mails wait in the table */
    struct busi_str curve_server_dir; /* holds mailer-svc.pub */
    bool alone;                       /* others hand over what is written here */
};
/* NULL and *error (static): endpoints or certificate are unusable, or out of memory. */
[[nodiscard]] struct auth_outbox *
auth_outbox_new(struct busi_loop *loop, const struct auth_outbox_options *options, const char **error);
/* In which language whoever asks would rather read a mail, or absent; a parameter of statements. */
struct busi_str auth_mail_language(const struct busi_call *call);
/* A mail has just been committed. */
void auth_outbox_wake(struct auth_outbox *outbox);
/* Ends the fiber after the mail in hand; others wait in the table for the next process. */
void auth_outbox_stop(struct auth_outbox *outbox);
bool auth_outbox_stopped(const struct auth_outbox *outbox);
void auth_outbox_free(struct auth_outbox **outbox);
