/* Which workers are there, and what is the matter with them? Says each change until its input ends.
 *
 *     cc -std=gnu2x watch_workers.c $(pkg-config --cflags --libs busi) -o watch_workers
 *     ./watch_workers auth.internal:5001 auth-svc.pub billing.key
 */
#include <busi.h>
#include <stdio.h>

/* On the library's thread, which has nothing better to do here. */
static void say(void *arg, const char *service, const char *worker, enum busi_worker_state state)
{
    static const char *const words[] = {[BUSI_WORKER_GONE] = "gone",
                                        [BUSI_WORKER_NOT_READY] = "not ready",
                                        [BUSI_WORKER_DRAINING] = "draining",
                                        [BUSI_WORKER_SERVING] = "serving"};
    (void)arg;
    printf("%s %s: %s\n", service, worker, words[state]);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    char error[BUSI_CLIENT_ERROR];
    if (argc != 4) {
        fprintf(stderr, "usage: watch_workers HOST:PORT,... SERVICE.pub OWN.key\n");
        return 2;
    }
    struct busi_client *client = busi_client_open(
        &(struct busi_client_options){.auth = {argv[1], argv[2]}, .key_file = argv[3], .on_state = say},
        error);
    if (!client) {
        fprintf(stderr, "%s\n", error);
        return 2;
    }
    while (getchar() != EOF)
        ;
    busi_client_close(&client);
    return 0;
}
