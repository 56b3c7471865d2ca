#include "parcel.h"
#include "base/clock.h"
#include "wire/codec.h"

enum { ID, ATTEMPTS, CREATED_AT, REQUEST, LIVES_MS, DUE_AT };

static void set_ends(struct mail_parcel *parcel, const struct mail_claim *claim, int64_t lives_ms)
{
    parcel->expires_ms = lives_ms > 0 ? claim->began_ms + lives_ms : INT64_MAX;
    parcel->until_ms = parcel->expires_ms < claim->until_ms ? parcel->expires_ms : claim->until_ms;
}

void mail_parcel_open(struct mail_parcel *parcel, struct mail_claim *claim, int row,
                      const struct mail_setup *setup)
{
    const struct busi_pg_result *result = &claim->result;
    struct busi_str bytes = busi_pg_value(result, row, REQUEST);
    struct busi_reader reader;
    const char *bad = NULL;
    parcel->mail.id = busi_pg_int(result, row, ID);
    parcel->attempts = busi_pg_int(result, row, ATTEMPTS);
    parcel->mail.created_us = busi_pg_int(result, row, CREATED_AT);
    parcel->mail.request = &parcel->request;
    set_ends(parcel, claim, busi_pg_int(result, row, LIVES_MS));
    if (claim->last_us < busi_pg_int(result, row, DUE_AT))
        claim->last_us = busi_pg_int(result, row, DUE_AT);
    busi_buf_init(&parcel->text, MAIL_MAX_BYTES);
    busi_reader_init(&reader, bytes.ptr, bytes.len);
    if (!busi_decode(&reader, busi_desc_enqueue_mail_request(), &parcel->request, &claim->arena, &bad))
        parcel->broken = "what was stored cannot be read";
    else
        parcel->broken = mail_render(&parcel->text, &parcel->mail, setup);
}

size_t mail_parcels_useful(struct mail_parcel *const *parcels, size_t n, struct mail_parcel **useful)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (busi_lease_ms() < parcels[i]->expires_ms)
            useful[kept++] = parcels[i];
        else
            parcels[i]->fate = MAIL_EXPIRED;
    return kept;
}

bool mail_parcel_was_tried(const struct mail_parcel *parcel)
{
    return parcel->fate != MAIL_HELD && parcel->fate != MAIL_EXPIRED;
}
