#include "session/watch.h"
#include "base/log.h"
#include "crypto/secret.h"
#include <stdlib.h>

enum {
    ARENA_BYTES = 512 * 1024,
    NAME_BYTES = 16,
    POSITION_MOST = 160, /* as in proto/messages.def */
    CALL_MS = 1000,      /* as in proto/methods.def */
    QUICK_MS = 10,       /* an answer that says nothing new is not to come sooner */
    PAUSE_MS = 20,       /* then, and after a failure; doubles */
    PAUSE_MOST_MS = 250,
    IDLE_MS = 10000 /* nobody looked for a token for so long: nobody needs to wait for us */
};

struct session_watch {
    struct busi_loop *loop; /* borrowed, as the next two */
    struct busi_rpc_client *rpc;
    struct session_cache *cache;
    struct busi_fiber *fiber;     /* works */
    struct busi_arena name_arena; /* of the name */
    struct busi_str name;         /* what we are called until we leave; absent: we do not watch */
    char position[POSITION_MOST]; /* all up to here is forgotten */
    size_t position_len;          /* 0: the cache holds nothing yet */
    int64_t used_ms;              /* when the cache was last seen used; busi_now_ms() scale */
    int64_t pause_ms;             /* before the next question; 0: none */
    bool wanted;                  /* somebody looked for a token */
    bool resting, stopping, stopped;
};

/* ---- the question ---- */

static bool begin(struct session_watch *watch)
{
    busi_arena_fini(&watch->name_arena);
    busi_arena_init(&watch->name_arena, 256);
    /* A new name each time: a late word that the old one leaves must not strike off the new one. */
    watch->name = busi_random_text(&watch->name_arena, NAME_BYTES);
    watch->position_len = 0;
    watch->used_ms = busi_now_ms();
    return watch->name.ptr;
}

/* What an answer says, done in this order: forgotten first, trusted then. */
static void obey(struct session_watch *watch, const struct busi_watch_sessions_reply *reply, int64_t asked_ms)
{
    if (reply->everything)
        session_cache_forget_all(watch->cache);
    else
        session_cache_forget(watch->cache, reply->ended.items, reply->ended.n);
    watch->position_len = reply->position.len;
    memcpy(watch->position, reply->position.ptr, reply->position.len);
    session_cache_trust(watch->cache, asked_ms + reply->lease_ms);
}

static void slow_down(struct session_watch *watch)
{
    watch->pause_ms = watch->pause_ms ? watch->pause_ms * 2 : PAUSE_MS;
    if (watch->pause_ms > PAUSE_MOST_MS)
        watch->pause_ms = PAUSE_MOST_MS;
}

static void ask(struct session_watch *watch)
{
    struct busi_call call;
    struct busi_watch_sessions_reply reply = {0};
    const struct busi_watch_sessions_request request = {
        .watcher = watch->name,
        .position = {watch->position_len ? watch->position : NULL, watch->position_len}};
    int64_t asked_ms = busi_lease_ms(); /* before it leaves: the lease counts from here */
    busi_call_init(&call, ARENA_BYTES);
    call.until_ms = busi_now_ms() + CALL_MS;
    call.urgent = true; /* without it every check is a call, which is no cure for too many of them */
    enum busi_code code = busi_rpc_auth_watch_sessions(watch->rpc, &call, &request, &reply);
    bool news = reply.ended.n > 0 || (reply.everything && watch->position_len == 0);
    if (code != BUSI_OK || watch->stopping) {
        session_cache_trust(watch->cache, 0);
        slow_down(watch);
    } else {
        obey(watch, &reply, asked_ms);
        if (news || busi_lease_ms() - asked_ms >= QUICK_MS)
            watch->pause_ms = 0;
        else
            slow_down(watch);
    }
    busi_call_fini(&call);
}

/* Failing to say so costs whoever ends a session the rest of our lease. */
static void leave(struct session_watch *watch)
{
    struct busi_call call;
    struct busi_watch_sessions_reply reply;
    session_cache_trust(watch->cache, 0);
    session_cache_forget_all(watch->cache);
    busi_call_init(&call, ARENA_BYTES);
    call.until_ms = busi_now_ms() + CALL_MS;
    (void)!busi_rpc_auth_watch_sessions(
        watch->rpc, &call, &(struct busi_watch_sessions_request){.watcher = watch->name, .leave = true},
        &reply);
    busi_call_fini(&call);
    watch->name = (struct busi_str){0};
}

/* ---- the fiber ---- */

static void on_wanted(void *arg)
{
    struct session_watch *watch = arg;
    watch->wanted = true;
    if (watch->resting)
        busi_fiber_wake(watch->fiber);
}

/* On the thread that looked. */
static bool post_wanted(void *arg)
{
    struct session_watch *watch = arg;
    return busi_loop_post(watch->loop, on_wanted, watch);
}

static void rest_until_wanted(struct session_watch *watch)
{
    watch->wanted = false;
    session_cache_call_when_wanted(watch->cache, post_wanted, watch);
    while (!watch->wanted && !watch->stopping) {
        watch->resting = true;
        (void)busi_fiber_wait(INT64_MAX);
        watch->resting = false;
    }
}

static bool is_idle(struct session_watch *watch)
{
    int64_t now_ms = busi_now_ms();
    if (session_cache_used(watch->cache))
        watch->used_ms = now_ms;
    return now_ms - watch->used_ms > IDLE_MS;
}

static void work(void *arg)
{
    struct session_watch *watch = arg;
    watch->fiber = busi_fiber_self();
    while (!watch->stopping) {
        if (!watch->name.ptr) {
            rest_until_wanted(watch);
            if (watch->stopping || !begin(watch))
                continue;
        }
        ask(watch);
        if (watch->pause_ms && !watch->stopping)
            busi_fiber_sleep(watch->pause_ms); /* a call that failed at once leaves a wake behind */
        if (is_idle(watch))
            leave(watch);
    }
    if (watch->name.ptr)
        leave(watch);
    watch->stopped = true;
}

struct session_watch *session_watch_new(struct busi_loop *loop, struct busi_fibers *fibers,
                                        struct busi_rpc_client *rpc, struct session_cache *cache)
{
    struct session_watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return NULL;
    watch->loop = loop;
    watch->rpc = rpc;
    watch->cache = cache;
    busi_arena_init(&watch->name_arena, 256);
    if (!busi_fiber_start(fibers, work, watch))
        session_watch_free(&watch);
    return watch;
}

void session_watch_stop(struct session_watch *watch)
{
    watch->stopping = true;
    session_cache_trust(watch->cache, 0);
    if (watch->resting)
        busi_fiber_wake(watch->fiber);
}

bool session_watch_stopped(const struct session_watch *watch)
{
    return watch->stopped;
}

void session_watch_free(struct session_watch **watch)
{
    if (!*watch)
        return;
    busi_arena_fini(&(*watch)->name_arena);
    free(*watch);
    *watch = NULL;
}
