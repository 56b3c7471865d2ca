/* What became of a request to a strategy of the ash surface, and how that is told: as JSON to programs, as a
 * page to people. Handlers begin, find out what becomes of it, and answer, whoever asks. */
#pragma once
#include "core/exchange.h"

/* Which of the strategies it was, and what of it: {password, sign_in}. Hooks are told. */
struct ash_activity {
    struct busi_str strategy; /* absent: none, as at sign-out */
    struct busi_str phase;
};
#define ASH_ACTIVITY(strategy, phase) ((struct ash_activity){BUSI_STR(strategy), BUSI_STR(phase)})

enum ash_result { ASH_SUCCESS, ASH_FAILURE, ASH_SIGNED_OUT };

struct ash_outcome {
    enum ash_result result;
    /* SUCCESS: the session that began, borrowed; NULL: nobody is signed in by it, as by asking for a mail */
    const struct busi_session_reply *session;
    enum busi_code reason; /* FAILURE: what a service said; refused fields are in the call */
    /* SUCCESS of a person who has been elsewhere meanwhile: where to; absent: where the request says */
    struct busi_str return_to;
};

/* The door the request comes through: "ash", which hands out JWTs, or for people "ash_page". */
struct busi_str ash_door(const struct exchange *x);

/* To be asked by each handler before it does anything. False: answered. */
[[nodiscard]] bool ash_begin(struct exchange *x, const struct ash_activity *activity);
/* The same for one that a GET makes happen. People are shown a button first: false then, too. secret: of the
 * link, or absent. */
[[nodiscard]] bool ash_begin_by_link(struct exchange *x, const struct ash_activity *activity,
                                     struct busi_str secret);

/* Failures that are no verdict on what was asked (a service is away, too many requests) are answered as such.
 */
void ash_answer(struct exchange *x, const struct ash_activity *activity, const struct ash_outcome *outcome);
/* The same for what a service said; session: what it says when code is OK, or NULL. */
void ash_conclude(struct exchange *x, const struct ash_activity *activity, enum busi_code code,
                  const struct busi_session_reply *session);
/* The same for what could not even be asked of a service: something is missing, or of another type. */
void ash_refuse(struct exchange *x, const struct ash_activity *activity);
