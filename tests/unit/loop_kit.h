/* What the tests of the loop share. */
#pragma once
#include "base/clock.h"
#include "loop/fiber.h"
#include "loop/loop.h"
#include <criterion/criterion.h>
#include <string.h>

/* A test that waits for something that never comes fails instead of hanging. */
static inline void kit_give_up(void *arg)
{
    (void)arg;
    cr_assert(false, "the loop was not stopped in time");
}

static inline struct busi_loop *kit_loop(void)
{
    struct busi_loop *loop = busi_loop_new();
    cr_assert_not_null(loop);
    cr_assert_not_null(busi_loop_after(loop, 20000, kit_give_up, NULL));
    return loop;
}

static inline void kit_stop(void *loop)
{
    busi_loop_stop(loop);
}

static inline void kit_run_for(struct busi_loop *loop, int64_t ms)
{
    cr_assert_not_null(busi_loop_after(loop, ms, kit_stop, loop));
    busi_loop_run(loop);
}

/* A log of what happened, one letter each. */
struct kit_log {
    char text[256];
    size_t len;
};

static inline void kit_note(struct kit_log *log, char c)
{
    cr_assert_lt(log->len, sizeof(log->text) - 1);
    log->text[log->len++] = c;
}

/* An arg that notes one letter. */
struct kit_letter {
    struct kit_log *log;
    char letter;
};

static inline void kit_note_letter(void *arg)
{
    struct kit_letter *letter = arg;
    kit_note(letter->log, letter->letter);
}
