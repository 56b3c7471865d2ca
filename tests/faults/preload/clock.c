/* fault-clock: a process' wall clock is wrong by as many seconds as FAULT_CLOCK says, and by those that a
 * test writes into the file that FAULT_CLOCK_PAGE names (preloads.py has the other end). libfaketime cannot
 * be loaded into Redis: it waits for jemalloc, which waits for it. Durations (CLOCK_MONOTONIC) are right. */
#define _GNU_SOURCE /* syscall */
#include "page.h"
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>

struct page {
    _Atomic(int64_t) seconds;
};
static struct page *page;
static time_t wrong_s;

[[gnu::constructor]] static void begin(void)
{
    const char *text = getenv("FAULT_CLOCK");
    wrong_s = text ? (time_t)strtoll(text, NULL, 10) : 0;
    page = page_map("FAULT_CLOCK_PAGE", sizeof(*page));
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    const int failed = (int)syscall(SYS_clock_gettime, clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += wrong_s + (page ? (time_t)atomic_load(&page->seconds) : 0);
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec exact;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &exact);
    *now = (struct timeval){.tv_sec = exact.tv_sec, .tv_usec = exact.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}
