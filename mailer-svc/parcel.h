/* Claimed mails as routes take them. */
#pragma once
#include "route.h"
#include "store/pg.h"

struct mail_claim {
    struct busi_pg_result result; /* rows of STATEMENT(claim) */
    int64_t began_ms;             /* just before it; busi_lease_ms() scale */
    int64_t until_ms;             /* on it no text begins to leave later; the same */
    struct busi_arena arena;      /* of the decoded requests */
    int64_t last_us;              /* the latest due time of those that were opened */
};
/* Fills the parcel from a row; it points into the claim. Release its text. */
void mail_parcel_open(struct mail_parcel *parcel, struct mail_claim *claim, int row,
                      const struct mail_setup *setup);
/* Those that are still of use, how many; the fate of the others is that they are not. */
size_t mail_parcels_useful(struct mail_parcel *const *parcels, size_t n, struct mail_parcel **useful);
/* Its fate says something about the route. */
bool mail_parcel_was_tried(const struct mail_parcel *parcel);
