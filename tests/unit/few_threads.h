/* A process that the system lets make only so many threads. Whoever includes it defines _GNU_SOURCE. */
#pragma once
#include <sched.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <unistd.h>

enum { NOBODY_ELSE = 64321 }; /* who does nothing else on this machine */

/* Root may make any number, so it becomes somebody else; others become so in a world of their own, which
 * wants to have one thread yet. False: that may not be had here. */
static inline bool bow_to_limits(void)
{
    if (geteuid() != 0)
        return unshare(CLONE_NEWUSER) == 0;
    return setgid(NOBODY_ELSE) == 0 && setuid(NOBODY_ELSE) == 0;
}

/* Of all its user's, itself among them. */
static inline bool allow_threads(rlim_t most)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NPROC, &limit) != 0)
        return false;
    limit.rlim_cur = most;
    return setrlimit(RLIMIT_NPROC, &limit) == 0;
}
