#include "store/redis_internal.h"

#include <stdlib.h>

enum { DEFAULT_PORT = 6379, SENTINEL_PORT = 26379, DB_MOST = 65535 };

/* A NUL-terminated copy with %XX decoded; NULL: malformed or out of memory. */
static char *decode(struct busi_str text)
{
    char *out = malloc(text.len + 1);
    size_t n = 0;
    for (size_t i = 0; out && i < text.len; i++) {
        int c = (unsigned char)text.ptr[i];
        if (c == '%') {
            int high = i + 2 < text.len ? busi_hex_digit(text.ptr[i + 1]) : -1;
            int low = high >= 0 ? busi_hex_digit(text.ptr[i + 2]) : -1;
            c = low >= 0 ? high * 16 + low : 0;
            i += 2;
        }
        if (c == 0) {
            free(out);
            return NULL;
        }
        out[n++] = (char)c;
    }
    if (out)
        out[n] = '\0';
    return out;
}

/* Cuts text at the first c: what is before it, and *rest what is behind; whole text and absent rest when
 * there is none. */
static struct busi_str cut(struct busi_str text, char c, struct busi_str *rest)
{
    const char *at = text.len ? memchr(text.ptr, c, text.len) : NULL;
    *rest = (struct busi_str){0};
    if (!at)
        return text;
    size_t len = (size_t)(at - text.ptr);
    *rest = (struct busi_str){at + 1, text.len - len - 1};
    return (struct busi_str){text.ptr, len};
}

static bool number(struct busi_str text, int64_t least, int64_t most, int *out)
{
    int64_t value = 0;
    if (!busi_str_int(text, &value) || value < least || value > most)
        return false;
    *out = (int)value;
    return true;
}

static bool set(char **out, struct busi_str text)
{
    *out = decode(text);
    return *out != NULL;
}

/* A host's name or address as it is; false: not one. */
static bool place(struct redis_address *out, struct busi_str host)
{
    if (host.len == 0 || host.len >= sizeof out->host || host.ptr[0] == '/' ||
        memchr(host.ptr, ',', host.len) || memchr(host.ptr, '\0', host.len))
        return false;
    memcpy(out->host, host.ptr, host.len);
    return true;
}

/* "user:password@", "user@" or ":password@" at the start; moves *text behind it. */
static const char *parse_user(struct redis_url *url, struct busi_str *text)
{
    size_t at = text->len;
    while (at > 0 && text->ptr[at - 1] != '@')
        at--;
    if (at == 0)
        return NULL;
    struct busi_str password, user = cut((struct busi_str){text->ptr, at - 1}, ':', &password);
    *text = (struct busi_str){text->ptr + at, text->len - at};
    if (user.len && !set(&url->user, user))
        return "user in the URL is malformed";
    if (password.ptr && !set(&url->password, password))
        return "password in the URL is malformed";
    return url->user && !url->password ? "user in the URL without a password" : NULL;
}

/* "host", "host:port" or "[v6]:port"; a missing port stays as it is. */
static const char *parse_address(struct redis_address *out, struct busi_str text)
{
    struct busi_str port, host;
    if (text.len && text.ptr[0] == '[') {
        struct busi_str behind;
        host = cut((struct busi_str){text.ptr + 1, text.len - 1}, ']', &behind);
        if (!behind.ptr || (behind.len && behind.ptr[0] != ':'))
            return "address in the URL is malformed";
        port = behind.len ? (struct busi_str){behind.ptr + 1, behind.len - 1} : (struct busi_str){0};
    } else {
        host = cut(text, ':', &port);
    }
    if (port.ptr && !number(port, 1, 65535, &out->port))
        return "port in the URL is not within 1..65535";
    return place(out, host) ? NULL : "host in the URL is missing or malformed";
}

static const char *parse_tcp(struct redis_url *url, struct busi_str text)
{
    struct busi_str db, address = cut(text, '/', &db);
    if (db.len && !number(db, 0, DB_MOST, &url->db))
        return "database in the URL is not a number";
    url->address.port = DEFAULT_PORT;
    return parse_address(&url->address, address);
}

