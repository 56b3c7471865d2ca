/* Requests that look for tokens, and keep what a check answered, beside a watch that forgets and suspends.
 * A session is ended the way auth-svc does it: dead, then forgotten, then answered. From the answer on no
 * thread may find one of its tokens; and what is found is the token's own. Exit 0: so it was. */
#include "base/clock.h"
#include "crypto/secret.h"
#include "gateway/session/cache.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

enum { THREADS = 8, SESSIONS = 32, RUN_MS = 4000 };

static struct session_cache *cache;
static atomic_bool stop;
static atomic_long hits, kept, wrong, revived, ended_n;
/* Each is reborn under the next number when it has ended: what the store would say, and what was answered. */
static atomic_int alive[SESSIONS], answered[SESSIONS];

static void name_it(char text[32], int place, int number)
{
    snprintf(text, 32, "%d.%d", place, number);
}

/* As guard.c does it; the check is what `alive` says in between. */
static void request(int place, int number, bool slow)
{
    struct busi_arena arena;
    struct busi_principal who;
    struct session_ticket ticket;
    char token[32];
    name_it(token, place, number);
    busi_arena_init(&arena, 65536);
    int gone = atomic_load(&answered[place]); /* ended and answered before the request began */
    if (session_cache_find(cache, busi_str_of(token), &arena, &who, &ticket)) {
        atomic_fetch_add(&hits, 1);
        if (who.user_id != place || !busi_str_eq(who.session_id, busi_str_of(token)))
            atomic_fetch_add(&wrong, 1);
        if (number <= gone)
            atomic_fetch_add(&revived, 1);
    } else if (atomic_load(&alive[place]) == number) {
        int64_t now_us = busi_wall_us();
        if (slow) /* the answer takes its time */
            nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
        session_cache_keep(cache, &ticket,
                           &(struct busi_principal){.user_id = place,
                                                    .session_id = busi_str_of(token),
                                                    .door = BUSI_STR("busi"),
                                                    .checked_at = now_us,
                                                    .expires_at = now_us + 60000000});
        atomic_fetch_add(&kept, 1);
    }
    busi_arena_fini(&arena);
}

static void *ask(void *arg)
{
    unsigned seed = (unsigned)(size_t)arg * 7919 + 1;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        seed = seed * 1664525 + 1013904223;
        int place = (int)(seed >> 16) % SESSIONS, number = atomic_load(&alive[place]);
        request(place, number - (int)(seed >> 8) % 2, seed >> 30 == 0); /* or the last that ended */
    }
    return NULL;
}

static void end(int place)
{
    char token[32];
    int number = atomic_load(&alive[place]);
    name_it(token, place, number);
    atomic_store(&alive[place], number + 1);
    session_cache_forget(cache, &(struct busi_ended_session){.session_id = busi_str_of(token)}, 1);
    atomic_store(&answered[place], number);
    atomic_fetch_add(&ended_n, 1);
}

/* A lease that is over: what ends now is answered without being forgotten first. */
static void lapse(int place)
{
    int number = atomic_load(&alive[place]);
    session_cache_trust(cache, 0);
    atomic_store(&alive[place], number + 1);
    atomic_store(&answered[place], number);
    session_cache_forget_all(cache);
    session_cache_trust(cache, busi_lease_ms() + 1000);
}

static void *watch(void *arg)
{
    (void)arg;
    for (int i = 0; !atomic_load_explicit(&stop, memory_order_relaxed); i++) {
        if (i % 20 == 0)
            lapse(i * 13 % SESSIONS);
        else
            end(i * 31 % SESSIONS);
        session_cache_trust(cache, busi_lease_ms() + 1000);
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS + 1];
    if (!busi_crypto_init() || !(cache = session_cache_new(512)))
        return 2;
    for (int i = 0; i < SESSIONS; i++) {
        atomic_store(&alive[i], 1);
        atomic_store(&answered[i], 0);
    }
    session_cache_trust(cache, busi_lease_ms() + 1000);
    for (size_t i = 0; i <= THREADS; i++)
        if (pthread_create(&threads[i], NULL, i < THREADS ? ask : watch, (void *)i) != 0)
            return 2;
    nanosleep(&(struct timespec){.tv_sec = RUN_MS / 1000}, NULL);
    atomic_store(&stop, true);
    for (int i = 0; i <= THREADS; i++)
        pthread_join(threads[i], NULL);
    session_cache_free(&cache);
    printf("%ld hits, %ld kept, %ld ended, %ld wrong, %ld revived\n", atomic_load(&hits), atomic_load(&kept),
           atomic_load(&ended_n), atomic_load(&wrong), atomic_load(&revived));
    bool fine = !atomic_load(&wrong) && !atomic_load(&revived);
    return fine && atomic_load(&hits) > 1000 && atomic_load(&kept) > 100 && atomic_load(&ended_n) > 100 ? 0
                                                                                                        : 1;
}
