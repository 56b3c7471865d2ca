#include "http/head_check.h"
#include "http/chars.h"
#include "http/head_target.h"

static const struct head_verdict fine = {200, NULL};

static struct head_verdict refuse(int status, const char *fault)
{
    return (struct head_verdict){status, fault};
}

/* ---- the second walk ---- */

struct walk {
    const char *at, *end; /* unread bytes */
};

static bool is_token_char(char c)
{
    return chars_is_token(c);
}

static bool is_value_char(char c)
{
    return (unsigned char)c >= 0x20 && c != 0x7F; /* tabs never get here: CivetWeb refuses them */
}

static bool is_target_char(char c)
{
    return c >= 0x21 && c <= 0x7E;
}

/* The longest run of such bytes, which must begin where CivetWeb thinks it does and end at one NUL; steps
 * behind that NUL. */
static bool take(struct walk *walk, const char *where, bool (*allowed)(char), struct busi_str *out)
{
    const char *begin = walk->at;
    if (begin != where)
        return false;
    while (walk->at < walk->end && allowed(*walk->at))
        walk->at++;
    if (walk->at == walk->end || *walk->at != 0)
        return false;
    *out = (struct busi_str){begin, (size_t)(walk->at - begin)};
    walk->at++;
    return true;
}

/* The byte behind a line's last NUL: the line feed, which CivetWeb overwrote too when a CR stood before it.
 */
static bool take_line_feed(struct walk *walk)
{
    return walk->at < walk->end && *walk->at++ == 0;
}

static struct busi_str trim(struct busi_str s)
{
    while (s.len > 0 && s.ptr[s.len - 1] == ' ')
        s.len--;
    return s;
}

static struct head_verdict walk_request_line(struct walk *walk, const struct cut_head *head,
                                             struct http_request *request, struct busi_str *method)
{
    const char *begin = walk->at;
    struct busi_str version;
    if (!take(walk, head->method, is_token_char, method) || method->len == 0)
        return refuse(400, "method");
    if (!take(walk, head->target, is_target_char, &request->path) || request->path.len == 0)
        return refuse(400, "target");
    if (head->query && !take(walk, head->query, is_target_char, &request->query))
        return refuse(400, "query");
    if (walk->end - walk->at < 5 || memcmp(walk->at, "HTTP/", 5) != 0)
        return refuse(400, "version");
    walk->at += 5;
    if (!take(walk, head->version, is_target_char, &version) || !take_line_feed(walk))
        return refuse(400, "version");
    if (walk->at - begin > HEAD_MAX_REQUEST_LINE)
        return refuse(414, "request line");
    return fine;
}

static struct head_verdict walk_headers(struct walk *walk, const struct cut_head *head,
                                        struct http_request *request)
{
    if (head->n_headers >= HTTP_MAX_HEADERS)
        return refuse(431, "header count"); /* CivetWeb stops looking there */
    for (size_t i = 0; i < head->n_headers; i++) {
        struct http_header *out = &request->headers[i];
        const char *value = head->headers[i].value;
        if (!take(walk, head->headers[i].name, is_token_char, &out->name) || out->name.len == 0)
            return refuse(400, "header name");
        while (walk->at < walk->end && *walk->at == ' ' && walk->at < value)
            walk->at++;
        if (!take(walk, value, is_value_char, &out->value) || !take_line_feed(walk))
            return refuse(400, "header value");
        out->value = trim(out->value);
        request->n_headers = i + 1;
    }
    /* CR and the overwritten LF of the empty line; anything else is a line CivetWeb did not read */
    if (walk->end - walk->at != 2 || walk->at[0] != '\r' || walk->at[1] != 0)
        return refuse(400, "end of head");
    return fine;
}

/* ---- what the pieces say ---- */

bool head_method(struct busi_str name, enum http_method *out)
{
    static const struct {
        const char *name;
        enum http_method method;
    } methods[] = {{"GET", HTTP_GET},        {"HEAD", HTTP_HEAD},   {"POST", HTTP_POST},
                   {"PUT", HTTP_PUT},        {"PATCH", HTTP_PATCH}, {"DELETE", HTTP_DELETE},
                   {"OPTIONS", HTTP_OPTIONS}};
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (!busi_str_eq(name, busi_str_of(methods[i].name)))
            continue;
        *out = methods[i].method;
        return true;
    }
    return false;
}

/* Host, checked headers and the ones that frame the message, gathered in one pass. */
struct framing {
    struct busi_str host, length, transfer_encoding, connection, expect;
    size_t hosts, lengths, transfer_encodings, connections, expects;
    size_t authorizations, content_types, cookies, upgrades;
};

