#include "rpc/crowd.h"
#include <stdlib.h>

enum { EACH_MS = 1000 };

/* ---- the loop's ---- */

static bool grow(struct busi_connections *connections, size_t need)
{
    size_t room = connections->room ? connections->room : 256;
    while (room < need)
        room *= 2;
    int64_t *since_ms = realloc(connections->since_ms, room * sizeof *since_ms);
    if (!since_ms)
        return false;
    memset(since_ms + connections->room, 0, (room - connections->room) * sizeof *since_ms);
    connections->since_ms = since_ms;
    connections->room = room;
    return true;
}

void busi_connections_came(struct busi_connections *connections, int fd, int64_t now_ms)
{
    size_t at = (size_t)fd;
    if (fd >= 0 && (at < connections->room || grow(connections, at + 1)))
        connections->since_ms[at] = now_ms;
}

void busi_connections_went(struct busi_connections *connections, int fd)
{
    if (fd >= 0 && (size_t)fd < connections->room)
        connections->since_ms[fd] = 0;
}

size_t busi_connections_old(const struct busi_connections *connections, int64_t now_ms)
{
    size_t n = 0;
    for (size_t i = 0; i < connections->room; i++)
        n += connections->since_ms[i] != 0 && now_ms - connections->since_ms[i] >= BUSI_CROWD_NEW_MS;
    return n;
}

void busi_connections_fini(struct busi_connections *connections)
{
    free(connections->since_ms);
    *connections = (struct busi_connections){0};
}

/* ---- the thread's ---- */

/* Those the loop may not count yet: rather some twice for a moment than none. */
static size_t count_new(struct busi_crowd *crowd, int64_t now_ms)
{
    int64_t step = now_ms / BUSI_CROWD_STEP_MS;
    if (step - crowd->step > BUSI_CROWD_STEPS)
        crowd->step = step - BUSI_CROWD_STEPS;
    while (crowd->step < step)
        crowd->fresh[++crowd->step % BUSI_CROWD_STEPS] = 0;
    size_t n = 0;
    for (size_t i = 0; i < BUSI_CROWD_STEPS; i++)
        n += crowd->fresh[i];
    return n;
}

/* True: none of this name has come for a while. It is noted in the place of the one longest ago. */
static bool is_its_turn(struct busi_crowd *crowd, const char *name, int64_t now_ms)
{
    size_t place = 0;
    for (size_t i = 0; i < BUSI_CROWD_NAMES; i++) {
        if (strcmp(crowd->late[i].name, name) == 0) {
            place = i;
            break;
        }
        if (crowd->late[i].came_ms < crowd->late[place].came_ms)
            place = i;
    }
    bool known = strcmp(crowd->late[place].name, name) == 0;
    if (known && now_ms - crowd->late[place].came_ms < EACH_MS)
        return false;
    if (!known && crowd->late[place].name[0] && now_ms - crowd->late[place].came_ms < EACH_MS)
        return false; /* more names at once than are kept */
    memcpy(crowd->late[place].name, name, strlen(name) + 1);
    crowd->late[place].came_ms = now_ms;
    return true;
}

bool busi_crowd_admits(struct busi_crowd *crowd, size_t old, size_t most, const char *name, int64_t now_ms)
{
    size_t n = old + count_new(crowd, now_ms);
    if (n >= most || (n >= most / 2 && !is_its_turn(crowd, name, now_ms)))
        return false;
    crowd->fresh[crowd->step % BUSI_CROWD_STEPS]++;
    return true;
}
