/* One connection: resolve, connect, greet, serve. A context that saw any error is never used again (hiredis
 * 0.14 would hand one command's reply to the next). */
#include "store/redis_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static void on_event(void *arg, unsigned events);

/* ---- requests ---- */

void busi_redis_request_free(struct busi_redis *redis, struct redis_request *request)
{
    request->next = redis->free_requests;
    redis->free_requests = request;
}

/* A chain of n; NULL: out of memory. */
static struct redis_request *requests_new(struct busi_redis *redis, size_t n)
{
    struct redis_request *chain = NULL;
    for (size_t i = 0; i < n; i++) {
        struct redis_request *request = redis->free_requests;
        if (request)
            redis->free_requests = request->next;
        else
            request = malloc(sizeof *request);
        if (!request)
            break;
        *request = (struct redis_request){.next = chain};
        chain = request;
        if (i == n - 1)
            return chain;
    }
    for (struct redis_request *next; chain; chain = next) {
        next = chain->next;
        busi_redis_request_free(redis, chain);
    }
    return NULL;
}

static size_t size_of(const struct busi_redis_command *commands, size_t n)
{
    size_t size = 0;
    for (size_t i = 0; i < n; i++) {
        size += 16;
        for (int k = 0; k < commands[i].argc; k++)
            size += commands[i].argv[k].len + 32;
    }
    return size;
}

static void write_command(struct busi_buf *out, const struct busi_redis_command *command)
{
    busi_buf_char(out, '*');
    busi_buf_int(out, command->argc);
    busi_buf_str(out, BUSI_STR("\r\n"));
    for (int i = 0; i < command->argc; i++) {
        busi_buf_char(out, '$');
        busi_buf_int(out, (int64_t)command->argv[i].len);
        busi_buf_str(out, BUSI_STR("\r\n"));
        busi_buf_str(out, command->argv[i]);
        busi_buf_str(out, BUSI_STR("\r\n"));
    }
}

static void append(struct redis_link *link, struct redis_request *request)
{
    request->next = NULL;
    *(link->last ? &link->last->next : &link->first) = request;
    link->last = request;
    link->in_flight++;
}

enum busi_code busi_redis_link_send(struct redis_link *link, const struct busi_redis_command *commands,
                                    size_t n, struct redis_call *call)
{
    struct busi_redis *redis = link->redis;
    size_t before = link->out.len, size = size_of(commands, n);
    if (before + size > REDIS_OUT_MOST || link->in_flight + n > REDIS_ON_LINK_MOST)
        return before + link->in_flight > 0 ? BUSI_UNAVAILABLE : BUSI_RESOURCE_EXHAUSTED;
    struct redis_request *chain = busi_buf_reserve(&link->out, size) ? requests_new(redis, n) : NULL;
    link->out.failed = false;
    if (!chain)
        return BUSI_RESOURCE_EXHAUSTED;
    int64_t now = busi_now_ms();
    for (size_t i = 0; i < n; i++) {
        struct redis_request *request = chain;
        chain = chain->next;
        request->call = call;
        request->index = i;
        request->sent_ms = now;
        request->at = link->queued + (link->out.len - before);
        write_command(&link->out, &commands[i]);
        append(link, request);
    }
    link->queued += link->out.len - before;
    if (link->state == REDIS_LINKED && !redis->pace_ms && !busi_redis_alone(redis))
        busi_timer_set(redis->pace, redis->pace_ms = now + REDIS_PACE_MS);
    return BUSI_OK;
}

bool busi_redis_link_ask(struct redis_link *link, int argc, const struct busi_str *argv, redis_taker *taker,
                         void *arg)
{
    const struct busi_redis_command command = {.argc = argc, .argv = argv};
    if (busi_redis_link_send(link, &command, 1, NULL) != BUSI_OK)
        return false;
    link->last->taker = taker;
    link->last->taker_arg = arg;
    return true;
}

struct redis_request *busi_redis_link_shift(struct redis_link *link)
{
    struct redis_request *request = link->first;
    link->first = request->next;
    if (!link->first)
        link->last = NULL;
    link->in_flight--;
    return request;
}

/* ---- connecting ---- */

static void connect_now(struct redis_link *link)
{
    link->state = REDIS_CONNECTING;
    busi_timer_set(link->timer, busi_now_ms() + link->dial_ms);
    link->context = link->text[0] == '/' ? redisConnectUnixNonBlock(link->text)
                                         : redisConnectNonBlock(link->text, link->redis->address.port);
    if (!link->context || link->context->err) {
        busi_redis_lose_link(link, link->context ? link->context->errstr : "out of memory", false);
        return;
    }
    link->watch = busi_loop_fd(link->redis->loop, link->context->fd, BUSI_WRITABLE, on_event, link);
    if (!link->watch)
        busi_redis_lose_link(link, "no watch", false);
}

