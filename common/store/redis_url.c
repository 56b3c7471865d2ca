#include "store/redis_internal.h"

#include <stdlib.h>

enum { DEFAULT_PORT = 6379, DB_MOST = 65535 };

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

static const char *parse_tcp(struct redis_url *url, struct busi_str text)
{
    struct busi_str db, port, host, address = cut(text, '/', &db);
    if (address.len && address.ptr[0] == '[') {
        struct busi_str behind;
        host = cut((struct busi_str){address.ptr + 1, address.len - 1}, ']', &behind);
        if (!behind.ptr || (behind.len && behind.ptr[0] != ':'))
            return "address in the URL is malformed";
        port = behind.len ? (struct busi_str){behind.ptr + 1, behind.len - 1} : (struct busi_str){0};
    } else {
        host = cut(address, ':', &port);
    }
    if (port.ptr && !number(port, 1, 65535, &url->port))
        return "port in the URL is not within 1..65535";
    if (db.len && !number(db, 0, DB_MOST, &url->db))
        return "database in the URL is not a number";
    if (host.len == 0 || memchr(host.ptr, ',', host.len) || host.ptr[0] == '/' || !set(&url->host, host))
        return "host in the URL is missing or malformed";
    return NULL;
}

static const char *parse_unix(struct redis_url *url, struct busi_str text)
{
    struct busi_str query, path = cut(text, '?', &query);
    if (query.ptr && (!busi_str_starts(query, BUSI_STR("db=")) ||
                      !number((struct busi_str){query.ptr + 3, query.len - 3}, 0, DB_MOST, &url->db)))
        return "only ?db=<number> may follow the socket's path";
    if (path.len == 0 || path.ptr[0] != '/' || !set(&url->host, path))
        return "the socket's path must begin with '/'";
    return NULL;
}

bool busi_redis_url_parse(struct redis_url *url, struct busi_str text, const char **error)
{
    static const struct busi_str tcp = {"redis://", 8}, local = {"unix://", 7};
    *url = (struct redis_url){.port = DEFAULT_PORT};
    bool is_tcp = busi_str_starts(text, tcp);
    if (!is_tcp && !busi_str_starts(text, local)) {
        *error = "URL must begin with redis:// or unix://";
        return false;
    }
    size_t scheme = is_tcp ? tcp.len : local.len;
    struct busi_str rest = {text.ptr + scheme, text.len - scheme};
    *error = parse_user(url, &rest);
    if (!*error)
        *error = is_tcp ? parse_tcp(url, rest) : parse_unix(url, rest);
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

void busi_redis_url_fini(struct redis_url *url)
{
    if (url->password)
        explicit_bzero(url->password, strlen(url->password));
    free(url->user);
    free(url->password);
    free(url->host);
    *url = (struct redis_url){0};
}
