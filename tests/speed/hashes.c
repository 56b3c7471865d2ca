/* What plain libsodium can hash: crypto_pwhash in a loop on as many threads as cores.
 * usage: bench-hashes SECONDS MEMORY_BYTES PASSES ; prints hashes per second. */
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static atomic_long done;
static atomic_bool stop;
static unsigned long long passes;
static size_t memory;

static void *hash(void *unused)
{
    (void)unused;
    unsigned char out[32], salt[crypto_pwhash_SALTBYTES] = {1};
    while (!stop) {
        if (crypto_pwhash(out, sizeof(out), "correct horse", 13, salt, passes, memory,
                          crypto_pwhash_ALG_ARGON2ID13) != 0)
            abort();
        salt[0]++;
        done++;
    }
    return NULL;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    if (argc != 4 || sodium_init() < 0)
        return 2;
    memory = strtoull(argv[2], NULL, 10);
    passes = strtoull(argv[3], NULL, 10);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    pthread_t threads[64];
    if (cores > 64)
        cores = 64;
    double start = now();
    for (long i = 0; i < cores; i++)
        if (pthread_create(&threads[i], NULL, hash, NULL) != 0)
            return 1;
    struct timespec pause = {.tv_sec = atoi(argv[1])};
    nanosleep(&pause, NULL);
    stop = true;
    for (long i = 0; i < cores; i++)
        pthread_join(threads[i], NULL);
    printf("%.1f\n", (double)done / (now() - start));
    return 0;
}
