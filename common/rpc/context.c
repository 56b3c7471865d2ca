#include "rpc/context.h"
#include <pthread.h>
#include <unistd.h>
#include <zmq.h>

static struct {
    pthread_mutex_t lock;
    void *context; /* NULL until first asked for */
    pid_t pid;     /* whose it is */
} process = {PTHREAD_MUTEX_INITIALIZER, NULL, 0};

void *busi_zmq_context(void)
{
    pthread_mutex_lock(&process.lock);
    if (!process.context || process.pid != getpid()) { /* a child has none of its parent's threads */
        process.context = zmq_ctx_new();
        process.pid = getpid();
    }
    void *context = process.context;
    pthread_mutex_unlock(&process.lock);
    return context;
}

void busi_zmq_shutdown(void)
{
    pthread_mutex_lock(&process.lock);
    if (process.context && process.pid == getpid())
        zmq_ctx_term(process.context);
    process.context = NULL;
    pthread_mutex_unlock(&process.lock);
}
