#include "sessions/feed.h"
#include "base/embed.h"
#include "base/log.h"
#include "base/metrics.h"
#include "core/session_store.h"
#include "crypto/secret.h"
#include <stdlib.h>

BUSI_EMBED(auth_watch_lua, "sessions/feed_watch.lua");
BUSI_EMBED(auth_tell_lua, "sessions/feed_tell.lua");
BUSI_EMBED(auth_strike_lua, "sessions/strike.lua");

#define WATCHERS BUSI_STR("busi:watchers")
#define ENDED BUSI_STR("busi:ended")

enum {
    ARENA_BYTES = 256 * 1024,
    STEP_MS = 2000,    /* longest for one step of the fiber */
    BLOCK_MS = 200,    /* Redis answers a read of the stream no later, news or not */
    REST_MS = 50,      /* between tries while Redis is away */
    LOOK_MS = 500,     /* between looks at the watchers */
    POLLS = 3,         /* in a lease: a question without news is answered no later than the next is due */
    DEAF_MS = 20,      /* likewise, while nothing is heard of the stream */
    KEPT = 10000,      /* ended sessions kept in the stream: a watcher that is behind by more forgets all */
    IDS_MOST = 1000,   /* in one answer, as in proto/messages.def; likewise */
    PAUSE_MOST_MS = 10 /* between looks at who has heard */
};

/* A fiber that waits for news, on its own stack. */
struct listener {
    struct busi_fiber *fiber;
    struct listener *next, **at; /* the list it is in, and its place there */
};

/* A watcher whose answer a revocation waits for. */
struct auth_awaited {
    struct busi_str name;
    int64_t until_ms; /* its lease is over then; busi_lease_ms() scale */
};

struct auth_feed {
    struct auth *auth;             /* borrowed */
    struct busi_redis *redis;      /* owned; reads of the stream hold it up */
    struct auth_watchers watchers; /* as last read */
    struct listener *polls;        /* watchers' questions that wait for ended sessions */
    struct listener *settling;     /* revocations that wait for watchers */
    int64_t lease_ms;              /* of watchers */
    uint64_t news;                 /* counts whatever ends the wait of polls */
    int64_t look_ms;               /* next look at the watchers; busi_now_ms() scale */
    bool asking;                   /* one of settling asks Redis who has heard */
    bool stopping, stopped;        /* of the fiber that works */
};

/* ---- waiting ---- */

static void join(struct listener **list, struct listener *listener)
{
    *listener = (struct listener){.fiber = busi_fiber_self(), .next = *list, .at = list};
    if (*list)
        (*list)->at = &listener->next;
    *list = listener;
}

static void part(struct listener *listener)
{
    *listener->at = listener->next;
    if (listener->next)
        listener->next->at = listener->at;
}

static void wake_all(struct listener *list)
{
    for (; list; list = list->next)
        busi_fiber_wake(list->fiber);
}

static enum busi_woken wait_in(struct listener **list, int64_t until_ms)
{
    struct listener listener;
    join(list, &listener);
    enum busi_woken woken = busi_fiber_wait(until_ms);
    part(&listener);
    return woken;
}

static void spread_news(struct auth_feed *feed)
{
    feed->news++;
    wake_all(feed->polls);
}

/* ---- Redis ---- */

static void read_watchers(struct auth_feed *feed, const struct busi_redis_reply *all)
{
    auth_watchers_read(&feed->watchers, all, busi_redis_generation(feed->auth->redis), busi_lease_ms());
    wake_all(feed->settling);
}

/* feed_watch.lua; name empty: only looks. Only a Redis that knows all revocations is asked. */
static enum busi_code watch(struct auth_feed *feed, struct busi_call *call, struct busi_str name,
                            struct busi_str position, struct busi_redis_reply *reply)
{
    struct auth *auth = feed->auth;
    struct busi_str most_ids = busi_arena_int(&call->arena, IDS_MOST),
                    most_watchers = busi_arena_int(&call->arena, AUTH_WATCHERS_MOST),
                    random = busi_random_text(&call->arena, 16);
    if (!most_ids.ptr || !most_watchers.ptr || !random.ptr || !auth_store_knows(auth))
        return auth_store_away(call);
    const struct busi_str argv[] = {WATCHERS, ENDED, name, position, most_ids, random, most_watchers};
    enum busi_code code = busi_redis_run_script(auth->redis, &call->arena, auth_watch_lua, 2,
                                                sizeof(argv) / sizeof(argv[0]), argv, call->until_ms, reply);
    if (code != BUSI_OK || !auth_store_knows(auth) || reply->n_items != 5)
        return auth_store_away(call);
    read_watchers(feed, &reply->items[3]);
    return BUSI_OK;
}

