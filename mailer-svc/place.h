/* How far the queue has been claimed: where the next claim begins to look. What was claimed stays in
 * Postgres' index until it may be forgotten, which a backup or a standby puts off for hours, and the mails of
 * a slow domain stay where they are; a claim that walked past all of them each time took longer with each
 * mail. So most claims begin a bit before the last mail that was claimed, and now and then one looks at
 * everything: something may have been left behind. Pure. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct mail_place {
    int64_t last_us;  /* due time of the mail claimed last; 0: none was */
    int64_t whole_ms; /* when everything is looked at again; busi_now_ms() scale */
};
/* In microseconds since 1970: mails that were due earlier are left out; 0: none is. */
int64_t mail_place_begin(struct mail_place *place, int64_t now_ms);
/* A claim from there came back: the due time of its last mail, or 0. */
void mail_place_end(struct mail_place *place, int64_t begin_us, int64_t last_us, int64_t began_ms,
                    int64_t now_ms);
