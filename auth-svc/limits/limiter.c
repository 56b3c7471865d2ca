#include "limits/limiter.h"
#include "base/address.h"
#include "base/embed.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/text.h"
#include "core/account.h"
#include "core/email.h"
#include "crypto/secret.h"
#include "limits/tally.h"
#include <stddef.h>

BUSI_EMBED(auth_limit_script, "limits/limit.lua");
BUSI_EMBED(auth_limit_passed_script, "limits/limit_passed.lua");

enum scope { NETWORK, ACCOUNT, PAIR };
static const char *const scope_names[] = {"network", "account", "pair"};

struct bucket {
    enum auth_limit limit;
    enum scope scope;
    const char *name; /* of its setting, which is its identity */
    size_t rates;     /* where in the settings */
};
static const struct bucket buckets[] = {
#define BUCKET(method, scope, setting)                                                                       \
    {AUTH_LIMIT_##method, scope, #setting, offsetof(struct busi_settings, setting)},
#include "limits/limits.def"
};
enum { BUCKETS = sizeof buckets / sizeof *buckets };

static const bool has_strikes[AUTH_LIMITS] = {
#define STRIKES(method) [AUTH_LIMIT_##method] = true,
#include "limits/limits.def"
};

enum {
    ROWS_MOST = 4, /* buckets of one method */
    CELLS_MOST = ROWS_MOST * BUSI_RATES_MOST,
    KEYS_MOST = CELLS_MOST + 3, /* the mark and two kinds of strikes */
    ID_BYTES = 16,
    RETRY_AFTER_MS = 1000
};

/* Who tries, in bytes of fixed length. */
struct client {
    bool has_network, has_name;
    uint8_t network[16];
    uint8_t name[32]; /* keyed hash */
};

/* One rate of one bucket: a key in Redis. */
struct cell {
    const struct bucket *bucket;
    const struct busi_rate *rate;
};

/* One request to Redis. */
struct charge {
    struct cell cells[CELLS_MOST];
    size_t n;
    bool strikes;                                             /* are counted, too */
    struct busi_str argv[KEYS_MOST + 2 + 3 * CELLS_MOST + 3]; /* keys, then their arguments */
    int n_keys, argc;
};

/* ---- metrics ---- */

static struct busi_histogram *histograms[AUTH_LIMITS];

void auth_limits_init(void)
{
    static const char *const names[] = {
#define LIMIT(method) #method,
#include "limits/limits.def"
    };
    for (size_t i = 0; i < AUTH_LIMITS; i++) {
        if (!histograms[i])
            histograms[i] = busi_histogram_new("busi_limit_duration_seconds",
                                               "Checks of how often a client asks", "limit", names[i]);
        if (histograms[i])
            busi_histogram_code_names(histograms[i], busi_code_name);
    }
}

/* ---- who ---- */

/* What is no address is one network: never a way around. */
static void find_network(struct client *client, struct busi_str remote_addr)
{
    struct busi_address address = {0};
    if (!remote_addr.len)
        return;
    client->has_network = true;
    if (!busi_address_read(remote_addr, &address))
        return;
    address = busi_address_site(&address);
    memcpy(client->network, address.bytes, sizeof client->network);
}

static bool find_name(struct auth *self, struct busi_call *call, struct client *client, struct busi_str name)
{
    if (!name.ptr)
        return true;
    struct busi_str key = auth_name_fold(&call->arena, name);
    if (!key.ptr)
        return false;
    busi_keyed_hash(client->name, self->token_hash_key, key);
    client->has_name = true;
    return true;
}

static bool concerns(const struct client *client, enum scope scope)
{
    return scope == NETWORK   ? client->has_network
           : scope == ACCOUNT ? client->has_name
                              : client->has_network && client->has_name;
}

/* ---- keys ---- */

static size_t put(uint8_t *out, size_t at, const void *bytes, size_t n)
{
    memcpy(out + at, bytes, n);
    return at + n;
}

/* Nothing of what a client wrote is in a key. The braces put all into one slot of a Redis Cluster, so that
 * one script reaches them. which tells apart what has one name and scope. */
static struct busi_str key_of(struct auth *self, struct busi_call *call, const struct client *client,
                              enum scope scope, const char *name, size_t which)
{
    static const char purpose[] = "busi limit";
    const uint8_t tag[] = {(uint8_t)scope, (uint8_t)which};
    uint8_t message[256], hash[32];
    char id[2 * ID_BYTES];
    size_t n = put(message, 0, purpose, sizeof purpose);
    n = put(message, n, tag, sizeof tag);
    if (scope != ACCOUNT)
        n = put(message, n, client->network, sizeof client->network);
    if (scope != NETWORK)
        n = put(message, n, client->name, sizeof client->name);
    n = put(message, n, name, strlen(name));
    busi_keyed_hash(hash, self->token_hash_key, (struct busi_str){(const char *)message, n});
    busi_hex_encode(id, hash, ID_BYTES);
    return busi_arena_printf(&call->arena, "busi:l:{limits}:%.*s", (int)sizeof id, id);
}

static const struct busi_rates *rates_of(const struct auth *self, const struct bucket *bucket)
{
    return (const struct busi_rates *)(const void *)((const char *)self->settings + bucket->rates);
}

static struct busi_str known_key(struct auth *self, struct busi_call *call, const struct client *client)
{
    return key_of(self, call, client, PAIR, "known", 0);
}

static struct busi_str cell_key(struct auth *self, struct busi_call *call, const struct client *client,
                                const struct cell *cell)
{
    size_t which = (size_t)(cell->rate - rates_of(self, cell->bucket)->rate);
    return key_of(self, call, client, cell->bucket->scope, cell->bucket->name, which);
}

/* ---- charging ---- */

static enum busi_code no_memory(struct busi_call *call)
{
    return busi_call_fail(call, BUSI_INTERNAL, "the call's memory is used up");
}

static enum busi_code away(struct busi_call *call)
{
    call->retry_after_ms = RETRY_AFTER_MS;
    return busi_call_fail(call, BUSI_UNAVAILABLE, "the session store is away");
}

/* So that after count steps, not one less, a bucket that was empty is full. */
static int64_t step_us(const struct busi_rate *rate)
{
    return (rate->window_ms * 1000 + rate->count - 1) / rate->count;
}

static void gather(struct charge *charge, const struct auth *self, const struct client *client,
                   enum auth_limit limit)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        const struct busi_rates *rates = rates_of(self, &buckets[i]);
        if (buckets[i].limit != limit || !concerns(client, buckets[i].scope))
            continue;
        for (size_t k = 0; k < rates->n && charge->n < CELLS_MOST; k++)
            charge->cells[charge->n++] = (struct cell){&buckets[i], &rates->rate[k]};
    }
}

