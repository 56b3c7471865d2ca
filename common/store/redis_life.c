/* The life of Redis as all links see it: away, settling, ready, lost. */
#include "store/redis_internal.h"

#include "base/log.h"
#include "base/metrics.h"

#include <stdio.h>

enum { WHY_MOST = 160 };

static const char NAMES_ANOTHER[] = "the sentinels name another master",
                  CONFIRMS_NONE[] = "no majority of the sentinels confirms the master";

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

/* One of several. */
static void mention(struct busi_redis *redis, const char *why)
{
    int64_t now = busi_now_ms();
    if (redis->link_logged_ms && now < redis->link_logged_ms + REDIS_LOG_EVERY_MS)
        return;
    redis->link_logged_ms = now;
    busi_log(BUSI_INFO, redis->is_sentinel ? "sentinel_link_lost" : "redis_link_lost", BUSI_C("reason", why),
             BUSI_C("address", redis->address.host), BUSI_I("port", redis->address.port));
}

static size_t linked(const struct busi_redis *redis)
{
    size_t n = 0;
    for (size_t i = 0; i < redis->n_links; i++)
        n += redis->links[i].state == REDIS_LINKED;
    return n;
}

/* ---- dialling ---- */

/* More than one dials only where packets seem to get lost, and more than one is kept only of a server that
 * can be told from another. */
static bool is_wanted(const struct redis_link *link)
{
    const struct busi_redis *redis = link->redis;
    return busi_redis_up(redis) ? !busi_redis_alone(redis) : link->number == 0 || redis->quiet;
}

/* All that are closed and wanted, now; those that wait after a failure of their own wait on. */
static void wake(struct busi_redis *redis)
{
    for (size_t i = 0; i < redis->n_links; i++) {
        struct redis_link *link = &redis->links[i];
        if (link->state != REDIS_RESTING || !link->idle || !is_wanted(link))
            continue;
        link->idle = false;
        busi_timer_set(link->timer, busi_now_ms());
    }
}

static void redial(struct redis_link *link, int64_t pause_ms)
{
    link->idle = !is_wanted(link);
    busi_timer_set(link->timer, link->idle ? INT64_MAX : busi_now_ms() + pause_ms);
}

bool busi_redis_choose_address(struct busi_redis *redis)
{
    const struct redis_lease *lease = redis->sentinels ? busi_redis_sentinels_lease(redis->sentinels) : NULL;
    if (redis->sentinels && !lease) {
        redis->state = REDIS_ASKING;
        if (!redis->logged_ms) /* they need a moment at start */
            redis->logged_ms = busi_now_ms() - REDIS_LOG_EVERY_MS + REDIS_DIAL_MOST_MS;
        return false;
    }
    redis->state = REDIS_AWAY;
    redis->address = lease ? lease->master : redis->url.address;
    return true;
}

/* ---- ready ---- */

static void on_ready(struct busi_redis *redis, int64_t until_ms)
{
    redis->state = REDIS_READY;
    redis->ready_ms = busi_now_ms();
    redis->generation++;
    atomic_store_explicit(&redis->until_ms, until_ms, memory_order_relaxed);
    busi_log(BUSI_INFO, redis->is_sentinel ? "sentinel_ready" : "redis_ready",
             BUSI_C("address", redis->address.host), BUSI_I("port", redis->address.port),
             BUSI_I("generation", (int64_t)redis->generation));
}

/* Where sentinels choose, another process may have been told of an older master a moment ago, and goes on
 * believing it until its lease ends: it must not happen that two are believed at once. NULL, or why not. */
static const char *settle(struct busi_redis *redis)
{
    const struct redis_lease *lease = busi_redis_sentinels_lease(redis->sentinels);
    int64_t now = busi_now_ms();
    if (!lease || !busi_redis_same(&lease->master, &redis->address))
        return lease ? NAMES_ANOTHER : CONFIRMS_NONE;
    if (now < lease->settled_ms) {
        redis->state = REDIS_SETTLING;
        busi_timer_set(redis->timer, lease->settled_ms);
    } else
        on_ready(redis, lease->until_ms);
    return NULL;
}

void busi_redis_on_time(void *arg)
{
    struct busi_redis *redis = arg;
    const char *fault = redis->state == REDIS_SETTLING ? settle(redis) : NULL;
    redis->quiet = false;
    if (fault)
        busi_redis_lose(redis, fault);
}

static void look_at_all(struct busi_redis *redis)
{
    for (size_t i = 0; i < redis->n_links; i++)
        redis->links[i].looked_ms = 0;
}

const char *busi_redis_greeted(struct redis_link *link)
{
    struct busi_redis *redis = link->redis;
    if (busi_redis_up(redis)) {
        bool same = redis->history[0] && strcmp(redis->history, link->history) == 0;
        if (same || redis->is_sentinel) {
            redis->heard_ms = link->linked_ms;
            return NULL;
        }
        look_at_all(redis); /* it may be they who speak to a server of the past */
        return "another Redis answers at its address";
    }
    memcpy(redis->history, link->history, sizeof redis->history);
    memcpy(redis->text, link->text, sizeof redis->text);
    redis->heard_ms = link->linked_ms;
    const char *fault = NULL;
    if (redis->sentinels)
        fault = settle(redis);
    else
        on_ready(redis, INT64_MAX);
    wake(redis);
    return fault;
}

void busi_redis_has_other_data(struct redis_link *link)
{
    struct busi_redis *redis = link->redis;
    bool first = !redis->history[0];
    memcpy(redis->history, link->history, sizeof redis->history);
    if (first) {
        wake(redis);
        return;
    }
    redis->generation++;
    busi_log(BUSI_INFO, "redis_history_changed", BUSI_I("generation", (int64_t)redis->generation));
    for (size_t i = 0; i < redis->n_links; i++) {
        struct redis_link *other = &redis->links[i];
        if (other == link || other->state == REDIS_RESTING)
            continue;
        busi_redis_link_close(other);
        redial(other, 0);
    }
    while (redis->line_first)
        busi_redis_fail(redis, redis->line_first, BUSI_UNAVAILABLE);
}