/* ---- a watcher's question ---- */

static enum busi_code answer(struct auth_feed *feed, struct busi_call *call,
                             const struct busi_redis_reply *reply, struct busi_watch_sessions_reply *out)
{
    const struct busi_redis_reply *ids = &reply->items[4];
    struct busi_ended_session *ended = busi_arena_array(&call->arena, ids->n_items + 1, sizeof(*ended));
    out->position = busi_arena_printf(&call->arena, "%.*s %.*s", BUSI_ARG(reply->items[0].text),
                                      BUSI_ARG(reply->items[1].text));
    if (!ended || !out->position.ptr)
        return auth_store_away(call);
    for (size_t i = 0; i < ids->n_items; i++)
        ended[i].session_id = ids->items[i].text;
    out->ended.items = ended;
    out->ended.n = ids->n_items;
    out->everything = reply->items[2].number != 0;
    out->lease_ms = feed->lease_ms - feed->lease_ms / 15; /* clocks do not run alike */
    return BUSI_OK;
}

static enum busi_code ask(struct auth_feed *feed, struct busi_call *call,
                          const struct busi_watch_sessions_request *in, struct busi_watch_sessions_reply *out)
{
    struct busi_redis_reply reply = {0};
    struct busi_str position = in->position.ptr ? in->position : BUSI_STR("");
    enum busi_code code = watch(feed, call, in->watcher, position, &reply);
    return code == BUSI_OK && reply.items ? answer(feed, call, &reply, out) : code;
}

static enum busi_code leave(struct auth_feed *feed, struct busi_call *call,
                            const struct busi_watch_sessions_request *in,
                            struct busi_watch_sessions_reply *out)
{
    struct busi_redis_reply reply = {0};
    const struct busi_str argv[] = {BUSI_STR("HDEL"), WATCHERS, in->watcher};
    if (busi_redis_run(feed->auth->redis, &call->arena, 3, argv, call->until_ms, &reply) != BUSI_OK)
        return auth_store_away(call);
    *out = (struct busi_watch_sessions_reply){.position = BUSI_STR(""), .everything = true};
    return BUSI_OK;
}

enum busi_code auth_watch_sessions(struct auth *self, struct busi_call *call,
                                   const struct busi_watch_sessions_request *in,
                                   struct busi_watch_sessions_reply *out)
{
    struct auth_feed *feed = self->feed;
    int64_t until_ms = busi_now_ms() + (busi_redis_ready(feed->redis) ? feed->lease_ms / POLLS : DEAF_MS);
    uint64_t news = feed->news; /* before the question: what comes while Redis answers counts too */
    if (!auth_watcher_name_valid(in->watcher))
        return busi_call_fail(call, BUSI_INVALID_ARGUMENT, "watcher");
    if (in->leave)
        return leave(feed, call, in, out);
    enum busi_code code = ask(feed, call, in, out);
    if (code != BUSI_OK || out->everything || out->ended.n > 0)
        return code;
    while (feed->news == news && !feed->stopping && busi_now_ms() < until_ms && busi_call_left_ms(call) > 0)
        (void)wait_in(&feed->polls, until_ms);
    if (feed->news != news)
        return ask(feed, call, in, out);
    return auth_store_knows(self) ? BUSI_OK : auth_store_away(call);
}

/* ---- telling ---- */

