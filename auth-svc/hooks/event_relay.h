/* Tells one subscriber the events it was promised in auth.events: each at least once, with a key by which it
 * knows a repetition, until it has answered OK or the event is too old. Loop thread only. */
#pragma once
#include "core/relay.h"
#include "rpc/client.h"
#include "store/pg.h"

struct auth_event_relay_options {
    struct busi_pg *pg;             /* borrowed */
    struct busi_fibers *fibers;     /* borrowed: one is kept */
    struct busi_rpc_client *client; /* borrowed: to the subscriber */
    struct busi_str subscriber;     /* borrowed */
};
struct auth_event_relay {
    struct auth_event_relay_options options;
    struct auth_relay relay;
};
[[nodiscard]] bool auth_event_relay_start(struct auth_event_relay *events,
                                          const struct auth_event_relay_options *options);