/* ---- lost ---- */

void busi_redis_lose(struct busi_redis *redis, const char *why)
{
    busi_redis_complain(redis, why);
    redis->state = REDIS_AWAY;
    atomic_store_explicit(&redis->until_ms, 0, memory_order_relaxed);
    busi_timer_set(redis->timer, INT64_MAX);
    for (size_t i = 0; i < redis->n_links; i++) {
        struct redis_link *link = &redis->links[i];
        if (link->state == REDIS_LINKED && !redis->is_sentinel)
            busi_metric_add(BUSI_METRIC_redis_reconnects, 1);
        busi_redis_link_close(link);
    }
    while (redis->line_first)
        busi_redis_fail(redis, redis->line_first, BUSI_UNAVAILABLE);
    redis->history[0] = redis->text[0] = '\0';
    for (size_t i = 0; i < redis->n_links; i++)
        redial(&redis->links[i], redis->quiet ? 0 : busi_backoff_next(&redis->links[i].backoff));
}

/* No link is left, but one may be back before anybody need notice. */
static bool is_missed(const struct busi_redis *redis)
{
    return !busi_redis_alone(redis) && busi_now_ms() < redis->heard_ms + REDIS_GRACE * redis->timeout_ms;
}

void busi_redis_lose_link(struct redis_link *link, const char *text, bool silent)
{
    struct busi_redis *redis = link->redis;
    char why[WHY_MOST]; /* text may go with the connection */
    snprintf(why, sizeof why, "%s", text);
    size_t others = linked(redis) - (link->state == REDIS_LINKED);
    redis->quiet = silent;
    if (busi_redis_up(redis) && others == 0 && !(silent && is_missed(redis))) {
        busi_redis_lose(redis, why);
        return;
    }
    if (busi_redis_up(redis))
        mention(redis, why);
    else
        busi_redis_complain(redis, why);
    if (!redis->is_sentinel)
        busi_metric_add(BUSI_METRIC_redis_reconnects, 1);
    busi_redis_give_back(link, false);
    busi_redis_link_close(link);
    redial(link, silent ? 0 : busi_backoff_next(&link->backoff));
    if (!busi_redis_up(redis))
        wake(redis);
    else if (!silent)
        look_at_all(redis);
}

/* ---- as time goes by ---- */

void busi_redis_follow(struct busi_redis *redis)
{
    const struct redis_lease *lease = busi_redis_sentinels_lease(redis->sentinels);
    bool same = lease && busi_redis_same(&lease->master, &redis->address);
    redis->quiet = redis->quiet && same;
    if (redis->state == REDIS_ASKING || redis->state == REDIS_AWAY) {
        if (!lease && redis->state == REDIS_ASKING)
            busi_redis_complain(redis, "no majority of the sentinels names a master");
        if (!lease || (same && redis->state == REDIS_AWAY))
            return;
        /* what failed was the old one: no use in waiting */
        for (size_t i = 0; i < redis->n_links; i++) {
            busi_redis_link_close(&redis->links[i]);
            redial(&redis->links[i], 0);
        }
        (void)busi_redis_choose_address(redis);
    } else if (!same)
        busi_redis_lose(redis, lease ? NAMES_ANOTHER : CONFIRMS_NONE);
    else if (redis->state == REDIS_READY)
        atomic_store_explicit(&redis->until_ms, lease->until_ms, memory_order_relaxed);
}

/* What left for good and is not answered: to be asked again is not for it. */
static bool carries_write(const struct redis_link *link)
{
    for (const struct redis_request *request = link->first; request; request = request->next)
        if (request->call && !request->call->repeatable)
            return true;
    return false;
}

static bool is_silent(const struct redis_link *link, int64_t now)
{
    const struct busi_redis *redis = link->redis;
    if (!link->first)
        return false;
    int64_t owed_ms = now - link->first->sent_ms, silent_ms = now - link->heard_ms;
    if (busi_redis_alone(redis) || owed_ms < redis->timeout_ms)
        return owed_ms >= redis->timeout_ms;
    if (owed_ms >= REDIS_PATIENCE * redis->timeout_ms)
        return true;
    return silent_ms >= redis->timeout_ms &&
           !(carries_write(link) && now < redis->heard_ms + redis->timeout_ms);
}

static void watch(struct redis_link *link, int64_t now)
{
    if (now >= link->linked_ms + REDIS_STEADY_MS)
        link->backoff.pause_ms = 0;
    if (is_silent(link, now))
        busi_redis_lose_link(link, "no reply in time", true);
    else if (!link->redis->is_sentinel && now >= link->looked_ms + REDIS_LOOK_MS)
        (void)busi_redis_look(link);
}

void busi_redis_on_tick(void *arg)
{
    struct busi_redis *redis = arg;
    int64_t now = busi_now_ms();
    if (redis->sentinels)
        busi_redis_follow(redis);
    for (size_t i = 0; i < redis->n_links && busi_redis_up(redis); i++)
        if (redis->links[i].state == REDIS_LINKED)
            watch(&redis->links[i], now);
    if (!busi_redis_up(redis))
        return;
    if (linked(redis) == 0 && !is_missed(redis)) {
        redis->quiet = true;
        busi_redis_lose(redis, "no reply in time");
    } else if (redis->state == REDIS_READY && now >= redis->ready_ms + REDIS_STEADY_MS)
        redis->logged_ms = 0;
}