static bool await_all(const struct auth_feed *feed, struct auth_told *told)
{
    const struct auth_watchers *watchers = &feed->watchers;
    told->awaited = busi_arena_array(told->arena, watchers->n + 1, sizeof(*told->awaited));
    told->n_awaited = 0;
    for (size_t i = 0; told->awaited && i < watchers->n; i++) {
        const struct auth_watcher *watcher = &watchers->list[i];
        struct auth_awaited *awaited = &told->awaited[told->n_awaited++];
        awaited->name = busi_arena_dup(told->arena, (struct busi_str){watcher->name, watcher->name_len});
        awaited->until_ms = watcher->seen_ms + feed->lease_ms;
        if (!awaited->name.ptr)
            return false;
    }
    return told->awaited != NULL;
}

/* part: what is read along the way is forgotten at once. */
static enum busi_code tell(struct auth_feed *feed, struct busi_call *part, const struct busi_str *ids,
                           size_t n, struct auth_feed_position *last)
{
    struct busi_redis_reply reply = {0};
    struct busi_str argv[AUTH_TELL_MOST + 3] = {WATCHERS, ENDED, busi_arena_int(&part->arena, KEPT)};
    if (!argv[2].ptr || n > AUTH_TELL_MOST)
        return auth_store_away(part);
    memcpy(argv + 3, ids, n * sizeof(*ids));
    enum busi_code code = busi_redis_run_script(feed->auth->redis, &part->arena, auth_tell_lua, 2, (int)n + 3,
                                                argv, part->until_ms, &reply);
    if (code != BUSI_OK || reply.n_items != 2 || !auth_feed_position_read(reply.items[0].text, last))
        return auth_store_away(part);
    read_watchers(feed, &reply.items[1]);
    if (last->ms > 0)
        busi_metric_add(BUSI_METRIC_revocations_told, (int64_t)n);
    return BUSI_OK;
}

enum busi_code auth_feed_tell(struct auth *self, struct busi_call *call, const struct busi_str *ids, size_t n,
                              struct auth_told *told)
{
    struct busi_call part;
    struct auth_feed_position last;
    busi_call_init(&part, ARENA_BYTES);
    part.until_ms = call->until_ms;
    enum busi_code code = tell(self->feed, &part, ids, n, &last);
    busi_call_fini(&part);
    if (code != BUSI_OK)
        return auth_store_away(call);
    if (!told)
        return BUSI_OK;
    told->last = last;
    told->told_ms = busi_lease_ms();
    told->known_ms = self->feed->watchers.known_ms;
    return await_all(self->feed, told) ? BUSI_OK : auth_store_away(call);
}

enum busi_code auth_feed_tell_everything(struct auth *self, struct busi_call *call, struct auth_told *told)
{
    struct busi_redis_reply reply = {0};
    const struct busi_str argv[] = {BUSI_STR("DEL"), WATCHERS};
    if (busi_redis_run(self->redis, &call->arena, 2, argv, call->until_ms, &reply) != BUSI_OK)
        return auth_store_away(call);
    if (told)
        *told =
            (struct auth_told){.arena = told->arena, .told_ms = busi_lease_ms(), .known_ms = busi_lease_ms()};
    return BUSI_OK;
}

/* ---- waiting until all have heard ---- */

static bool has_heard(const struct auth_feed *feed, const struct auth_told *told,
                      const struct auth_awaited *awaited, int64_t now_ms)
{
    const struct auth_watcher *watcher = auth_watchers_find(&feed->watchers, awaited->name);
    return now_ms >= awaited->until_ms || (watcher && !auth_feed_position_before(watcher->heard, told->last));
}

/* The list of watchers may have lost some whose lease still lasts, unless it has been this one for a lease.
 */
static bool is_settled(const struct auth_feed *feed, struct auth_told *told, int64_t now_ms)
{
    for (size_t i = 0; i < told->n_awaited;)
        if (has_heard(feed, told, &told->awaited[i], now_ms))
            told->awaited[i] = told->awaited[--told->n_awaited];
        else
            i++;
    return told->n_awaited == 0 && now_ms >= told->known_ms + feed->lease_ms;
}

