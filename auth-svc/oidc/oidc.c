#include "oidc/oidc.h"
#include "base/log.h"
#include "core/answers.h"
#include "crypto/secret.h"
#include "limits/limiter.h"
#include "loop/offload.h"
#include "oidc/identities.h"
#include "oidc/provider.h"
#include "oidc/state.h"
#include <stdlib.h>

enum {
    THREADS = 4, /* visits to one provider at once */
    WAIT_MOST_MS = 2000,
    QUEUE_MOST = 256,
    GUESS_MS = 200,       /* of a visit, until the first has been measured */
    ANSWER_LEFT_MS = 150, /* of the caller's time, for what is to be done with the provider's answer */
    CODE_MOST = 2048,
};

/* One for each rule. */
struct place {
    struct auth_oidc_provider *provider; /* owned */
    struct busi_offload *offload;        /* owned; its own: one that is slow keeps nobody from the others */
    struct busi_str name;                /* borrowed */
};

struct auth_oidc {
    bool begun; /* the web, for there are providers */
    struct auth_oidc_web web;
    struct auth_oidc_rules rules;
    struct place places[AUTH_OIDC_PROVIDERS_MOST];
    struct busi_str key; /* of cookies; borrowed */
};

static bool open_place(struct auth_oidc *oidc, struct busi_loop *loop, size_t i)
{
    const struct busi_offload_options options = {.name = "oidc",
                                                 .threads = THREADS,
                                                 .max_wait_ms = WAIT_MOST_MS,
                                                 .max_queue = QUEUE_MOST,
                                                 .guess_ms = GUESS_MS};
    struct place *place = &oidc->places[i];
    place->name = oidc->rules.list[i].name;
    place->offload = busi_offload_new(loop, &options);
    place->provider = auth_oidc_provider_new(&oidc->rules.list[i], &oidc->web);
    return place->offload && place->provider;
}

static bool open_providers(struct auth_oidc *oidc, struct busi_loop *loop)
{
    oidc->begun = auth_oidc_web_begin();
    bool fine = oidc->begun;
    for (size_t i = 0; i < oidc->rules.n && fine; i++)
        fine = open_place(oidc, loop, i);
    return fine;
}

struct auth_oidc *auth_oidc_new(struct busi_loop *loop, const struct busi_settings *settings,
                                const char **error)
{
    struct busi_str culprit;
    struct auth_oidc *oidc = calloc(1, sizeof(*oidc));
    *error = "no memory for providers";
    if (!oidc)
        return NULL;
    oidc->web = (struct auth_oidc_web){settings->oidc_anywhere, settings->oidc_ca_file};
    oidc->key = settings->token_hash_key;
    const char *fault =
        auth_oidc_rules_read(&oidc->rules, settings->oidc_providers, settings->oidc_secrets, &culprit);
    if (fault)
        *error = fault;
    else if (oidc->rules.n > 0 && !open_providers(oidc, loop))
        *error = "no threads for providers";
    else
        return oidc;
    auth_oidc_free(&oidc);
    return NULL;
}

void auth_oidc_free(struct auth_oidc **oidc)
{
    struct auth_oidc *gone = *oidc;
    if (!gone)
        return;
    for (size_t i = 0; i < gone->rules.n; i++) {
        busi_offload_free(&gone->places[i].offload);
        auth_oidc_provider_free(&gone->places[i].provider);
    }
    if (gone->begun)
        auth_oidc_web_end();
    free(gone);
    *oidc = NULL;
}

/* NULL: there is none of this name. */
static const struct place *find(const struct auth_oidc *oidc, struct busi_str name)
{
    for (size_t i = 0; i < oidc->rules.n; i++)
        if (busi_str_eq(oidc->places[i].name, name))
            return &oidc->places[i];
    return NULL;
}

/* ---- on a thread ---- */

struct job {
    const struct place *place;
    const struct auth_oidc_state *state;
    struct auth_oidc_visit visit;
    struct busi_str code; /* absent: it is the first half */
    enum auth_oidc_outcome outcome;
    struct busi_str location;
    struct auth_oidc_identity identity;
};

static void work(void *arg, void *nothing)
{
    struct job *job = arg;
    (void)nothing;
    job->outcome = job->code.ptr ? auth_oidc_provider_redeem(job->place->provider, &job->visit, job->state,
                                                             job->code, &job->identity)
                                 : auth_oidc_provider_location(job->place->provider, &job->visit, job->state,
                                                               &job->location);
}