static void on_resolved(void *arg, const struct busi_resolved *found)
{
    struct redis_link *link = arg;
    link->resolve = NULL;
    if (found->n == 0) {
        busi_redis_lose_link(link, "host name not found", false);
        return;
    }
    snprintf(link->text, sizeof link->text, "%s", found->items[link->redis->attempts++ % found->n].text);
    connect_now(link);
}

/* Where the other links are, if there are any; else wherever Redis is said to be now. */
static void dial(struct redis_link *link)
{
    struct busi_redis *redis = link->redis;
    if (busi_redis_up(redis)) {
        memcpy(link->text, redis->text, sizeof link->text);
        connect_now(link);
        return;
    }
    if (!busi_redis_choose_address(redis)) {
        link->idle = true;
        return;
    }
    const char *host = redis->address.host;
    if (!busi_resolve_needed(host)) {
        snprintf(link->text, sizeof link->text, "%s", host);
        connect_now(link);
        return;
    }
    link->state = REDIS_RESOLVING;
    link->resolve = busi_resolve_start(redis->loop, host, on_resolved, link);
    if (!link->resolve)
        busi_redis_lose_link(link, "no thread to resolve with", false);
}

/* ---- greeting ---- */

static bool greet_with(struct redis_link *link, int argc, const struct busi_str *argv)
{
    link->greetings++;
    return busi_redis_link_ask(link, argc, argv, NULL, NULL);
}

static bool authenticate(struct redis_link *link)
{
    const struct redis_url *url = &link->redis->url;
    if (!url->password)
        return true;
    const struct busi_str user = busi_str_of(url->user), password = busi_str_of(url->password);
    return url->user ? greet_with(link, 3, (const struct busi_str[]){BUSI_STR("AUTH"), user, password})
                     : greet_with(link, 2, (const struct busi_str[]){BUSI_STR("AUTH"), password});
}

static bool choose_database(struct redis_link *link)
{
    char db[8];
    snprintf(db, sizeof db, "%d", link->redis->url.db);
    return !link->redis->url.db ||
           greet_with(link, 2, (const struct busi_str[]){BUSI_STR("SELECT"), busi_str_of(db)});
}

/* That it is the master, and of which data. */
static bool ask_who_it_is(struct redis_link *link)
{
    link->greetings++;
    return greet_with(link, 3,
                      (const struct busi_str[]){BUSI_STR("CLIENT"), BUSI_STR("SETNAME"), BUSI_STR("busi")}) &&
           busi_redis_look(link);
}

/* False: not all of it could be queued, and of an unsaid SELECT or INFO nothing would tell later. */
static bool greet(struct redis_link *link)
{
    link->state = REDIS_GREETING;
    link->greetings = 0;
    link->history[0] = '\0';
    /* LOADING is answered to PING: not ready yet */
    return authenticate(link) && choose_database(link) && greet_with(link, 1, &BUSI_STR("PING")) &&
           (link->redis->is_sentinel || ask_who_it_is(link));
}

static void on_connected(struct redis_link *link)
{
    int error = 0, user_timeout_ms = 4000;
    socklen_t size = sizeof error;
    int fd = link->context->fd;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
        char why[96];
        snprintf(why, sizeof why, "connect: errno %d", error ? error : errno);
        busi_redis_lose_link(link, why, false);
        return;
    }
    if (link->redis->address.host[0] != '/') {
        (void)redisEnableKeepAlive(link->context);
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof user_timeout_ms);
    }
    busi_redis_bound_replies(link);
    busi_watch_events(link->watch, BUSI_READABLE);
    busi_timer_set(link->timer,
                   busi_now_ms() + (link->dial_ms > REDIS_GREET_MS ? link->dial_ms : REDIS_GREET_MS));
    if (!greet(link))
        busi_redis_lose_link(link, "out of memory", false);
}

static const char *on_greeted(struct redis_link *link, int64_t sent_ms)
{
    link->state = REDIS_LINKED;
    link->linked_ms = busi_now_ms();
    link->usual = (link->linked_ms - sent_ms) * 16;
    link->dial_ms = REDIS_DIAL_MS;
    busi_timer_set(link->timer, INT64_MAX);
    return busi_redis_greeted(link);
}

void busi_redis_link_on_time(void *arg)
{
    struct redis_link *link = arg;
    if (link->state == REDIS_RESTING) {
        dial(link);
        return;
    }
    link->dial_ms = link->dial_ms * 2 < REDIS_DIAL_MOST_MS ? link->dial_ms * 2 : REDIS_DIAL_MOST_MS;
    busi_redis_lose_link(link, "connecting took too long", true);
}

