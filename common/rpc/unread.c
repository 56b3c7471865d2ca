#include "rpc/unread.h"
#include "base/clock.h"
#include "base/memory.h"
#include <stdatomic.h>
#include <stdlib.h>

enum { BUCKETS = 256 };

/* A connection or a certificate. */
struct account {
    struct account *next; /* of its bucket */
    atomic_size_t bytes;  /* noted and not taken */
    atomic_size_t users;  /* the table it is in, and notes; the last one frees */
    size_t len;
    char id[]; /* len bytes: the peer's, or the name */
};

struct busi_unread {
    struct account *peers[BUCKETS];
    struct account *names[BUCKETS];
    uint64_t seed; /* peers choose their ids: whose fall together is not theirs to say */
};

struct note {
    struct busi_frame_note head;
    struct account *peer, *name; /* name may be NULL */
    size_t bytes;
};

struct busi_unread *busi_unread_new(void)
{
    struct busi_unread *unread = calloc(1, sizeof *unread);
    if (unread)
        unread->seed = (uint64_t)busi_now_us() * 0x9E3779B97F4A7C15 ^ (uintptr_t)unread;
    return unread;
}

static void leave(struct account *account)
{
    if (account && atomic_fetch_sub(&account->users, 1) == 1)
        free(account);
}

static void leave_all(struct account **buckets)
{
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct account *next; buckets[i]; buckets[i] = next) {
            next = buckets[i]->next;
            leave(buckets[i]);
        }
}

void busi_unread_free(struct busi_unread **unread)
{
    if (!*unread)
        return;
    leave_all((*unread)->peers);
    leave_all((*unread)->names);
    free(*unread);
    *unread = NULL;
}

static struct account **bucket(const struct busi_unread *unread, struct account **buckets, struct busi_str id)
{
    uint64_t hash = unread->seed;
    for (size_t i = 0; i < id.len; i++)
        hash = (hash ^ (unsigned char)id.ptr[i]) * 0x100000001B3;
    return &buckets[hash * 0x9E3779B97F4A7C15 >> 56];
}

/* NULL: it has nothing unread. Others of its bucket that have nothing are forgotten on the way. */
static struct account *find(const struct busi_unread *unread, struct account **buckets, struct busi_str id)
{
    struct account *found = NULL;
    for (struct account **at = bucket(unread, buckets, id), *account; (account = *at) != NULL;) {
        if (account->len == id.len && memcmp(account->id, id.ptr, id.len) == 0) {
            found = account;
        } else if (atomic_load_explicit(&account->bytes, memory_order_relaxed) == 0) {
            *at = account->next;
            leave(account);
            continue;
        }
        at = &account->next;
    }
    return found;
}

static struct account *find_or_add(struct busi_unread *unread, struct account **buckets, struct busi_str id)
{
    struct account *account = find(unread, buckets, id);
    if (account)
        return account;
    account = malloc(sizeof *account + id.len);
    if (!account) {
        busi_memory_refused();
        return NULL;
    }
    struct account **at = bucket(unread, buckets, id);
    account->next = *at;
    account->len = id.len;
    memcpy(account->id, id.ptr, id.len);
    atomic_init(&account->bytes, 0);
    atomic_init(&account->users, 1);
    return *at = account;
}

static size_t bytes_of(const struct account *account)
{
    return account ? atomic_load_explicit(&account->bytes, memory_order_relaxed) : 0;
}

static struct busi_str id_of(const struct busi_peer *peer)
{
    return (struct busi_str){peer->id, peer->len};
}

static bool too_much(const struct account *peer, const struct account *name, size_t bytes, size_t share)
{
    size_t of_peer = bytes_of(peer) + bytes;
    return of_peer > BUSI_UNREAD_PEER_MOST / share ||
           (of_peer > BUSI_UNREAD_LITTLE && bytes_of(name) + bytes > BUSI_UNREAD_NAME_MOST / share);
}

bool busi_unread_much(struct busi_unread *unread, const struct busi_peer *peer, struct busi_str name)
{
    return too_much(find(unread, unread->peers, id_of(peer)),
                    name.ptr ? find(unread, unread->names, name) : NULL, 0, 2);
}

static void charge(struct account *account, size_t bytes)
{
    if (!account)
        return;
    atomic_fetch_add(&account->users, 1);
    atomic_fetch_add(&account->bytes, bytes);
}

struct busi_frame_note *busi_unread_add(struct busi_unread *unread, const struct busi_peer *peer,
                                        struct busi_str name, size_t bytes)
{
    struct account *of_peer = find_or_add(unread, unread->peers, id_of(peer));
    struct account *of_name = name.ptr ? find_or_add(unread, unread->names, name) : NULL;
    if (!of_peer || (name.ptr && !of_name) || too_much(of_peer, of_name, bytes, 1))
        return NULL;
    struct note *note = malloc(sizeof *note);
    if (!note) {
        busi_memory_refused();
        return NULL;
    }
    *note = (struct note){.head.done = busi_unread_taken, .peer = of_peer, .name = of_name, .bytes = bytes};
    charge(of_peer, bytes);
    charge(of_name, bytes);
    return &note->head;
}

static void pay(struct account *account, size_t bytes)
{
    if (!account)
        return;
    atomic_fetch_sub(&account->bytes, bytes);
    leave(account);
}

void busi_unread_taken(struct busi_frame_note *head)
{
    struct note *note = (struct note *)(void *)head;
    pay(note->peer, note->bytes);
    pay(note->name, note->bytes);
    free(note);
}
