/* Deletes what time has made useless, a thousand rows at a time, on a fiber of its own. Any replica does it,
 * and several at once do no harm. Loop thread only. */
#pragma once
#include "core/relay.h"
#include "service/settings.h"
#include "store/pg.h"

struct auth_sweeper {
    struct busi_pg *pg;                   /* borrowed */
    const struct busi_settings *settings; /* borrowed: how long what is kept */
    struct auth_relay relay;
    size_t next;    /* of what is swept: whose turn it is */
    int64_t due_ms; /* when the next round begins; busi_now_ms() scale */
};
/* sweeper stays where it is while it runs. False: no fiber is left. */
[[nodiscard]] bool auth_sweeper_start(struct auth_sweeper *sweeper, struct busi_pg *pg,
                                      struct busi_fibers *fibers, const struct busi_settings *settings);

/* One batch by hand, of what is swept at this place. How many rows, and whether there may be more; -1: the
 * database did not do it. */
size_t auth_sweeps(void);
const char *auth_sweep_name(size_t at);
int64_t auth_sweep(struct busi_pg *pg, const struct busi_settings *settings, size_t at, bool *more);
