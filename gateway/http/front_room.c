/* Room for those who ask. Who says nothing at all waits in the kernel; who begins a head and does not go on
 * holds a thread as long as a head may take to come: when threads are short, those are ended, longest first.
 */
#include "base/metrics.h"
#include "http/front_state.h"
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { ENDED = -1 }; /* instead of a time: its thread will see the end soon */

/* How long ago it must have come to be ended, in the order tried. Never less than the last: nearly every head
 * comes whole. */
static const int64_t ages_ms[] = {1000, 250, 50, 10};

static size_t most_at_ease(const struct http_front *front)
{
    return front->n_workers * 4 / 5;
}

bool front_is_crowded(const struct http_front *front)
{
    return atomic_load_explicit(&front->connections, memory_order_relaxed) > most_at_ease(front);
}

static _Atomic int64_t *wait_of(const struct front_worker *worker)
{
    return &worker->front->waits_since_ms[worker - worker->front->workers];
}

void front_wait_begins(const struct front_worker *worker)
{
    atomic_store_explicit(wait_of(worker), busi_now_ms(), memory_order_relaxed);
}

void front_wait_ends(const struct front_worker *worker)
{
    _Atomic int64_t *wait = wait_of(worker);
    /* of a connection's later requests nothing is written: workers share the lines of this memory */
    if (atomic_load_explicit(wait, memory_order_relaxed) != 0 && atomic_exchange(wait, 0) == ENDED)
        atomic_fetch_sub(&worker->front->leaving, 1);
}

static bool has_unread(int socket)
{
    int bytes = 0;
    return ioctl(socket, FIONREAD, &bytes) != 0 || bytes > 0;
}

/* Under front->sockets. How many were ended. */
static size_t end_waiting(struct http_front *front, int64_t since_ms, size_t most)
{
    size_t ended = 0;
    for (size_t i = 0; i < front->n_workers && ended < most; i++) {
        int64_t begun_ms = atomic_load_explicit(&front->waits_since_ms[i], memory_order_relaxed);
        if (begun_ms <= 0 || begun_ms > since_ms || front->workers[i].socket < 0 ||
            has_unread(front->workers[i].socket))
            continue;
        atomic_fetch_add(&front->leaving, 1);
        if (atomic_compare_exchange_strong(&front->waits_since_ms[i], &begun_ms, ENDED)) {
            shutdown(front->workers[i].socket, SHUT_RD); /* its thread reads the end, and closes */
            ended++;
        } else { /* it has just asked */
            atomic_fetch_sub(&front->leaving, 1);
        }
    }
    return ended;
}

void front_make_room(struct http_front *front)
{
    size_t staying = atomic_load(&front->connections), leaving = atomic_load(&front->leaving);
    staying -= leaving < staying ? leaving : staying;
    if (staying <= most_at_ease(front))
        return;
    int64_t now_ms = busi_now_ms();
    size_t excess = staying - most_at_ease(front), ended = 0;
    pthread_mutex_lock(&front->sockets);
    for (size_t i = 0; i < sizeof(ages_ms) / sizeof(ages_ms[0]) && ended < excess; i++)
        ended += end_waiting(front, now_ms - ages_ms[i], excess - ended);
    pthread_mutex_unlock(&front->sockets);
    busi_metric_add(BUSI_METRIC_http_shed, (int64_t)ended);
}

void http_front_tend(struct http_front *front)
{
    front_tended(front);
    front_make_room(front);
}
