#include "base/log.h"
#include "client/busi.h"
#include "loop/loop.h"
#include "rpc/endpoints.h"
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SERVICES = 3, IN_FLIGHT = 64, LOOK_MS = 5 };

struct busi_client {
    struct busi_curve *curve;    /* owned */
    struct busi_loop *loop;      /* owned */
    struct busi_rpc_client *rpc; /* owned */
    pthread_t thread;            /* runs the loop */
};

static void *run(void *arg)
{
    struct busi_client *client = arg;
    busi_loop_run(client->loop);
    return NULL;
}

/* Signals are for the program's own threads. */
static bool start(struct busi_client *client)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    bool fine = pthread_create(&client->thread, NULL, run, client) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return fine;
}

static size_t gather(const struct busi_client_options *options, struct busi_rpc_target targets[SERVICES])
{
    const struct {
        const char *name;
        struct busi_client_service service;
    } all[SERVICES] = {
        {"auth", options->auth}, {"directory", options->directory}, {"mailer", options->mailer}};
    size_t n = 0;
    for (size_t i = 0; i < SERVICES; i++)
        if (all[i].service.endpoints)
            targets[n++] = (struct busi_rpc_target){.service = all[i].name,
                                                    .endpoints = busi_str_of(all[i].service.endpoints),
                                                    .key_file = all[i].service.certificate
                                                                    ? busi_str_of(all[i].service.certificate)
                                                                    : (struct busi_str){0}};
    return n;
}

static const char *open_all(struct busi_client *client, const struct busi_client_options *options)
{
    const char *error = NULL;
    struct busi_rpc_target targets[SERVICES];
    size_t n = gather(options, targets);
    if (n == 0)
        return "no service is named";
    for (size_t i = 0; i < n; i++)
        if (!busi_endpoints_valid(targets[i].endpoints))
            return "a service's endpoints are not of the form host:port,host:port";
    client->curve = busi_curve_open(busi_str_of(options->key_file ? options->key_file : ""), &error);
    if (!client->curve)
        return error;
    client->loop = busi_loop_new();
    if (!client->loop)
        return "out of memory or descriptors";
    client->rpc =
        busi_rpc_client_new(client->loop,
                            &(struct busi_rpc_client_options){
                                .targets = targets,
                                .n_targets = n,
                                .curve = client->curve,
                                .max_in_flight = options->max_in_flight ? options->max_in_flight : IN_FLIGHT,
                                .on_state = options->on_state,
                                .on_state_arg = options->on_state_arg},
                            &error);
    if (!client->rpc)
        return error;
    return start(client) ? NULL : "a thread cannot be started";
}

static void free_all(struct busi_client *client)
{
    busi_rpc_client_free(&client->rpc);
    busi_loop_free(&client->loop);
    busi_curve_close(&client->curve);
    free(client);
}

struct busi_client *busi_client_open(const struct busi_client_options *options, char error[BUSI_CLIENT_ERROR])
{
    struct busi_client *client = calloc(1, sizeof *client);
    const char *why = client ? open_all(client, options) : "out of memory";
    if (!why)
        return client;
    snprintf(error, BUSI_CLIENT_ERROR, "%s", why);
    if (client)
        free_all(client);
    return NULL;
}

bool busi_client_wait(struct busi_client *client, int64_t ms)
{
    int64_t until_ms = busi_now_ms() + ms;
    while (!busi_rpc_client_ready(client->rpc)) {
        if (busi_now_ms() >= until_ms)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000L}, NULL);
    }
    return true;
}

struct busi_rpc_client *busi_client_rpc(struct busi_client *client)
{
    return client->rpc;
}

void busi_client_close(struct busi_client **client)
{
    if (!*client)
        return;
    busi_loop_stop((*client)->loop);
    pthread_join((*client)->thread, NULL);
    free_all(*client);
    *client = NULL;
}
