#define _GNU_SOURCE /* pthread_mutex_clocklock */
#include "oidc/provider.h"
#include "base/clock.h"
#include "crypto/secret.h"
#include "oidc/json.h"
#include "oidc/state.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    KEEP_MS = 3600 * 1000, /* endpoints and keys */
    PAUSE_MS = 3000,       /* after a provider could not be reached */
    KEYS_PAUSE_MS = 10000, /* between two looks for a key that is not there */
    URL_MOST = 1024,
    LOCATION_MOST = 4096,
    FORM_MOST = 16 * 1024,
};

/* Endpoints, as the provider publishes them. */
struct endpoints {
    char authorization[URL_MOST], token[URL_MOST], user_info[URL_MOST], keys[URL_MOST];
    bool basic; /* the client secret goes into Authorization; otherwise into the form */
};

struct auth_oidc_provider {
    const struct auth_oidc_rule *rule;
    const struct auth_oidc_web *web;
    pthread_mutex_t lock; /* of all below; held while they are fetched: one visitor fetches for all */
    struct endpoints endpoints;
    int64_t known_until_ms; /* endpoints; 0: not known */
    int64_t away_until_ms;  /* it could not be reached: not asked again before */
    char *keys;             /* owned JWK set, or NULL */
    int64_t keys_at_ms;
};

struct auth_oidc_provider *auth_oidc_provider_new(const struct auth_oidc_rule *rule,
                                                  const struct auth_oidc_web *web)
{
    struct auth_oidc_provider *provider = calloc(1, sizeof(*provider));
    if (!provider)
        return NULL;
    provider->rule = rule;
    provider->web = web;
    pthread_mutex_init(&provider->lock, NULL);
    return provider;
}

void auth_oidc_provider_free(struct auth_oidc_provider **provider)
{
    if (!*provider)
        return;
    pthread_mutex_destroy(&(*provider)->lock);
    free((*provider)->keys);
    free(*provider);
    *provider = NULL;
}

const struct auth_oidc_rule *auth_oidc_provider_rule(const struct auth_oidc_provider *provider)
{
    return provider->rule;
}

[[gnu::format(printf, 4, 5)]] static enum auth_oidc_outcome
fail(struct auth_oidc_visit *visit, enum auth_oidc_outcome outcome, const char *step, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(visit->reason.text, sizeof(visit->reason.text), format, args);
    va_end(args);
    visit->reason.step = step;
    return outcome;
}