static void gather(const struct http_request *request, struct framing *out)
{
    const struct {
        struct busi_str name;
        size_t *count;
        struct busi_str *value;
    } wanted[] = {
        {BUSI_STR("host"), &out->hosts, &out->host},
        {BUSI_STR("content-length"), &out->lengths, &out->length},
        {BUSI_STR("transfer-encoding"), &out->transfer_encodings, &out->transfer_encoding},
        {BUSI_STR("connection"), &out->connections, &out->connection},
        {BUSI_STR("expect"), &out->expects, &out->expect},
        {BUSI_STR("authorization"), &out->authorizations, NULL},
        {BUSI_STR("content-type"), &out->content_types, NULL},
        {BUSI_STR("cookie"), &out->cookies, NULL},
        {BUSI_STR("upgrade"), &out->upgrades, NULL},
    };
    for (size_t i = 0; i < request->n_headers; i++) {
        for (size_t k = 0; k < sizeof(wanted) / sizeof(wanted[0]); k++) {
            if (!busi_str_ieq(request->headers[i].name, wanted[k].name))
                continue;
            *wanted[k].count += 1;
            if (wanted[k].value)
                *wanted[k].value = request->headers[i].value;
            break;
        }
    }
}

static bool length_of(struct busi_str text, int64_t *out)
{
    int64_t n = 0;
    if (text.len == 0 || text.len > 10)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
        n = n * 10 + (text.ptr[i] - '0');
    }
    *out = n;
    return true;
}

static struct head_verdict check_framing(const struct framing *framing, bool http_1_1,
                                         struct http_request *request)
{
    if (framing->hosts != 1 || !head_host_valid(framing->host))
        return refuse(400, "host");
    if (framing->lengths > 1 || framing->authorizations > 1 || framing->content_types > 1 ||
        framing->cookies > 1 || framing->expects > 1)
        return refuse(400, "repeated header");
    if (framing->upgrades > 0)
        return refuse(400, "upgrade");
    if (framing->transfer_encodings > 0) {
        bool chunked = framing->transfer_encodings == 1 && framing->lengths == 0 && http_1_1 &&
                       busi_str_ieq(framing->transfer_encoding, BUSI_STR("chunked"));
        return refuse(chunked ? 411 : 400, "transfer-encoding");
    }
    request->content_length = -1;
    if (framing->lengths == 1 && !length_of(framing->length, &request->content_length))
        return refuse(400, "content-length");
    return fine;
}

static struct head_verdict check_meaning(const struct cut_head *head, struct http_request *request,
                                         struct head_facts *facts)
{
    struct framing framing = {0};
    bool http_1_1 = strcmp(head->version, "1.1") == 0;
    gather(request, &framing);
    struct head_verdict verdict = check_framing(&framing, http_1_1, request);
    if (verdict.status != 200)
        return verdict;
    bool sends_body = request->content_length > 0;
    if (sends_body && (request->method & (HTTP_GET | HTTP_HEAD)))
        return refuse(400, "body of a GET");
    if (framing.expects && !busi_str_ieq(framing.expect, BUSI_STR("100-continue")))
        return refuse(417, "expect");
    /* only what CivetWeb's own opinion about the connection cannot differ from */
    facts->keep_alive =
        http_1_1 && (framing.connections == 0 ||
                     (framing.connections == 1 && busi_str_ieq(framing.connection, BUSI_STR("keep-alive"))));
    facts->expects_continue = framing.expects && http_1_1 && sends_body;
    return fine;
}

struct head_verdict head_check(const struct cut_head *head, struct http_request *request,
                               struct head_facts *facts)
{
    struct walk walk = {head->bytes, head->bytes + head->len};
    struct busi_str method;
    request->path = request->query = (struct busi_str){0};
    request->n_headers = 0;
    struct head_verdict verdict = walk_request_line(&walk, head, request, &method);
    const bool read = verdict.status == 200;
    if (read && !head_target_valid(request->path, request->query))
        verdict = refuse(400, "target");
    if (verdict.status != 200) {
        if (!read ||
            !head_target_valid(request->path, BUSI_STR(""))) /* else it says whose shape the error has */
            request->path = (struct busi_str){0};
        return verdict;
    }
    verdict = walk_headers(&walk, head, request);
    if (verdict.status != 200)
        return verdict;
    if (!head_method(method, &request->method))
        return refuse(501, "method");
    return check_meaning(head, request, facts);
}