/* ---- serving ---- */

/* NULL: fine; else why the link is over, or *all are. */
static const char *take(struct redis_link *link, const redisReply *reply, bool *all)
{
    const bool greeting = link->state == REDIS_GREETING;
    const char *fault = NULL;
    if (!link->first)
        return "a reply nobody asked for";
    if (greeting && reply->type == REDIS_REPLY_ERROR)
        return reply->str;
    struct redis_request *request = busi_redis_link_shift(link), was = *request;
    busi_redis_request_free(link->redis, request);
    if (was.call)
        busi_redis_take(link, was.call, was.index, reply);
    else if (was.taker)
        fault = was.taker(was.taker_arg, reply, was.sent_ms);
    if (!fault && busi_redis_moved(reply))
        fault = "the server is read-only now";
    *all = fault && !greeting;
    if (!fault && greeting && --link->greetings == 0)
        fault = on_greeted(link, was.sent_ms);
    return fault;
}

/* How long the oldest took, were it not for rare losses: slower ones weigh less. */
static void note_time(struct redis_link *link, int64_t sent_ms, int64_t now)
{
    int64_t took = (now - sent_ms) * 16, most = REDIS_LATE_MS * 16 + 2 * link->usual;
    if (took > most)
        took = most;
    link->usual += took < link->usual ? (took - link->usual) / 4 : (took - link->usual) / 16;
}

/* All complete replies. False: the connection was lost. */
static bool take_all(struct redis_link *link)
{
    char why[160] = "";
    bool all = false;
    for (void *reply = NULL; !why[0]; freeReplyObject(reply)) {
        reply = NULL;
        if (redisGetReplyFromReader(link->context, &reply) != REDIS_OK) {
            snprintf(why, sizeof why, "%s", link->context->errstr);
            continue;
        }
        if (!reply)
            break;
        link->reply_bytes = link->reply_items = 0;
        const char *fault = take(link, reply, &all);
        if (fault)
            snprintf(why, sizeof why, "%s", fault);
    }
    const redisReader *reader = link->context->reader;
    if (!why[0] && reader->len - reader->pos > REDIS_UNREAD_MOST)
        snprintf(why, sizeof why, "reply too large");
    if (why[0] && all) {
        link->redis->quiet = false;
        busi_redis_lose(link->redis, why);
    } else if (why[0])
        busi_redis_lose_link(link, why, false);
    return !why[0];
}

/* False: the connection was lost. */
static bool receive(struct redis_link *link)
{
    if (redisBufferRead(link->context) != REDIS_OK) {
        busi_redis_lose_link(link, link->context->errstr, false);
        return false;
    }
    int64_t now = busi_now_ms();
    if (link->state == REDIS_LINKED) {
        link->heard_ms = link->redis->heard_ms = now;
        if (link->first)
            note_time(link, link->first->sent_ms, now);
    }
    return take_all(link);
}

static void on_event(void *arg, unsigned events)
{
    struct redis_link *link = arg;
    if (link->state == REDIS_CONNECTING) {
        on_connected(link);
        return;
    }
    if ((events & (BUSI_READABLE | BUSI_HUNG_UP)) && !receive(link))
        return;
    if (events & BUSI_WRITABLE)
        busi_redis_link_flush(link);
}

void busi_redis_link_flush(struct redis_link *link)
{
    if (link->out.len == link->written || !link->watch)
        return;
    /* not hiredis' own write: MSG_NOSIGNAL spares the process a SIGPIPE */
    ssize_t n =
        send(link->context->fd, link->out.ptr + link->written, link->out.len - link->written, MSG_NOSIGNAL);
    if (n < 0 && errno != EAGAIN && errno != EINTR) {
        busi_redis_lose_link(link, "write failed", false);
        return;
    }
    link->written += n > 0 ? (size_t)n : 0;
    bool all = link->written == link->out.len;
    if (all) {
        busi_buf_clear(&link->out);
        link->written = 0;
    }
    busi_watch_events(link->watch, all ? BUSI_READABLE : BUSI_READABLE | BUSI_WRITABLE);
}

void busi_redis_link_close(struct redis_link *link)
{
    busi_redis_give_back(link, true);
    link->state = REDIS_RESTING;
    if (link->timer) /* else it was never made whole */
        busi_timer_set(link->timer, INT64_MAX);
    if (link->watch)
        busi_watch_free(&link->watch);
    busi_resolve_cancel(&link->resolve);
    if (link->context)
        redisFree(link->context);
    link->context = NULL;
    busi_buf_fini(&link->out); /* wipes a password that was not written */
    link->written = 0;
    link->queued = 0;
}
