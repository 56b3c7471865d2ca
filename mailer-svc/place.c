#include "place.h"

enum {
    SLACK_US = 2000000, /* what is due at a moment may be committed a statement's timeout later */
    WHOLE_MS = 1000,    /* least time between looks at everything */
    WHOLE_SHARE = 20,   /* of the time they take at most one part */
};

int64_t mail_place_begin(struct mail_place *place, int64_t now_ms)
{
    if (now_ms < place->whole_ms && place->last_us > SLACK_US)
        return place->last_us - SLACK_US;
    place->whole_ms = now_ms + WHOLE_MS; /* one lane is enough */
    return 0;
}

void mail_place_end(struct mail_place *place, int64_t begin_us, int64_t last_us, int64_t began_ms,
                    int64_t now_ms)
{
    int64_t pause_ms = (now_ms - began_ms) * WHOLE_SHARE;
    if (last_us > 0)
        place->last_us = last_us;
    if (begin_us == 0)
        place->whole_ms = now_ms + (pause_ms > WHOLE_MS ? pause_ms : WHOLE_MS);
}