/* A watcher may have answered another worker. One asks for all. */
static void look_who_heard(struct auth_feed *feed, struct busi_call *call)
{
    struct busi_redis_reply reply = {0};
    const struct busi_str argv[] = {BUSI_STR("HGETALL"), WATCHERS};
    feed->asking = true;
    if (busi_redis_run(feed->auth->redis, &call->arena, 2, argv, call->until_ms, &reply) == BUSI_OK)
        read_watchers(feed, &reply);
    feed->asking = false;
}

enum busi_code auth_feed_settle(struct auth *self, struct busi_call *call, struct auth_told *told)
{
    struct auth_feed *feed = self->feed;
    /* Nothing was found to tell of: a Redis that was emptied has lost what gateways may still remember. */
    const struct busi_str nothing = {0};
    enum busi_code code = told->told_ms == 0 ? auth_feed_tell(self, call, &nothing, 0, told) : BUSI_OK;
    int64_t since_ms = busi_lease_ms(), now_ms = since_ms, over_ms = told->told_ms + feed->lease_ms;
    if (code != BUSI_OK || is_settled(feed, told, now_ms))
        return code;
    for (int64_t pause_ms = 1; now_ms < over_ms && !is_settled(feed, told, now_ms);
         now_ms = busi_lease_ms()) {
        if (busi_call_left_ms(call) == 0) {
            call->retry_after_ms = 1000;
            return busi_call_fail(call, BUSI_UNAVAILABLE, "a gateway may still accept the session");
        }
        int64_t rest_ms = over_ms - now_ms;
        /* Who was woken has just heard what somebody else read: all asking at once would wake each other on
         * and on. */
        if (wait_in(&feed->settling, busi_now_ms() + (pause_ms < rest_ms ? pause_ms : rest_ms)) == BUSI_WOKEN)
            continue;
        pause_ms = pause_ms * 2 < PAUSE_MOST_MS ? pause_ms * 2 : PAUSE_MOST_MS;
        if (!feed->asking && !is_settled(feed, told, busi_lease_ms()))
            look_who_heard(feed, call);
    }
    busi_metric_add(BUSI_METRIC_revocation_waits, 1);
    busi_metric_add(BUSI_METRIC_revocation_wait_ms, now_ms - since_ms);
    busi_metric_add(BUSI_METRIC_revocation_leases_out, now_ms >= over_ms);
    return BUSI_OK;
}

/* ---- the fiber: hears the stream, strikes off the dead ---- */

static void strike(struct auth_feed *feed, struct busi_call *call)
{
    struct busi_redis_reply reply = {0};
    for (size_t i = 0; i < feed->watchers.n && !feed->stopping; i++) {
        const struct auth_watcher *watcher = &feed->watchers.list[i];
        if (busi_lease_ms() < watcher->seen_ms + feed->lease_ms)
            continue;
        const struct busi_str argv[] = {
            WATCHERS, busi_arena_dup(&call->arena, (struct busi_str){watcher->name, watcher->name_len}),
            busi_arena_dup(&call->arena, (struct busi_str){watcher->value, watcher->value_len})};
        if (!argv[1].ptr || !argv[2].ptr ||
            busi_redis_run_script(feed->auth->redis, &call->arena, auth_strike_lua, 1, 3, argv,
                                  call->until_ms, &reply) != BUSI_OK)
            return;
        if (reply.number > 0)
            busi_log(BUSI_INFO, "watcher_gone", BUSI_S("watcher", argv[1]));
    }
}

/* Also makes the list on a new Redis, and knows by that since when it is whole. */
static void look(struct auth_feed *feed, struct busi_call *call)
{
    struct busi_redis_reply reply = {0};
    const struct auth_watchers *watchers = &feed->watchers;
    bool current =
        watchers->timeline_len > 0 && watchers->generation == busi_redis_generation(feed->auth->redis);
    if (!auth_store_knows(feed->auth) || busi_now_ms() < feed->look_ms || (current && watchers->n == 0))
        return;
    feed->look_ms = busi_now_ms() + LOOK_MS;
    if (watch(feed, call, BUSI_STR(""), BUSI_STR(""), &reply) == BUSI_OK)
        strike(feed, call);
}

