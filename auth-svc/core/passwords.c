#define _GNU_SOURCE /* sched_getaffinity */
#include "core/passwords.h"
#include "base/metrics.h"
#include "loop/offload.h"
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/resource.h>

enum {
    QUEUE_MOST = 4096, /* jobs; the predicted wait is the real bound */
    GUESS_MS = 20,     /* of a hash, until the first has been measured */
    THREADS_MOST = 64,
    LOWER_PRIORITY = 10 /* nice: the loop answers token checks while these threads fill the cores */
};

struct auth_passwords {
    struct busi_offload *offload;   /* owned */
    struct busi_password_cost cost; /* of new hashes */
    atomic_int waiting;             /* jobs handed over that no thread has begun */
};

struct job {
    struct auth_passwords *passwords;
    struct auth_password_check *check; /* or NULL: a new hash */
    struct busi_str password;          /* for the new hash */
    char *out;                         /* of the new hash */
    bool failed;                       /* the new hash: out of memory */
};

static int cores(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
    return n < THREADS_MOST ? n : THREADS_MOST;
}

static void *thread_init(void)
{
    (void)setpriority(PRIO_PROCESS, 0, LOWER_PRIORITY); /* on Linux: of this thread */
    return busi_password_thread_init();
}

struct auth_passwords *auth_passwords_new(struct busi_loop *loop,
                                          const struct auth_passwords_options *options)
{
    struct auth_passwords *passwords = calloc(1, sizeof(*passwords));
    if (!passwords)
        return NULL;
    passwords->cost = options->cost;
    passwords->offload = busi_offload_new(loop, &(struct busi_offload_options){
                                                    .name = "password",
                                                    .threads = options->threads ? options->threads : cores(),
                                                    .max_wait_ms = options->max_wait_ms,
                                                    .max_queue = QUEUE_MOST,
                                                    .guess_ms = GUESS_MS,
                                                    .thread_init = thread_init,
                                                    .thread_fini = busi_password_thread_fini,
                                                });
    if (!passwords->offload)
        auth_passwords_free(&passwords);
    return passwords;
}

void auth_passwords_free(struct auth_passwords **passwords)
{
    if (!*passwords)
        return;
    busi_offload_free(&(*passwords)->offload);
    free(*passwords);
    *passwords = NULL;
}

static void verify(struct auth_password_check *check, struct busi_password_cost cost)
{
    bool possible = check->password.len > 0 && check->password.len <= AUTH_PASSWORD_MOST_BYTES;
    struct busi_str stored = possible ? check->stored : (struct busi_str){0};
    struct busi_str password = possible ? check->password : BUSI_STR("");
    check->better[0] = '\0';
    check->verdict = busi_password_verify(stored, password, cost);
    busi_metric_add(BUSI_METRIC_password_hashes, 1);
    if (check->verdict != BUSI_PASSWORD_WEAK)
        return;
    if (!busi_password_hash(check->better, password, cost))
        check->better[0] = '\0';
    busi_metric_add(BUSI_METRIC_password_hashes, 1);
}

/* On a hashing thread. */
static void work(void *arg, void *memory)
{
    struct job *job = arg;
    (void)memory; /* the thread's own; found by itself */
    atomic_fetch_sub(&job->passwords->waiting, 1);
    if (job->check) {
        verify(job->check, job->passwords->cost);
    } else {
        job->failed = !busi_password_hash(job->out, job->password, job->passwords->cost);
        busi_metric_add(BUSI_METRIC_password_hashes, 1);
    }
    if (atomic_load(&job->passwords->waiting) == 0)
        busi_password_thread_rest();
}

static enum busi_code refuse(struct busi_call *call, enum busi_code code)
{
    busi_metric_add(BUSI_METRIC_password_shed, 1);
    return busi_call_fail(call, code, "too many passwords are waiting");
}

enum busi_code auth_passwords_room(struct auth_passwords *passwords, struct busi_call *call)
{
    if (!busi_offload_full(passwords->offload, &call->retry_after_ms))
        return BUSI_OK;
    return refuse(call, BUSI_RESOURCE_EXHAUSTED);
}

static enum busi_code run(struct auth_passwords *passwords, struct busi_call *call, struct job *job)
{
    job->passwords = passwords;
    atomic_fetch_add(&passwords->waiting, 1);
    enum busi_code code =
        busi_offload_run(passwords->offload, work, job, call->until_ms, &call->retry_after_ms);
    if (code != BUSI_OK) { /* it never ran */
        atomic_fetch_sub(&passwords->waiting, 1);
        return refuse(call, code);
    }
    return BUSI_OK;
}

enum busi_code auth_password_verify(struct auth_passwords *passwords, struct busi_call *call,
                                    struct auth_password_check *check)
{
    enum busi_code code = run(passwords, call, &(struct job){.check = check});
    if (code == BUSI_OK && check->verdict == BUSI_PASSWORD_NOT_COMPUTED)
        return busi_call_fail(call, BUSI_RESOURCE_EXHAUSTED, "out of memory for a password hash");
    return code;
}

enum busi_code auth_password_hash(struct auth_passwords *passwords, struct busi_call *call,
                                  struct busi_str password, char out[BUSI_PASSWORD_HASH_MAX])
{
    struct job job = {.password = password, .out = out};
    enum busi_code code = run(passwords, call, &job);
    if (code == BUSI_OK && job.failed)
        return busi_call_fail(call, BUSI_INTERNAL, "out of memory for a password hash");
    return code;
}
