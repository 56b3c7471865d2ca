/* The relay from the table of mails to the mail folder: one fiber that claims due mails, renders them, has
 * them written on an offload thread and marks them delivered. Any number of mailers may share a table. Loop
 * thread only. */
#pragma once
#include "loop/offload.h"
#include "mail.h"
#include "service/service.h"
#include "store/pg.h"

struct delivery;
struct delivery_options {
    struct busi_process *process;
    struct busi_pg *pg;
    struct busi_offload *offload; /* writes the files; one thread is enough */
    struct mail_setup setup;
};
/* Starts the fiber. NULL: out of memory or fibers. */
[[nodiscard]] struct delivery *delivery_new(const struct delivery_options *options);
/* A mail was stored: look at once, not at the next poll. */
void delivery_wake(struct delivery *delivery);
/* The mail folder took the last file, or the last probe. */
bool delivery_folder_ready(const struct delivery *delivery);
/* Ends the fiber when the mails in hand are done. */
void delivery_stop(struct delivery *delivery);
bool delivery_stopped(const struct delivery *delivery);
/* Only when stopped. */
void delivery_free(struct delivery **delivery);