/* Names without a network are those of callers within the house. */
static bool counts_strikes(const struct auth *self, const struct client *client, enum auth_limit limit)
{
    const struct busi_settings *settings = self->settings;
    return has_strikes[limit] && concerns(client, ACCOUNT) &&
           (settings->limit_slow_after > 0 || settings->limit_lock_after > 0);
}

static struct busi_str strikes_key(struct auth *self, struct busi_call *call, const struct client *client,
                                   enum scope scope)
{
    return key_of(self, call, client, scope, "strikes", 0);
}

static void add(struct charge *charge, struct busi_str text)
{
    charge->argv[charge->argc++] = text;
}

static void add_number(struct charge *charge, struct busi_call *call, int64_t number)
{
    add(charge, busi_arena_int(&call->arena, number));
}

/* False: no memory. */
static bool is_worded(const struct charge *charge)
{
    for (int i = 0; i < charge->argc; i++)
        if (!charge->argv[i].ptr)
            return false;
    return true;
}

static void add_keys(struct auth *self, struct busi_call *call, const struct client *client,
                     struct charge *charge, bool marked)
{
    for (size_t i = 0; i < charge->n; i++)
        add(charge, cell_key(self, call, client, &charge->cells[i]));
    if (marked)
        add(charge, known_key(self, call, client));
    if (charge->strikes)
        add(charge, strikes_key(self, call, client, ACCOUNT));
    if (charge->strikes && marked)
        add(charge, strikes_key(self, call, client, PAIR));
    charge->n_keys = charge->argc;
}