static const char *parse_unix(struct redis_url *url, struct busi_str text)
{
    struct busi_str query, path = cut(text, '?', &query);
    if (query.ptr && (!busi_str_starts(query, BUSI_STR("db=")) ||
                      !number((struct busi_str){query.ptr + 3, query.len - 3}, 0, DB_MOST, &url->db)))
        return "only ?db=<number> may follow the socket's path";
    if (path.len == 0 || path.ptr[0] != '/' || path.len >= sizeof url->address.host)
        return "the socket's path must begin with '/'";
    memcpy(url->address.host, path.ptr, path.len);
    return NULL;
}

/* The sentinels' own: sentinel_user=u&sentinel_password=p. */
static const char *parse_sentinel_user(struct redis_url *url, struct busi_str query)
{
    while (query.ptr) {
        struct busi_str value, pair = cut(query, '&', &query), name = cut(pair, '=', &value);
        char **out = busi_str_eq(name, BUSI_STR("sentinel_password")) ? &url->sentinel_password
                     : busi_str_eq(name, BUSI_STR("sentinel_user"))   ? &url->sentinel_user
                                                                      : NULL;
        if (!out || *out || value.len == 0 || !set(out, value))
            return "only ?sentinel_password= and &sentinel_user= may follow, each once and not empty";
    }
    return url->sentinel_user && !url->sentinel_password ? "sentinel_user in the URL without a password"
                                                         : NULL;
}

/* "host:port,host:port/MASTER[/db][?...]" */
static const char *parse_sentinels(struct redis_url *url, struct busi_str text)
{
    struct busi_str query, path, db, all = cut(cut(text, '?', &query), '/', &path),
                                     master = cut(path, '/', &db);
    while (all.ptr) {
        struct redis_address *one = &url->sentinels[url->n_sentinels];
        if (url->n_sentinels == REDIS_SENTINELS_MOST)
            return "more than nine sentinels in the URL";
        one->port = SENTINEL_PORT;
        const char *fault = parse_address(one, cut(all, ',', &all));
        if (fault)
            return fault;
        for (size_t i = 0; i < url->n_sentinels; i++)
            if (busi_redis_same(&url->sentinels[i], one))
                return "a sentinel is named twice in the URL";
        url->n_sentinels++;
    }
    if (db.len && !number(db, 0, DB_MOST, &url->db))
        return "database in the URL is not a number";
    if (master.len == 0 || !set(&url->master, master))
        return "the master's name is missing in the URL, or malformed";
    return parse_sentinel_user(url, query);
}

bool busi_redis_url_parse(struct redis_url *url, struct busi_str text, const char **error)
{
    static const struct {
        struct busi_str scheme;
        const char *(*parse)(struct redis_url *url, struct busi_str text);
    } kinds[] = {
        {{"redis://", 8}, parse_tcp}, {{"unix://", 7}, parse_unix}, {{"sentinel://", 11}, parse_sentinels}};
    *url = (struct redis_url){0};
    *error = "URL must begin with redis://, unix:// or sentinel://";
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (!busi_str_starts(text, kinds[i].scheme))
            continue;
        size_t scheme = kinds[i].scheme.len;
        struct busi_str rest = {text.ptr + scheme, text.len - scheme};
        *error = parse_user(url, &rest);
        if (!*error)
            *error = kinds[i].parse(url, rest);
    }
    if (*error)
        busi_redis_url_fini(url);
    return !*error;
}

const char *busi_redis_url_fault(struct busi_str text)
{
    struct redis_url url;
    const char *fault = NULL;
    if (busi_redis_url_parse(&url, text, &fault))
        busi_redis_url_fini(&url);
    return fault;
}

static void wipe(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

void busi_redis_url_fini(struct redis_url *url)
{
    wipe(url->password);
    wipe(url->sentinel_password);
    free(url->user);
    free(url->sentinel_user);
    free(url->master);
    *url = (struct redis_url){0};
}