/* Not longer than the visitor may wait. */
static bool lock(struct auth_oidc_provider *provider, int64_t until_ms)
{
    struct timespec until;
    int64_t left_ms = until_ms - busi_now_ms();
    if (left_ms <= 0 || clock_gettime(CLOCK_MONOTONIC, &until) != 0)
        return false;
    until.tv_sec += (time_t)(left_ms / 1000);
    until.tv_nsec += (long)(left_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    return pthread_mutex_clocklock(&provider->lock, CLOCK_MONOTONIC, &until) == 0;
}

/* ---- what it publishes ---- */

/* An object at this URL, or NULL. */
static json_t *get(const struct auth_oidc_provider *provider, struct auth_oidc_visit *visit, const char *step,
                   const char *url)
{
    struct auth_oidc_answer answer;
    const struct auth_oidc_request request = {.url = busi_str_of(url), .until_ms = visit->until_ms};
    auth_oidc_fetch(provider->web, &request, &answer);
    json_t *object =
        answer.status == 200 ? auth_oidc_json((struct busi_str){answer.body.ptr, answer.body.len}) : NULL;
    if (!object)
        (void)fail(visit, AUTH_OIDC_AWAY, step, "%s",
                   answer.status == 0     ? answer.fault
                   : answer.status == 200 ? "the answer is no JSON object"
                                          : "the answer is not 200");
    busi_buf_fini(&answer.body);
    return object;
}

/* Of what a header can carry. */
static bool is_plain(const char *url)
{
    for (const char *at = url; *at; at++)
        if (*at <= ' ' || *at > '~' || *at == '#')
            return false;
    return true;
}

static bool take_url(char out[URL_MOST], const struct auth_oidc_web *web, const json_t *object,
                     const char *name)
{
    const char *url = json_string_value(json_object_get(object, name));
    out[0] = '\0';
    if (!url || strlen(url) >= URL_MOST || !is_plain(url))
        return false;
    if (strncmp(url, "https://", 8) != 0 && !(web->anywhere && strncmp(url, "http://", 7) == 0))
        return false;
    memcpy(out, url, strlen(url) + 1);
    return true;
}

/* The default of Discovery is client_secret_basic. */
static bool takes_basic(const json_t *metadata)
{
    const json_t *methods = json_object_get(metadata, "token_endpoint_auth_methods_supported");
    bool takes = !json_is_array(methods);
    for (size_t i = 0; i < json_array_size(methods); i++) {
        const char *method = json_string_value(json_array_get(methods, i));
        takes |= method && strcmp(method, "client_secret_basic") == 0;
    }
    return takes;
}

static enum auth_oidc_outcome discover(struct auth_oidc_provider *provider, struct auth_oidc_visit *visit)
{
    char url[AUTH_OIDC_TEXT_MOST + 64];
    struct busi_str issuer = provider->rule->issuer;
    const bool slash = issuer.ptr[issuer.len - 1] == '/';
    struct endpoints *endpoints = &provider->endpoints;
    snprintf(url, sizeof(url), "%.*s/.well-known/openid-configuration", (int)(issuer.len - slash),
             issuer.ptr);
    json_t *metadata = get(provider, visit, "discovery", url);
    if (!metadata)
        return AUTH_OIDC_AWAY;
    const char *said = json_string_value(json_object_get(metadata, "issuer"));
    bool fine = take_url(endpoints->authorization, provider->web, metadata, "authorization_endpoint") &&
                take_url(endpoints->token, provider->web, metadata, "token_endpoint") &&
                take_url(endpoints->keys, provider->web, metadata, "jwks_uri");
    (void)take_url(endpoints->user_info, provider->web, metadata, "userinfo_endpoint");
    endpoints->basic = takes_basic(metadata);
    if (!said || !busi_str_eq(busi_str_of(said), issuer))
        fine = false, (void)fail(visit, AUTH_OIDC_AWAY, "discovery", "it calls itself another issuer");
    else if (!fine)
        (void)fail(visit, AUTH_OIDC_AWAY, "discovery", "an endpoint is missing, or not https");
    json_decref(metadata);
    return fine ? AUTH_OIDC_DONE : AUTH_OIDC_AWAY;
}

/* A provider that is away costs one visitor in PAUSE_MS its time, not every one. */
static enum auth_oidc_outcome know(struct auth_oidc_provider *provider, struct auth_oidc_visit *visit,
                                   struct endpoints *endpoints)
{
    if (!lock(provider, visit->until_ms))
        return fail(visit, AUTH_OIDC_AWAY, "discovery", "others have waited all the time");
    enum auth_oidc_outcome outcome = AUTH_OIDC_DONE;
    if (busi_now_ms() >= provider->known_until_ms) {
        if (busi_now_ms() < provider->away_until_ms)
            outcome = fail(visit, AUTH_OIDC_AWAY, "discovery", "it was away a moment ago");
        else
            outcome = discover(provider, visit);
        if (outcome == AUTH_OIDC_DONE)
            provider->known_until_ms = busi_now_ms() + KEEP_MS;
        else if (busi_now_ms() >= provider->away_until_ms)
            provider->away_until_ms = busi_now_ms() + PAUSE_MS;
    }
    *endpoints = provider->endpoints;
    pthread_mutex_unlock(&provider->lock);
    return outcome;
}

/* The keys, in the visit's arena; fetched when they are old, or when afresh and not just done. *fresh: they
 * were fetched now. */
static struct busi_str keys(struct auth_oidc_provider *provider, struct auth_oidc_visit *visit, bool *fresh)
{
    struct busi_str copy = {0};
    if (!lock(provider, visit->until_ms)) {
        (void)fail(visit, AUTH_OIDC_AWAY, "keys", "others have waited all the time");
        return copy;
    }
    int64_t age_ms = provider->keys ? busi_now_ms() - provider->keys_at_ms : INT64_MAX;
    *fresh = age_ms > KEEP_MS || (*fresh && age_ms > KEYS_PAUSE_MS);
    if (*fresh) {
        json_t *set = get(provider, visit, "keys", provider->endpoints.keys);
        char *text = set ? json_dumps(set, JSON_COMPACT) : NULL;
        json_decref(set);
        if (text) {
            free(provider->keys);
            provider->keys = text;
            provider->keys_at_ms = busi_now_ms();
        }
    }
    if (provider->keys)
        copy = busi_arena_dup(visit->arena, busi_str_of(provider->keys));
    pthread_mutex_unlock(&provider->lock);
    return copy;
}

/* ---- forms ---- */

/* application/x-www-form-urlencoded, also right in a query. */
static void add_encoded(struct busi_buf *out, struct busi_str text)
{
    static const char hex[] = "0123456789ABCDEF", plain[] = "-._~";
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        char lower = busi_lower((char)c);
        if ((lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || (c && strchr(plain, c)))
            busi_buf_char(out, (char)c);
        else
            busi_buf_add(out, (char[]){'%', hex[c >> 4], hex[c & 15]}, 3);
    }
}

static void add_field(struct busi_buf *out, const char *name, struct busi_str value)
{
    busi_buf_str(out, busi_str_of(name));
    busi_buf_char(out, '=');
    add_encoded(out, value);
}

static struct busi_str encoded(struct busi_arena *arena, struct busi_str text)
{
    struct busi_buf out;
    struct busi_str copy = {0};
    busi_buf_init(&out, FORM_MOST);
    add_encoded(&out, text);
    if (!out.failed && out.len)
        copy = busi_arena_dup(arena, (struct busi_str){out.ptr, out.len});
    busi_buf_fini(&out);
    return copy;
}

enum auth_oidc_outcome auth_oidc_provider_location(struct auth_oidc_provider *provider,
                                                   struct auth_oidc_visit *visit,
                                                   const struct auth_oidc_state *state,
                                                   struct busi_str *location)
{
    struct endpoints endpoints = {0};
    struct busi_buf out;
    enum auth_oidc_outcome outcome = know(provider, visit, &endpoints);
    if (outcome != AUTH_OIDC_DONE)
        return outcome;
    busi_buf_init(&out, LOCATION_MOST);
    busi_buf_str(&out, busi_str_of(endpoints.authorization));
    busi_buf_char(&out, strchr(endpoints.authorization, '?') ? '&' : '?');
    busi_buf_str(&out, BUSI_STR("response_type=code&scope=openid%20email&code_challenge_method=S256&"));
    add_field(&out, "client_id", provider->rule->client_id);
    add_field(&out, "&redirect_uri", visit->redirect_uri);
    add_field(&out, "&state", state->state);
    add_field(&out, "&nonce", state->nonce);
    add_field(&out, "&code_challenge", state->challenge);
    *location =
        out.failed ? (struct busi_str){0} : busi_arena_dup(visit->arena, (struct busi_str){out.ptr, out.len});
    busi_buf_fini(&out);
    return location->ptr ? AUTH_OIDC_DONE : fail(visit, AUTH_OIDC_AWAY, "location", "it is too long");
}

/* ---- the code's exchange ---- */

/* RFC 6749 section 4.1.3; client_secret_basic has its parts form-encoded first (section 2.3.1). */
static bool write_exchange(const struct auth_oidc_provider *provider, const struct endpoints *endpoints,
                           const struct auth_oidc_visit *visit, const struct auth_oidc_state *state,
                           struct busi_str code, struct busi_buf *form, struct auth_oidc_request *request)
{
    const struct auth_oidc_rule *rule = provider->rule;
    busi_buf_str(form, BUSI_STR("grant_type=authorization_code"));
    add_field(form, "&code", code);
    add_field(form, "&redirect_uri", visit->redirect_uri);
    add_field(form, "&code_verifier", state->verifier);
    if (rule->secret.ptr && endpoints->basic) {
        request->user = encoded(visit->arena, rule->client_id);
        request->password = encoded(visit->arena, rule->secret);
        if (!request->user.ptr || !request->password.ptr)
            return false;
    } else {
        add_field(form, "&client_id", rule->client_id);
        if (rule->secret.ptr)
            add_field(form, "&client_secret", rule->secret);
    }
    request->url = busi_str_of(endpoints->token);
    request->form = (struct busi_str){form->ptr, form->len};
    request->until_ms = visit->until_ms;
    return !form->failed;
}

/* Its error is a word of RFC 6749 section 5.2; anything else is not repeated. */
static enum auth_oidc_outcome refused(struct auth_oidc_visit *visit, const struct auth_oidc_answer *answer)
{
    if (answer->status == 0)
        return fail(visit, AUTH_OIDC_AWAY, "token", "%s", answer->fault);
    if (answer->status >= 500 || answer->status == 429)
        return fail(visit, AUTH_OIDC_AWAY, "token", "status %d", answer->status);
    json_t *object = auth_oidc_json((struct busi_str){answer->body.ptr, answer->body.len});
    const char *error = json_string_value(json_object_get(object, "error"));
    bool word = error && strspn(error, "abcdefghijklmnopqrstuvwxyz_") == strlen(error);
    (void)fail(visit, AUTH_OIDC_REFUSED, "token", "status %d, %.64s", answer->status,
               word ? error : "no error word");
    json_decref(object);
    return AUTH_OIDC_REFUSED;
}

/* The tokens of the answer, in the arena. */
static enum auth_oidc_outcome exchange(const struct auth_oidc_provider *provider,
                                       const struct endpoints *endpoints, struct auth_oidc_visit *visit,
                                       const struct auth_oidc_state *state, struct busi_str code,
                                       struct busi_str *id_token, struct busi_str *access_token)
{
    struct auth_oidc_answer answer;
    struct auth_oidc_request request = {0};
    struct busi_buf form;
    busi_buf_init(&form, FORM_MOST);
    if (!write_exchange(provider, endpoints, visit, state, code, &form, &request)) {
        busi_buf_fini(&form);
        return fail(visit, AUTH_OIDC_AWAY, "token", "out of memory, or the code is too long");
    }
    auth_oidc_fetch(provider->web, &request, &answer);
    busi_buf_fini(&form);
    enum auth_oidc_outcome outcome = AUTH_OIDC_DONE;
    if (answer.status != 200) {
        outcome = refused(visit, &answer);
    } else {
        json_t *object = auth_oidc_json((struct busi_str){answer.body.ptr, answer.body.len});
        const char *id = json_string_value(json_object_get(object, "id_token")),
                   *access = json_string_value(json_object_get(object, "access_token"));
        *id_token = id ? busi_arena_dup(visit->arena, busi_str_of(id)) : (struct busi_str){0};
        *access_token = access ? busi_arena_dup(visit->arena, busi_str_of(access)) : (struct busi_str){0};
        json_decref(object);
        if (!id_token->ptr)
            outcome = fail(visit, AUTH_OIDC_AWAY, "token", "the answer has no ID token");
    }
    busi_buf_fini(&answer.body);
    return outcome;
}

static enum auth_oidc_outcome verify(struct auth_oidc_provider *provider, struct auth_oidc_visit *visit,
                                     const struct auth_oidc_state *state, struct busi_str token,
                                     struct auth_oidc_identity *identity)
{
    const struct auth_oidc_expected expected = {.issuer = provider->rule->issuer,
                                                .client_id = provider->rule->client_id,
                                                .nonce = state->nonce,
                                                .now_s = busi_wall_us() / 1000000};
    const char *why = "";
    bool fresh = false;
    struct busi_str set = keys(provider, visit, &fresh);
    if (!set.ptr)
        return AUTH_OIDC_AWAY;
    enum auth_oidc_verdict verdict =
        auth_oidc_token_read(visit->arena, token, set, &expected, identity, &why);
    if (verdict == AUTH_OIDC_UNKNOWN_KEY && !fresh) {
        fresh = true;
        set = keys(provider, visit, &fresh);
        if (set.ptr && fresh)
            verdict = auth_oidc_token_read(visit->arena, token, set, &expected, identity, &why);
    }
    return verdict == AUTH_OIDC_GOOD ? AUTH_OIDC_DONE : fail(visit, AUTH_OIDC_REFUSED, "id_token", "%s", why);
}

/* Core section 5.3.2: what it says counts only of the same subject. */
static void ask_user_info(const struct auth_oidc_provider *provider, const struct endpoints *endpoints,
                          struct auth_oidc_visit *visit, struct busi_str access_token,
                          struct auth_oidc_identity *identity)
{
    struct auth_oidc_answer answer;
    struct auth_oidc_identity said;
    const struct auth_oidc_request request = {
        .url = busi_str_of(endpoints->user_info), .bearer = access_token, .until_ms = visit->until_ms};
    auth_oidc_fetch(provider->web, &request, &answer);
    if (answer.status == 200 &&
        auth_oidc_user_info_read(visit->arena, (struct busi_str){answer.body.ptr, answer.body.len}, &said) &&
        busi_str_eq(said.subject, identity->subject))
        *identity = said;
    busi_buf_fini(&answer.body);
}

enum auth_oidc_outcome auth_oidc_provider_redeem(struct auth_oidc_provider *provider,
                                                 struct auth_oidc_visit *visit,
                                                 const struct auth_oidc_state *state, struct busi_str code,
                                                 struct auth_oidc_identity *identity)
{
    struct endpoints endpoints = {0};
    struct busi_str id_token = {0}, access_token = {0};
    enum auth_oidc_outcome outcome = know(provider, visit, &endpoints);
    if (outcome == AUTH_OIDC_DONE)
        outcome = exchange(provider, &endpoints, visit, state, code, &id_token, &access_token);
    if (outcome == AUTH_OIDC_DONE)
        outcome = verify(provider, visit, state, id_token, identity);
    if (outcome == AUTH_OIDC_DONE && !identity->email.ptr && access_token.ptr && endpoints.user_info[0])
        ask_user_info(provider, &endpoints, visit, access_token, identity);
    return outcome;
}
