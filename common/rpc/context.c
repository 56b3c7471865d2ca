#include "rpc/context.h"
#include <pthread.h>
#include <zmq.h>

static struct {
    pthread_mutex_t lock;
    void *context; /* NULL until first asked for */
} process = {PTHREAD_MUTEX_INITIALIZER, NULL};

void *busi_zmq_context(void)
{
    pthread_mutex_lock(&process.lock);
    if (!process.context)
        process.context = zmq_ctx_new();
    void *context = process.context;
    pthread_mutex_unlock(&process.lock);
    return context;
}

void busi_zmq_shutdown(void)
{
    pthread_mutex_lock(&process.lock);
    if (process.context)
        zmq_ctx_term(process.context);
    process.context = NULL;
    pthread_mutex_unlock(&process.lock);
}
