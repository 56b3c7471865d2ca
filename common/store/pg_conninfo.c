/* The connection string: parsed once, completed with bounds on every wait, and with the addresses of its host
 * names (PQconnectStart would resolve them itself, and block). */
#include "store/pg_internal.h"

#include <stdio.h>
#include <stdlib.h>

enum { KEYWORDS_MOST = 80, LIST_MOST = 2048 };

struct keywords {
    const char *names[KEYWORDS_MOST + 1], *values[KEYWORDS_MOST + 1];
    size_t n;
};

PQconninfoOption *busi_pg_conninfo_parse(struct busi_str text)
{
    if (text.len && memchr(text.ptr, 0, text.len))
        return NULL;
    char *copy = strndup(text.ptr ? text.ptr : "", text.len);
    if (!copy)
        return NULL;
    /* the error text is not used: it can quote what may be a password */
    PQconninfoOption *conninfo = PQconninfoParse(copy, NULL);
    explicit_bzero(copy, text.len);
    free(copy);
    return conninfo;
}

void busi_pg_conninfo_free(PQconninfoOption **conninfo)
{
    for (PQconninfoOption *option = *conninfo; option && option->keyword; option++)
        if (option->val)
            explicit_bzero(option->val, strlen(option->val));
    PQconninfoFree(*conninfo);
    *conninfo = NULL;
}

bool busi_pg_conninfo_valid(struct busi_str text)
{
    PQconninfoOption *conninfo = busi_pg_conninfo_parse(text);
    bool valid = conninfo != NULL;
    if (valid)
        busi_pg_conninfo_free(&conninfo);
    return valid;
}

const char *busi_pg_conninfo_get(const PQconninfoOption *conninfo, const char *keyword)
{
    for (const PQconninfoOption *option = conninfo; option->keyword; option++)
        if (strcmp(option->keyword, keyword) == 0)
            return option->val && *option->val ? option->val : NULL;
    return NULL;
}

static void set(struct keywords *keywords, const char *name, const char *value)
{
    for (size_t i = 0; i < keywords->n; i++)
        if (strcmp(keywords->names[i], name) == 0) {
            keywords->values[i] = value;
            return;
        }
    if (keywords->n == KEYWORDS_MOST)
        return;
    keywords->names[keywords->n] = name;
    keywords->values[keywords->n++] = value;
}

/* The index-th part of a comma-separated list; of a list of one, always that one. */
static struct busi_str part(const char *list, size_t index)
{
    const char *at = list ? list : "";
    if (!strchr(at, ','))
        return busi_str_of(at);
    for (; index > 0 && *at; index--)
        at += strcspn(at, ",") + (at[strcspn(at, ",")] ? 1 : 0);
    return (struct busi_str){at, strcspn(at, ",")};
}

struct lists {
    char host[LIST_MOST], hostaddr[LIST_MOST], port[LIST_MOST];
};

static void append(char *list, struct busi_str item, bool first)
{
    size_t len = strlen(list);
    snprintf(list + len, LIST_MOST - len, "%s%.*s", first ? "" : ",", BUSI_ARG(item));
}

/* host=a,b with two addresses of a: host=a,a,b hostaddr=1,2,3 (and the ports likewise). The name stays for
 * certificate checks. */
static void name_addresses(struct keywords *keywords, const PQconninfoOption *conninfo,
                           const struct busi_resolved *found, struct lists *lists)
{
    const char *host = busi_pg_conninfo_get(conninfo, "host"), *port = busi_pg_conninfo_get(conninfo, "port");
    for (size_t i = 0; i < found->n; i++) {
        append(lists->host, part(host, found->items[i].host), i == 0);
        append(lists->hostaddr, busi_str_of(found->items[i].text), i == 0);
        append(lists->port, part(port, found->items[i].host), i == 0);
    }
    set(keywords, "host", lists->host);
    set(keywords, "hostaddr", lists->hostaddr);
    if (port)
        set(keywords, "port", lists->port);
}

/* libpq prints notices to stderr otherwise. */
static void ignore_notice(void *arg, const PGresult *notice)
{
    (void)arg;
    (void)notice;
}

PGconn *busi_pg_conninfo_connect(const struct busi_pg *pg, const struct busi_resolved *found)
{
    struct keywords keywords = {0};
    set(&keywords, "connect_timeout", "2");
    set(&keywords, "keepalives_idle", "5");
    set(&keywords, "keepalives_interval", "2");
    set(&keywords, "keepalives_count", "3");
    set(&keywords, "tcp_user_timeout", "4000");
    set(&keywords, "target_session_attrs", "read-write");
    set(&keywords, "gssencmode", "disable");
    set(&keywords, "client_encoding", "UTF8");
    set(&keywords, "application_name", pg->application);
    for (const PQconninfoOption *option = pg->conninfo; option->keyword; option++)
        if (option->val)
            set(&keywords, option->keyword, option->val);
    const char *given = busi_pg_conninfo_get(pg->conninfo, "options");
    char options[1024];
    snprintf(options, sizeof options, "%s %s", pg->server_options, given ? given : "");
    set(&keywords, "options", options);
    struct lists *lists = calloc(1, sizeof *lists);
    if (!lists)
        return NULL;
    if (found)
        name_addresses(&keywords, pg->conninfo, found, lists);
    PGconn *conn = PQconnectStartParams(keywords.names, keywords.values, 0);
    free(lists);
    if (conn)
        PQsetNoticeReceiver(conn, ignore_notice, NULL);
    return conn;
}
