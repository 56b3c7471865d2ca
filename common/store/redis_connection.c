/* The life of the connection: ask where, resolve, connect, greet, serve, lose, pause, again. A context that
 * saw any error is never used again (hiredis 0.14 would hand one command's reply to the next). */
#include "store/redis_internal.h"

#include "base/log.h"
#include "base/metrics.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>

static void on_event(void *arg, unsigned events);

void busi_redis_complain(struct busi_redis *redis, const char *why)
{
    int64_t now = busi_now_ms();
    if (redis->logged_ms && now < redis->logged_ms + REDIS_LOG_EVERY_MS)
        return;
    redis->logged_ms = now;
    busi_log(BUSI_WARN, redis->is_sentinel ? "sentinel_unavailable" : "redis_unavailable",
             BUSI_C("reason", why), BUSI_C("address", redis->address.host),
             BUSI_I("port", redis->address.port));
}

static void connect_now(struct busi_redis *redis, const char *address)
{
    redis->state = REDIS_CONNECTING;
    busi_timer_set(redis->timer, busi_now_ms() + REDIS_CONNECT_MS);
    redis->context = address[0] == '/' ? redisConnectUnixNonBlock(address)
                                       : redisConnectNonBlock(address, redis->address.port);
    if (!redis->context || redis->context->err) {
        busi_redis_lose(redis, redis->context ? redis->context->errstr : "out of memory");
        return;
    }
    redis->watch = busi_loop_fd(redis->loop, redis->context->fd, BUSI_WRITABLE, on_event, redis);
    if (!redis->watch)
        busi_redis_lose(redis, "no watch");
}

static void on_resolved(void *arg, const struct busi_resolved *found)
{
    struct busi_redis *redis = arg;
    redis->resolve = NULL;
    if (found->n == 0)
        busi_redis_lose(redis, "host name not found");
    else
        connect_now(redis, found->items[redis->attempts++ % found->n].text);
}

/* False: the sentinels have not agreed. */
static bool choose_address(struct busi_redis *redis)
{
    const struct redis_lease *lease = redis->sentinels ? busi_redis_sentinels_lease(redis->sentinels) : NULL;
    if (redis->sentinels && !lease)
        return false;
    redis->address = lease ? lease->master : redis->url.address;
    return true;
}

void busi_redis_open(struct busi_redis *redis)
{
    if (!choose_address(redis)) {
        redis->state = REDIS_ASKING;
        if (!redis->logged_ms) /* they need a moment at start */
            redis->logged_ms = busi_now_ms() - REDIS_LOG_EVERY_MS + REDIS_CONNECT_MS;
        return;
    }
    if (!busi_resolve_needed(redis->address.host)) {
        connect_now(redis, redis->address.host);
        return;
    }
    redis->state = REDIS_RESOLVING;
    redis->resolve = busi_resolve_start(redis->loop, redis->address.host, on_resolved, redis);
    if (!redis->resolve)
        busi_redis_lose(redis, "no thread to resolve with");
}

static bool greet_with(struct busi_redis *redis, int argc, const struct busi_str *argv)
{
    redis->greetings++;
    return busi_redis_send(redis, argc, argv) != NULL;
}

static bool authenticate(struct busi_redis *redis)
{
    const struct redis_url *url = &redis->url;
    if (!url->password)
        return true;
    const struct busi_str user = busi_str_of(url->user), password = busi_str_of(url->password);
    return url->user ? greet_with(redis, 3, (const struct busi_str[]){BUSI_STR("AUTH"), user, password})
                     : greet_with(redis, 2, (const struct busi_str[]){BUSI_STR("AUTH"), password});
}

static bool choose_database(struct busi_redis *redis)
{
    char db[8];
    snprintf(db, sizeof db, "%d", redis->url.db);
    return !redis->url.db ||
           greet_with(redis, 2, (const struct busi_str[]){BUSI_STR("SELECT"), busi_str_of(db)});
}

/* That it is the master, and of which data. */
static bool ask_who_it_is(struct busi_redis *redis)
{
    redis->greetings++;
    return greet_with(redis, 3,
                      (const struct busi_str[]){BUSI_STR("CLIENT"), BUSI_STR("SETNAME"), BUSI_STR("busi")}) &&
           busi_redis_look(redis);
}

