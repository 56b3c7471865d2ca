/* What the Redis tests share: a loop with fibers, and a connection to the test server or to a liar. */
#pragma once
#include "base/clock.h"
#include "base/text.h"
#include "store/redis.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

enum { LINKS = 6 };

struct world {
    struct busi_loop *loop;
    struct busi_fibers *fibers;
    struct busi_redis *redis;
    struct busi_arena arena;
    void (*body)(struct world *);
};

static inline const char *server(void)
{
    const char *url = getenv("BUSI_TEST_REDIS");
    cr_assert(url && *url, "BUSI_TEST_REDIS must name the test server (tests/run sets it)");
    return url;
}

static inline void run_body(void *arg)
{
    struct world *w = arg;
    w->body(w);
    busi_loop_stop(w->loop);
}

static inline void run_over(const char *url, int64_t timeout_ms, size_t n_links, void (*body)(struct world *))
{
    struct world w = {.body = body, .loop = busi_loop_new()};
    const char *error = NULL;
    w.fibers = busi_fibers_new(w.loop, 2048, 64 * 1024);
    w.redis = busi_redis_new(w.loop, busi_str_of(url), timeout_ms, n_links, &error);
    cr_assert(w.redis, "%s", error);
    busi_arena_init(&w.arena, 8 << 20);
    cr_assert(busi_fiber_start(w.fibers, run_body, &w));
    busi_loop_run(w.loop);
    busi_arena_fini(&w.arena);
    busi_redis_free(&w.redis);
    busi_fibers_free(&w.fibers);
    busi_loop_free(&w.loop);
}

static inline void run_with(const char *url, int64_t timeout_ms, void (*body)(struct world *))
{
    run_over(url, timeout_ms, LINKS, body);
}

static inline bool wait_ready(struct world *w, bool wanted, int64_t most_ms)
{
    for (int64_t until_ms = busi_now_ms() + most_ms; busi_now_ms() < until_ms;) {
        if (busi_redis_ready(w->redis) == wanted)
            return true;
        busi_fiber_sleep(5);
    }
    return busi_redis_ready(w->redis) == wanted;
}

/* Words separated by single spaces. */
static inline enum busi_code run(struct world *w, const char *words, struct busi_redis_reply *reply)
{
    struct busi_str argv[16];
    int argc = 0;
    for (const char *at = words; *at && argc < 16; at += *at == ' ') {
        argv[argc++] = (struct busi_str){at, strcspn(at, " ")};
        at += strcspn(at, " ");
    }
    return busi_redis_run(w->redis, &w->arena, argc, argv, busi_now_ms() + 5000, reply);
}