/* The call's arena is the thread's while the fiber waits. */
static enum busi_code visit(struct busi_call *call, struct busi_str redirect_uri, struct job *job)
{
    job->visit = (struct auth_oidc_visit){
        .arena = &call->arena, .redirect_uri = redirect_uri, .until_ms = call->until_ms - ANSWER_LEFT_MS};
    enum busi_code code =
        busi_offload_run(job->place->offload, work, job, job->visit.until_ms, &call->retry_after_ms);
    if (code != BUSI_OK)
        return busi_call_fail(call, code, "too many wait for providers");
    if (job->outcome == AUTH_OIDC_DONE)
        return BUSI_OK;
    busi_log(job->outcome == AUTH_OIDC_AWAY ? BUSI_WARN : BUSI_INFO, "provider_failed",
             BUSI_S("provider", job->place->name), BUSI_C("step", job->visit.reason.step),
             BUSI_C("reason", job->visit.reason.text), BUSI_S("request_id", call->request_id));
    if (job->outcome == AUTH_OIDC_REFUSED)
        return auth_unauthorized(call);
    call->retry_after_ms = 3000;
    return busi_call_fail(call, BUSI_UNAVAILABLE, "the provider is away");
}

/* ---- the methods ---- */

enum busi_code auth_list_providers(struct auth *self, struct busi_call *call, const struct busi_empty *in,
                                   struct busi_list_providers_reply *out)
{
    const struct auth_oidc_rules *rules = &self->oidc->rules;
    (void)in;
    struct busi_provider *items = busi_arena_array(&call->arena, rules->n, sizeof(*items));
    if (!items)
        return auth_no_memory(call);
    for (size_t i = 0; i < rules->n; i++)
        items[i].name = rules->list[i].name;
    out->providers.items = items;
    out->providers.n = rules->n;
    return BUSI_OK;
}

enum busi_code auth_start_provider(struct auth *self, struct busi_call *call,
                                   const struct busi_start_provider_request *in,
                                   struct busi_start_provider_reply *out)
{
    struct auth_oidc_state state;
    struct job job = {.place = find(self->oidc, in->provider), .state = &state};
    if (!job.place)
        return busi_call_fail(call, BUSI_NOT_FOUND, "there is no such provider");
    if (!auth_oidc_state_make(&call->arena, self->oidc->key, job.place->name, in->return_to,
                              busi_wall_us() / 1000000, &state, &out->cookie))
        return auth_no_memory(call);
    enum busi_code code = visit(call, in->redirect_uri, &job);
    out->location = job.location;
    out->cookie_lifetime = AUTH_OIDC_STATE_S;
    return code;
}

enum busi_code auth_finish_provider(struct auth *self, struct busi_call *call,
                                    const struct busi_finish_provider_request *in,
                                    struct busi_finish_provider_reply *out)
{
    struct auth_oidc_state state = {0};
    const struct auth_door *door = auth_door_find(self->doors, in->door);
    struct job job = {.place = find(self->oidc, in->provider), .state = &state, .code = in->code};
    if (!door)
        return auth_no_such_door(call);
    if (!job.place)
        return busi_call_fail(call, BUSI_NOT_FOUND, "there is no such provider");
    const struct auth_oidc_rule *rule = auth_oidc_provider_rule(job.place->provider);
    if (!auth_oidc_state_read(&call->arena, self->oidc->key, job.place->name, in->cookie, in->state,
                              busi_wall_us() / 1000000, &state) ||
        !in->code.ptr || in->code.len < 1 || in->code.len > CODE_MOST ||
        (in->issuer.ptr && !busi_str_eq(in->issuer, rule->issuer))) /* RFC 9207: another's answer */
        return auth_unauthorized(call);
    out->session = BUSI_NEW(&call->arena, struct busi_session_reply);
    enum busi_code code = out->session ? auth_need_sessions(self, call) : auth_no_memory(call);
    if (code == BUSI_OK)
        code = auth_limit(self, call, AUTH_LIMIT_finish_provider, (struct busi_str){0});
    if (code == BUSI_OK)
        code = visit(call, in->redirect_uri, &job);
    if (code == BUSI_OK)
        code = auth_identity_sign_in(self, call, rule, &job.identity, door, out->session);
    out->return_to = state.return_to;
    return code;
}