/* False: no memory. */
static bool word(struct auth *self, struct busi_call *call, const struct client *client,
                 struct charge *charge)
{
    const struct busi_settings *settings = self->settings;
    const bool marked = settings->limit_known_ms > 0 && concerns(client, PAIR);
    add_keys(self, call, client, charge, marked);
    add_number(charge, call, (int64_t)charge->n);
    add(charge, marked ? BUSI_STR("1") : BUSI_STR("0"));
    for (size_t i = 0; i < charge->n; i++) {
        const struct cell *cell = &charge->cells[i];
        add_number(charge, call, cell->rate->count);
        add_number(charge, call, step_us(cell->rate));
        add(charge, cell->bucket->scope == ACCOUNT ? BUSI_STR("1") : BUSI_STR("0"));
    }
    if (charge->strikes) {
        add_number(charge, call, settings->limit_slow_after);
        add_number(charge, call, settings->limit_lock_after);
        add_number(charge, call, settings->limit_lock_for_ms * 1000);
    }
    return is_worded(charge);
}

static int64_t number(const struct busi_redis_reply *reply, size_t item)
{
    return item < reply->n_items && reply->items[item].type == BUSI_REDIS_INT ? reply->items[item].number : 0;
}

static enum busi_code refuse(struct busi_call *call, const char *name, const char *scope,
                             const struct busi_quota *quota, const struct busi_redis_reply *reply)
{
    call->retry_after_ms = (number(reply, 1) + 999) / 1000;
    call->quota = *quota;
    call->quota.reset_ms = (number(reply, 2) + 999) / 1000;
    busi_log(BUSI_INFO, "limited", BUSI_C("limit", name), BUSI_C("scope", scope),
             BUSI_S("request_id", call->request_id));
    return busi_call_fail(call, BUSI_RESOURCE_EXHAUSTED, "too many requests");
}

static enum busi_code refuse_cell(struct busi_call *call, const struct cell *cell,
                                  const struct busi_redis_reply *reply)
{
    const struct busi_quota quota = {.limit = cell->rate->count, .window_ms = cell->rate->window_ms};
    return refuse(call, cell->bucket->name, scope_names[cell->bucket->scope], &quota, reply);
}

/* One try in the time that is to wait. */
static enum busi_code refuse_strikes(struct busi_call *call, const struct busi_redis_reply *reply)
{
    const struct busi_quota quota = {.limit = 1, .window_ms = (number(reply, 1) + 999) / 1000};
    return refuse(call, "limit_slow_after", scope_names[ACCOUNT], &quota, reply);
}

/* Nothing to charge: what would have gone along goes alone. */
static enum busi_code run_others(struct auth *self, struct busi_call *call,
                                 struct busi_redis_command *commands, size_t n)
{
    if (n > 1)
        (void)!busi_redis_run_all(self->redis, &call->arena, commands + 1, n - 1, call->until_ms);
    return BUSI_OK;
}

static enum busi_code decide(struct auth *self, struct busi_call *call, enum auth_limit limit,
                             struct busi_str name, bool *locks, struct busi_redis_command *commands, size_t n)
{
    struct client client = {0};
    struct charge charge = {0};
    const struct busi_redis_reply *reply = &commands[0].reply;
    find_network(&client, call->origin.remote_addr);
    if (!find_name(self, call, &client, name))
        return no_memory(call);
    gather(&charge, self, &client, limit);
    charge.strikes = counts_strikes(self, &client, limit);
    if (charge.n == 0 && !charge.strikes)
        return run_others(self, call, commands, n);
    if (!word(self, call, &client, &charge))
        return no_memory(call);
    enum busi_code code =
        busi_redis_run_script_with(self->redis, &call->arena, auth_limit_script, charge.n_keys, charge.argc,
                                   charge.argv, call->until_ms, commands, n);
    bool heard = code == BUSI_OK && reply->n_items > 0 && reply->items[0].type == BUSI_REDIS_INT;
    int64_t refusing = number(reply, 0);
    if (!heard || refusing < -1 || refusing > (int64_t)charge.n + charge.strikes)
        return away(call); /* no word of limit.lua's */
    *locks = refusing < 0;
    if (refusing < 1)
        return BUSI_OK;
    auth_limit_tally_add(self->tally, limit);
    return refusing > (int64_t)charge.n ? refuse_strikes(call, reply)
                                        : refuse_cell(call, &charge.cells[refusing - 1], reply);
}

