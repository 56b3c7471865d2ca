#include "sessions/watchers.h"

bool auth_feed_position_read(struct busi_str text, struct auth_feed_position *out)
{
    const char *dash = text.len ? memchr(text.ptr, '-', text.len) : NULL;
    if (!dash)
        return false;
    struct busi_str ms = {text.ptr, (size_t)(dash - text.ptr)};
    struct busi_str seq = {dash + 1, text.len - ms.len - 1};
    return busi_str_int(ms, &out->ms) && busi_str_int(seq, &out->seq) && out->ms >= 0 && out->seq >= 0;
}

bool auth_feed_position_before(struct auth_feed_position a, struct auth_feed_position b)
{
    return a.ms != b.ms ? a.ms < b.ms : a.seq < b.seq;
}

bool auth_watcher_name_valid(struct busi_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                    c == '_';
        if (!fine)
            return false;
    }
    return name.len >= AUTH_WATCHER_NAME_LEAST && name.len <= AUTH_WATCHER_NAME_MOST;
}

static struct busi_str name_of(const struct auth_watcher *watcher)
{
    return (struct busi_str){watcher->name, watcher->name_len};
}

const struct auth_watcher *auth_watchers_find(const struct auth_watchers *watchers, struct busi_str name)
{
    for (size_t i = 0; i < watchers->n; i++)
        if (busi_str_eq(name_of(&watchers->list[i]), name))
            return &watchers->list[i];
    return NULL;
}

/* False: neither a watcher nor one of the list's own fields. */
static bool read_one(struct auth_watcher *watcher, struct busi_str name, struct busi_str value)
{
    const char *space = value.len ? memchr(value.ptr, ' ', value.len) : NULL;
    if (!space || !auth_watcher_name_valid(name) || value.len > sizeof(watcher->value))
        return false;
    struct busi_str number = {value.ptr, (size_t)(space - value.ptr)};
    struct busi_str heard = {space + 1, value.len - number.len - 1};
    memcpy(watcher->name, name.ptr, name.len);
    memcpy(watcher->value, value.ptr, value.len);
    watcher->name_len = name.len;
    watcher->value_len = value.len;
    return busi_str_int(number, &watcher->number) && auth_feed_position_read(heard, &watcher->heard);
}

static struct busi_str timeline_of(const struct busi_redis_reply *all)
{
    for (size_t i = 0; i + 1 < all->n_items; i += 2)
        if (all->items[i].text.len == 0)
            return all->items[i + 1].text;
    return (struct busi_str){0};
}

/* Another timeline, or another connection: what was seen before says nothing about this one. */
static void note_timeline(struct auth_watchers *watchers, struct busi_str timeline, uint64_t generation,
                          int64_t now_ms)
{
    if (timeline.len > sizeof(watchers->timeline))
        timeline.len = 0;
    if (generation == watchers->generation && timeline.len &&
        busi_str_eq(timeline, (struct busi_str){watchers->timeline, watchers->timeline_len}))
        return;
    if (timeline.len)
        memcpy(watchers->timeline, timeline.ptr, timeline.len);
    watchers->timeline_len = timeline.len;
    watchers->generation = generation;
    watchers->known_ms = now_ms;
    watchers->n = 0;
}

void auth_watchers_read(struct auth_watchers *watchers, const struct busi_redis_reply *all,
                        uint64_t generation, int64_t now_ms)
{
    size_t n = 0;
    bool whole = true;
    note_timeline(watchers, timeline_of(all), generation, now_ms);
    for (size_t i = 0; i + 1 < all->n_items; i += 2) {
        struct busi_str name = all->items[i].text;
        if (name.len == 0 || busi_str_eq(name, BUSI_STR("#"))) /* the timeline, the last number */
            continue;
        struct auth_watcher *watcher = &watchers->fresh[n];
        if (n == AUTH_WATCHERS_MOST || !read_one(watcher, name, all->items[i + 1].text)) {
            whole = false;
            continue;
        }
        const struct auth_watcher *before = auth_watchers_find(watchers, name);
        watcher->seen_ms = before && before->number == watcher->number ? before->seen_ms : now_ms;
        n++;
    }
    memcpy(watchers->list, watchers->fresh, n * sizeof(*watchers->list));
    watchers->n = n;
    if (!whole)
        watchers->known_ms = now_ms;
}
