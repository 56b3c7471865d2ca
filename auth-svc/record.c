#include "base/text.h"
#include "crypto/secret.h"
#include "sessions.h"

enum { RECORD_VERSION = 1, TAG_BYTES = 32, DOOR_MOST_BYTES = 32, ID_MOST_BYTES = 64 };
/* What else the key may one day hash begins otherwise. */
static const char purpose[] = "busi session";

static size_t put(char *out, size_t at, const void *bytes, size_t n)
{
    memcpy(out + at, bytes, n);
    return at + n;
}

static size_t put_number(char *out, size_t at, int64_t number)
{
    for (int shift = 56; shift >= 0; shift -= 8)
        out[at++] = (char)((uint64_t)number >> shift);
    return at;
}

/* With its length in front, so that no two lists of texts look alike. */
static size_t put_text(char *out, size_t at, struct busi_str text, size_t most)
{
    size_t n = text.len < most ? text.len : most;
    out[at++] = (char)n;
    return put(out, at, text.ptr, n);
}

size_t auth_session_record(char out[AUTH_RECORD_MOST_BYTES], const struct auth_session *session,
                           struct busi_str token_hash_key)
{
    char message[sizeof(purpose) + 2 * (1 + ID_MOST_BYTES) + AUTH_RECORD_MOST_BYTES];
    uint8_t tag[TAG_BYTES];
    size_t len = 0, n;
    out[len++] = RECORD_VERSION;
    len = put_number(out, len, session->user_id);
    len = put_number(out, len, session->created_s);
    len = put_number(out, len, session->expires_s);
    len = put_text(out, len, busi_str_of(session->door->name), DOOR_MOST_BYTES);
    n = put(message, 0, purpose, sizeof(purpose));
    n = put_text(message, n, session->id, ID_MOST_BYTES);
    n = put_text(message, n, session->token_id, ID_MOST_BYTES);
    n = put(message, n, out, len);
    busi_keyed_hash(tag, token_hash_key, (struct busi_str){message, n});
    return put(out, len, tag, TAG_BYTES);
}