static enum busi_code measure(struct auth *self, struct busi_call *call, enum auth_limit limit,
                              struct busi_str name, bool *locks, struct busi_redis_command *commands,
                              size_t n)
{
    int64_t began_us = busi_now_us();
    *locks = false;
    enum busi_code code = decide(self, call, limit, name, locks, commands, n);
    if (histograms[limit])
        busi_histogram_observe(histograms[limit], busi_now_us() - began_us, (int)code);
    return code;
}

enum busi_code auth_limit_with(struct auth *self, struct busi_call *call, enum auth_limit limit,
                               struct busi_str name, struct busi_redis_command *commands, size_t n)
{
    bool locks;
    return measure(self, call, limit, name, &locks, commands, n);
}

enum busi_code auth_limit_strike(struct auth *self, struct busi_call *call, enum auth_limit limit,
                                 struct busi_str name, bool *locks)
{
    struct busi_redis_command alone = {0};
    return measure(self, call, limit, name, locks, &alone, 1);
}

enum busi_code auth_limit(struct auth *self, struct busi_call *call, enum auth_limit limit,
                          struct busi_str name)
{
    bool locks;
    return auth_limit_strike(self, call, limit, name, &locks);
}

/* The tries at the account by the client; from: with those from its network. */
static void give_back(struct auth *self, struct busi_call *call, enum auth_limit limit, struct busi_str name,
                      struct busi_str from)
{
    const int64_t known_ms = self->settings->limit_known_ms;
    struct client client = {0};
    struct charge charge = {0};
    struct busi_redis_reply reply;
    find_network(&client, from);
    if (!find_name(self, call, &client, name) || !concerns(&client, ACCOUNT))
        return;
    gather(&charge, self, &client, limit);
    add(&charge, strikes_key(self, call, &client, ACCOUNT));
    if (concerns(&client, PAIR)) {
        add(&charge, known_key(self, call, &client));
        add(&charge, strikes_key(self, call, &client, PAIR));
    }
    for (size_t i = 0; i < charge.n; i++)
        if (charge.cells[i].bucket->scope == PAIR)
            add(&charge, cell_key(self, call, &client, &charge.cells[i]));
    charge.n_keys = charge.argc;
    add_number(&charge, call, known_ms);
    /* of the keys so far, the first three matter only with strikes or marks */
    const bool pairs = charge.n_keys > 3 || (known_ms > 0 && concerns(&client, PAIR));
    if (is_worded(&charge) && (pairs || counts_strikes(self, &client, limit)))
        (void)!busi_redis_run_script(self->redis, &call->arena, auth_limit_passed_script, charge.n_keys,
                                     charge.argc, charge.argv, call->until_ms, &reply);
}

void auth_limit_passed(struct auth *self, struct busi_call *call, enum auth_limit limit, struct busi_str name)
{
    give_back(self, call, limit, name, call->origin.remote_addr);
}

void auth_limit_proved(struct auth *self, struct busi_call *call, struct busi_str email,
                       struct busi_str username)
{
    auth_limit_passed(self, call, AUTH_LIMIT_sign_in, email);
    auth_limit_passed(self, call, AUTH_LIMIT_sign_in, username);
}

void auth_limit_forget(struct auth *self, struct busi_call *call, struct busi_str email,
                       struct busi_str username)
{
    give_back(self, call, AUTH_LIMIT_sign_in, email, (struct busi_str){0});
    give_back(self, call, AUTH_LIMIT_sign_in, username, (struct busi_str){0});
}