/* False: not all of it could be queued, and of an unsaid SELECT or INFO nothing would tell later. */
static bool greet(struct busi_redis *redis)
{
    redis->state = REDIS_GREETING;
    redis->greetings = 0;
    redis->history[0] = '\0';
    /* LOADING is answered to PING: not ready yet */
    return authenticate(redis) && choose_database(redis) && greet_with(redis, 1, &BUSI_STR("PING")) &&
           (redis->is_sentinel || ask_who_it_is(redis));
}

static void on_connected(struct busi_redis *redis)
{
    int error = 0, user_timeout_ms = 4000;
    socklen_t size = sizeof error;
    int fd = redis->context->fd;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
        char why[96];
        snprintf(why, sizeof why, "connect: errno %d", error ? error : errno);
        busi_redis_lose(redis, why);
        return;
    }
    if (redis->address.host[0] != '/') {
        (void)redisEnableKeepAlive(redis->context);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof user_timeout_ms);
    }
    busi_redis_bound_replies(redis);
    busi_watch_events(redis->watch, BUSI_READABLE);
    if (!greet(redis))
        busi_redis_lose(redis, "out of memory");
}

static void on_ready(struct busi_redis *redis, int64_t until_ms)
{
    redis->state = REDIS_READY;
    redis->ready_ms = busi_now_ms();
    if (redis->backoff.pause_ms == 0)
        redis->logged_ms = 0;
    redis->generation++;
    atomic_store_explicit(&redis->until_ms, until_ms, memory_order_relaxed);
    busi_log(BUSI_INFO, redis->is_sentinel ? "sentinel_ready" : "redis_ready",
             BUSI_C("address", redis->address.host), BUSI_I("port", redis->address.port),
             BUSI_I("generation", (int64_t)redis->generation));
}

/* Where sentinels choose, another process may have been told of an older master a moment ago, and goes on
 * believing it until its lease ends: it must not happen that two are believed at once. */
static void wait_until_settled(struct busi_redis *redis, int64_t ms)
{
    redis->state = REDIS_SETTLING;
    busi_timer_set(redis->timer, busi_now_ms() + ms);
}

static void settle(struct busi_redis *redis)
{
    const struct redis_lease *lease = busi_redis_sentinels_lease(redis->sentinels);
    int64_t now = busi_now_ms();
    if (!lease)
        busi_redis_lose(redis, "no majority of the sentinels confirms the master");
    else if (now < lease->settled_ms)
        wait_until_settled(redis, lease->settled_ms - now);
    else
        on_ready(redis, lease->until_ms);
}

static void on_greeted(struct busi_redis *redis)
{
    busi_timer_set(redis->timer, INT64_MAX);
    if (redis->sentinels)
        settle(redis);
    else
        on_ready(redis, INT64_MAX);
}

void busi_redis_on_time(void *arg)
{
    struct busi_redis *redis = arg;
    if (redis->state == REDIS_WAITING)
        busi_redis_open(redis);
    else if (redis->state == REDIS_SETTLING)
        settle(redis);
    else
        busi_redis_lose(redis, "connecting took too long");
}

void busi_redis_follow(struct busi_redis *redis)
{
    const struct redis_lease *lease = busi_redis_sentinels_lease(redis->sentinels);
    bool same = lease && busi_redis_same(&lease->master, &redis->address);
    switch (redis->state) {
    case REDIS_ASKING:
        if (lease)
            busi_redis_open(redis);
        else
            busi_redis_complain(redis, "no majority of the sentinels names a master");
        return;
    case REDIS_WAITING: /* what failed was the old one: no use in waiting */
        if (lease && !same) {
            busi_timer_set(redis->timer, INT64_MAX);
            busi_redis_open(redis);
        }
        return;
    default:
        if (!same)
            busi_redis_lose(redis, lease ? "the sentinels name another master"
                                         : "no majority of the sentinels confirms the master");
        else if (redis->state == REDIS_READY)
            atomic_store_explicit(&redis->until_ms, lease->until_ms, memory_order_relaxed);
    }
}

