#define _GNU_SOURCE /* syscall */
#include "service/accept.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { PAUSE_MS = 20, LOG_EVERY_MS = 10000 };

static struct {
    pthread_mutex_t lock;
    int spare;         /* given up for a moment to let a connection in; -1: none */
    int64_t logged_ms; /* busi_now_ms() scale */
} door = {.lock = PTHREAD_MUTEX_INITIALIZER, .spare = -1};

static void keep_spare(void)
{
    if (door.spare < 0)
        door.spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

void busi_accept_init(void)
{
    pthread_mutex_lock(&door.lock);
    keep_spare();
    pthread_mutex_unlock(&door.lock);
}

/* Not accept4(): that is the one below. */
static int take(int listener, struct sockaddr *address, socklen_t *len, int flags)
{
    return (int)syscall(SYS_accept4, listener, address, len, flags);
}

/* False: there was nobody, or somebody else has taken the descriptor. */
static bool show_out(int listener)
{
    if (door.spare >= 0)
        close(door.spare);
    door.spare = -1;
    int fd = take(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    keep_spare();
    return fd >= 0;
}

static void without_descriptor(int listener)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
    pthread_mutex_lock(&door.lock);
    bool shown_out = show_out(listener);
    bool tell = door.logged_ms == 0 || busi_now_ms() >= door.logged_ms + LOG_EVERY_MS;
    if (tell)
        door.logged_ms = busi_now_ms();
    pthread_mutex_unlock(&door.lock);
    if (tell)
        busi_log(BUSI_ERR, "no_descriptors",
                 BUSI_C("remedy", "raise the limit of open files, of the process or the host"));
    if (shown_out)
        busi_metric_add(BUSI_METRIC_turned_away, 1);
    else
        nanosleep(&pause, NULL);
}

/* Found before libc's by libcivetweb.so and libzmq.so, for the linker exports what a shared library wants.
 * The names are given here: the headers' declarations are others with each set of extensions. */
int busi_accept(int listener, struct sockaddr *address, socklen_t *len) __asm__("accept");
int busi_accept4(int listener, struct sockaddr *address, socklen_t *len, int flags) __asm__("accept4");

int busi_accept4(int listener, struct sockaddr *address, socklen_t *len, int flags)
{
    int fd = take(listener, address, len, flags);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE)) {
        without_descriptor(listener);
        errno = EMFILE;
    }
    return fd;
}

int busi_accept(int listener, struct sockaddr *address, socklen_t *len)
{
    return busi_accept4(listener, address, len, SOCK_CLOEXEC);
}
