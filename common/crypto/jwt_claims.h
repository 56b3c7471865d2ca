/* The payload of a token whose signature has been checked, as claims. Pure; any thread. */
#pragma once
#include "crypto/jwt.h"

/* What a payload says of the claims we know. */
struct busi_jwt_payload {
    struct busi_str issuer, audience; /* iss, aud; ptr NULL: absent or no text */
    struct busi_str role;             /* likewise; nobody asks a token for roles, the session knows them */
    struct busi_jwt_claims claims;    /* texts that are absent or of another type: ptr NULL; times: -1 */
};
/* Texts are in the arena or in json, which must live as long as they. False: not one JSON object with unique
 * names, or too deep, or out of memory. */
[[nodiscard]] bool busi_jwt_payload_read(struct busi_arena *arena, struct busi_str json,
                                         struct busi_jwt_payload *payload);
/* The payload with the members of more that are none of the claims we know, compact. ptr NULL: not two
 * objects, or out of memory.
 */
[[nodiscard]] struct busi_str busi_jwt_payload_add(struct busi_arena *arena, struct busi_str payload,
                                                   struct busi_str more);
/* The members that are none of the claims we know. Absent: there are none, or no object, or out of memory. */
[[nodiscard]] struct busi_str busi_jwt_payload_more(struct busi_arena *arena, struct busi_str payload);
/* The two ways of reading, for the test that they agree. The first knows only payloads as we write them (no
 * spaces, no escapes, ASCII, no other names) and is false for any other; the second knows all of JSON. */
[[nodiscard]] bool busi_jwt_payload_read_own(struct busi_str json, struct busi_jwt_payload *payload);
[[nodiscard]] bool busi_jwt_payload_read_any(struct busi_arena *arena, struct busi_str json,
                                             struct busi_jwt_payload *payload);