/* NULL: fine; else why the connection is over. */
static const char *take(struct busi_redis *redis, const redisReply *reply)
{
    if (!redis->first)
        return "a reply nobody asked for";
    if (redis->state == REDIS_GREETING && reply->type == REDIS_REPLY_ERROR)
        return reply->str;
    bool moved = busi_redis_moved(reply);
    const char *fault = busi_redis_finish(redis, BUSI_OK, reply);
    if (fault || moved)
        return fault ? fault : "the server is read-only now";
    if (redis->state == REDIS_GREETING && --redis->greetings == 0)
        on_greeted(redis);
    return NULL;
}

/* All complete replies. False: the connection was lost. */
static bool take_all(struct busi_redis *redis)
{
    char why[160] = "";
    for (void *reply = NULL; !why[0]; freeReplyObject(reply)) {
        reply = NULL;
        if (redisGetReplyFromReader(redis->context, &reply) != REDIS_OK) {
            snprintf(why, sizeof why, "%s", redis->context->errstr);
            continue;
        }
        if (!reply)
            break;
        redis->reply_bytes = redis->reply_items = 0;
        const char *fault = take(redis, reply);
        if (fault)
            snprintf(why, sizeof why, "%s", fault);
    }
    const redisReader *reader = redis->context->reader;
    if (!why[0] && reader->len - reader->pos > REDIS_UNREAD_MOST)
        snprintf(why, sizeof why, "reply too large");
    if (why[0])
        busi_redis_lose(redis, why);
    return !why[0];
}

static void on_event(void *arg, unsigned events)
{
    struct busi_redis *redis = arg;
    if (redis->state == REDIS_CONNECTING) {
        on_connected(redis);
        return;
    }
    if (events & (BUSI_READABLE | BUSI_HUNG_UP)) {
        bool open = redisBufferRead(redis->context) == REDIS_OK;
        if (open && !take_all(redis))
            return;
        if (!open) {
            busi_redis_lose(redis, redis->context->errstr);
            return;
        }
    }
    if (events & BUSI_WRITABLE)
        busi_redis_flush(redis);
}

void busi_redis_flush(void *arg)
{
    struct busi_redis *redis = arg;
    if (!redis->is_sentinel)
        busi_metric_set(BUSI_METRIC_redis_in_flight, (int64_t)redis->in_flight);
    if (redis->out.len == redis->written || !redis->watch)
        return;
    /* not hiredis' own write: MSG_NOSIGNAL spares the process a SIGPIPE */
    ssize_t n = send(redis->context->fd, redis->out.ptr + redis->written, redis->out.len - redis->written,
                     MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        busi_redis_lose(redis, "write failed");
        return;
    }
    redis->written += n > 0 ? (size_t)n : 0;
    bool all = redis->written == redis->out.len;
    if (all) {
        busi_buf_clear(&redis->out);
        redis->written = 0;
    }
    busi_watch_events(redis->watch, all ? BUSI_READABLE : BUSI_READABLE | BUSI_WRITABLE);
}

void busi_redis_close(struct busi_redis *redis)
{
    redis->state = REDIS_WAITING;
    atomic_store_explicit(&redis->until_ms, 0, memory_order_relaxed);
    if (redis->timer) /* else it was never made whole */
        busi_timer_set(redis->timer, INT64_MAX);
    if (redis->watch)
        busi_watch_free(&redis->watch);
    busi_resolve_cancel(&redis->resolve);
    if (redis->context)
        redisFree(redis->context);
    redis->context = NULL;
    busi_buf_fini(&redis->out); /* wipes a password that was not written */
    redis->written = 0;
}

void busi_redis_lose(struct busi_redis *redis, const char *why)
{
    int64_t now = busi_now_ms();
    busi_redis_complain(redis, why);
    if (!redis->is_sentinel)
        busi_metric_add(BUSI_METRIC_redis_reconnects, 1);
    while (redis->first)
        (void)busi_redis_finish(
            redis, now >= redis->first->overdue_ms ? BUSI_DEADLINE_EXCEEDED : BUSI_UNAVAILABLE, NULL);
    busi_redis_close(redis);
    busi_timer_set(redis->timer, busi_now_ms() + busi_backoff_next(&redis->backoff));
}