/* The last entry of an answer of XREVRANGE or XREAD's part of a stream. */
static void note_last(const struct busi_redis_reply *entries, struct busi_str *last, char room[64])
{
    if (entries->n_items == 0)
        return;
    const struct busi_redis_reply *entry = &entries->items[entries->n_items - 1];
    struct busi_str id = entry->n_items ? entry->items[0].text : (struct busi_str){0};
    if (id.len == 0 || id.len > 64)
        return;
    memcpy(room, id.ptr, id.len);
    *last = (struct busi_str){room, id.len};
}

/* Where the stream ends now. */
static bool find_end(struct auth_feed *feed, struct busi_call *call, struct busi_str *last, char room[64])
{
    struct busi_redis_reply reply = {0};
    const struct busi_str argv[] = {BUSI_STR("XREVRANGE"), ENDED,        BUSI_STR("+"), BUSI_STR("-"),
                                    BUSI_STR("COUNT"),     BUSI_STR("1")};
    if (busi_redis_run(feed->redis, &call->arena, 6, argv, call->until_ms, &reply) != BUSI_OK)
        return false;
    *last = BUSI_STR("0-0");
    note_last(&reply, last, room);
    spread_news(feed); /* which may have come before */
    return true;
}

/* Waits for the stream to grow beyond *last (ptr NULL: from now on), which moves on. False: Redis is away. */
static bool hear(struct auth_feed *feed, struct busi_call *call, struct busi_str *last, char room[64])
{
    struct busi_redis_reply reply = {0};
    if (!last->ptr)
        return find_end(feed, call, last, room);
    const struct busi_str argv[] = {BUSI_STR("XREAD"),
                                    BUSI_STR("COUNT"),
                                    BUSI_STR("100"),
                                    BUSI_STR("BLOCK"),
                                    busi_arena_int(&call->arena, BLOCK_MS),
                                    BUSI_STR("STREAMS"),
                                    ENDED,
                                    *last};
    if (busi_redis_run(feed->redis, &call->arena, 8, argv, call->until_ms, &reply) != BUSI_OK)
        return false;
    if (reply.n_items == 0 || reply.items[0].n_items != 2)
        return true;
    note_last(&reply.items[0].items[1], last, room);
    spread_news(feed);
    return true;
}

static void work(void *arg)
{
    struct auth_feed *feed = arg;
    char room[64];
    struct busi_str last = {0};
    while (!feed->stopping) {
        struct busi_call call;
        busi_call_init(&call, ARENA_BYTES);
        call.until_ms = busi_now_ms() + STEP_MS;
        look(feed, &call);
        bool heard = hear(feed, &call, &last, room);
        busi_call_fini(&call);
        if (heard || feed->stopping)
            continue;
        /* whoever waits looks for itself, and sees that Redis is away */
        last = (struct busi_str){0};
        spread_news(feed);
        busi_fiber_sleep(REST_MS);
    }
    feed->stopped = true;
}

struct auth_feed *auth_feed_new(struct auth *auth, struct busi_loop *loop, const struct auth_options *options,
                                const char **error)
{
    struct auth_feed *feed = calloc(1, sizeof(*feed));
    *error = "out of memory";
    if (!feed)
        return NULL;
    feed->auth = auth;
    feed->lease_ms = options->lease_ms ? options->lease_ms : AUTH_LEASE_MS;
    /* one link: a question that may wait for news cannot be told from a late one */
    feed->redis = busi_redis_new(loop, options->settings->redis,
                                 BLOCK_MS + options->settings->redis_timeout_ms, 1, error);
    if (!feed->redis)
        auth_feed_free(&feed);
    else if (!busi_fiber_start(options->fibers, work, feed)) {
        *error = "no fiber for the feed of ended sessions";
        auth_feed_free(&feed);
    }
    return feed;
}

void auth_feed_stop(struct auth_feed *feed)
{
    feed->stopping = true;
    wake_all(feed->polls);
}

bool auth_feed_stopped(const struct auth_feed *feed)
{
    return feed->stopped;
}

void auth_feed_free(struct auth_feed **feed)
{
    if (!*feed)
        return;
    busi_redis_free(&(*feed)->redis);
    free(*feed);
    *feed = NULL;
}
