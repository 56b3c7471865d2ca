/* Look-ups on threads of their own while the loop turns: answered, cancelled early, cancelled late. */
#include "loop/loop.h"
#include "store/resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ROUNDS = 50 };

static struct busi_loop *loop;
static int answered;

static void on_answer(void *arg, const struct busi_resolved *found)
{
    (void)arg;
    if (found->n < 2 || found->items[found->n - 1].host != 1) {
        fprintf(stderr, "two numeric addresses were not found\n");
        exit(1);
    }
    if (++answered == ROUNDS)
        busi_loop_stop(loop);
}

static void on_no_answer(void *arg, const struct busi_resolved *found)
{
    (void)arg;
    (void)found;
    fprintf(stderr, "a cancelled look-up answered\n");
    exit(1);
}

int main(void)
{
    loop = busi_loop_new();
    for (int i = 0; loop && i < ROUNDS; i++) {
        struct busi_resolve *kept = busi_resolve_start(loop, "127.0.0.1,::1", on_answer, NULL);
        struct busi_resolve *dropped = busi_resolve_start(loop, "localhost", on_no_answer, NULL);
        if (!kept || !dropped)
            return 1;
        if (i % 2)
            usleep(1000); /* the thread may have ended by now */
        busi_resolve_cancel(&dropped);
    }
    busi_loop_run(loop);
    busi_loop_free(&loop);
    return answered == ROUNDS ? 0 : 1;
}
