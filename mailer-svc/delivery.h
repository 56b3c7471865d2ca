/* The relay from the table of mails to the route they leave by: fibers that claim due mails, render them,
 * have them delivered on offload threads and settle them. Any number of mailers may share a table. Loop
 * thread only. */
#pragma once
#include "loop/offload.h"
#include "queue.h"
#include "service/service.h"

struct delivery;
struct delivery_options {
    struct busi_process *process;
    struct mail_queue queue;
    struct busi_offload *offload; /* a thread for each lane of the route */
    struct mail_route *route;     /* borrowed */
    struct mail_setup setup;
};
/* NULL: out of memory. */
[[nodiscard]] struct delivery *delivery_new(const struct delivery_options *options);
/* Starts the fibers. False: there were too few; the process must end, those that were started hold what they
 * use. */
[[nodiscard]] bool delivery_start(struct delivery *delivery);
/* A mail was stored: look at once, not at the next poll. */
void delivery_wake(struct delivery *delivery);
/* The mail folder took the last file, or the last probe. With a relay always: mails can wait for it in the
 * table. */
bool delivery_ready(const struct delivery *delivery);
/* Ends the fibers when the mails in hand are done. */
void delivery_stop(struct delivery *delivery);
bool delivery_stopped(const struct delivery *delivery);
/* Only when stopped. */
void delivery_free(struct delivery **delivery);
