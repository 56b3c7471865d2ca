#include "smtp.h"
#include "base/clock.h"
#include "base/text.h"
#include "web/options.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
    REPLIES_MAX_BYTES = 64 * 1024, /* of one mail, all together */
    IDLE_SECONDS = 20,             /* a connection kept longer is not used again: the relay may have left */
    URL_BYTES = 1024,
    QUIT_SECONDS = 2, /* its reply is of no use to us */
    ADDRESS_BYTES = 256,
};

/* How far a mail has come: what a failure means depends on it. */
enum stage { CONNECTING, ENVELOPE, TEXT };

struct smtp_session {
    struct smtp_options options; /* texts are borrowed */
    CURL *curl;                  /* owned; has the connection. NULL: none was needed yet, or it was closed */
    const atomic_bool *leaving;  /* borrowed */
    char error[CURL_ERROR_SIZE]; /* libcurl's words */
    /* of the mail in hand */
    struct busi_str rest; /* of the text, not yet read by libcurl */
    struct busi_str text;
    int64_t until_ms; /* it begins to leave before this; busi_lease_ms() scale */
    enum stage stage;
    size_t replied;                /* bytes of replies */
    char reply[SMTP_REASON_BYTES]; /* last line of a reply */
};

/* ---- what libcurl calls ---- */

static bool must_not_begin(const struct smtp_session *session)
{
    return session->stage != TEXT && (atomic_load(session->leaving) || busi_lease_ms() >= session->until_ms);
}

/* First when the relay has said that it waits for the text. */
static size_t read_text(char *to, size_t size, size_t n, void *arg)
{
    struct smtp_session *session = arg;
    size_t take = size * n < session->rest.len ? size * n : session->rest.len;
    if (must_not_begin(session))
        return CURL_READFUNC_ABORT;
    session->stage = TEXT;
    if (take > 0)
        memcpy(to, session->rest.ptr, take);
    session->rest = (struct busi_str){session->rest.ptr + take, session->rest.len - take};
    return take;
}

static bool is_refusal(char first)
{
    return first == '4' || first == '5';
}

/* Each line of a reply. The last refusal is kept: after one libcurl says QUIT, and that is answered, too.
 * Another count than the one given ends the transfer. */
static size_t hear(char *line, size_t size, size_t n, void *arg)
{
    struct smtp_session *session = arg;
    size_t len = size * n;
    session->replied += len;
    if (session->replied > REPLIES_MAX_BYTES)
        return 0;
    if (len == 0 || (is_refusal(session->reply[0]) && !is_refusal(line[0])))
        return len;
    size_t kept = 0;
    for (size_t i = 0; i < len && kept < sizeof(session->reply) - 1; i++)
        session->reply[kept++] = line[i] >= ' ' && line[i] < 0x7f ? line[i] : ' ';
    while (kept > 0 && session->reply[kept - 1] == ' ')
        kept--;
    session->reply[kept] = 0;
    return len;
}

/* Commands as they are sent: MAIL begins what is about this mail. Nothing of them is kept: AUTH is among
 * them. */
static int watch(CURL *curl, curl_infotype type, char *data, size_t len, void *arg)
{
    struct smtp_session *session = arg;
    (void)curl;
    if (type == CURLINFO_HEADER_OUT && session->stage == CONNECTING &&
        busi_str_starts((struct busi_str){data, len}, BUSI_STR("MAIL FROM:")))
        session->stage = ENVELOPE;
    return 0;
}

/* Asked about once a second. */
static int must_end(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct smtp_session *session = arg;
    (void)a, (void)b, (void)c, (void)d;
    return must_not_begin(session);
}

/* ---- a session ---- */

bool smtp_url_valid(struct busi_str url)
{
    int64_t port = 0;
    size_t scheme = busi_str_starts(url, BUSI_STR("smtps://")) ? 8 : 7;
    if (scheme == 7 && !busi_str_starts(url, BUSI_STR("smtp://")))
        return false;
    struct busi_str host = {url.ptr + scheme, url.len - scheme};
    const char *colon = memchr(host.ptr, ':', host.len);
    if (colon) {
        size_t before = (size_t)(colon - host.ptr);
        if (!busi_str_int((struct busi_str){colon + 1, host.len - before - 1}, &port) || port < 1 ||
            port > UINT16_MAX)
            return false;
        host.len = before;
    }
    for (size_t i = 0; i < host.len; i++) {
        char c = busi_lower(host.ptr[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '.')
            return false;
    }
    return host.len > 0 && host.len <= 253;
}

static bool set_relay(CURL *curl, const struct smtp_options *options)
{
    char url[URL_BYTES], sender[ADDRESS_BYTES];
    /* what stands behind the host is the name said in EHLO */
    int n = snprintf(url, sizeof(url), "%.*s%s%.*s", BUSI_ARG(options->url), options->helo.len > 0 ? "/" : "",
                     BUSI_ARG(options->helo));
    snprintf(sender, sizeof(sender), "<%.*s>", BUSI_ARG(options->sender));
    bool fine = n < (int)sizeof(url) && busi_web_begin(curl, "smtp,smtps") &&
                curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_MAIL_FROM, sender) == CURLE_OK;
    if (options->user.len > 0)
        fine = fine && busi_web_text(curl, CURLOPT_USERNAME, options->user) &&
               busi_web_text(curl, CURLOPT_PASSWORD, options->password);
    if (options->ca_file.len > 0)
        fine = fine && busi_web_text(curl, CURLOPT_CAINFO, options->ca_file);
    if (options->certificate_file.len > 0)
        fine = fine && busi_web_text(curl, CURLOPT_SSLCERT, options->certificate_file) &&
               busi_web_text(curl, CURLOPT_SSLKEY, options->key_file);
    return fine &&
           busi_web_number(curl, CURLOPT_USE_SSL, options->tls_off ? CURLUSESSL_NONE : CURLUSESSL_ALL);
}

static bool set_bounds(CURL *curl, const struct smtp_options *options)
{
    return busi_web_number(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)options->connect_timeout_ms) &&
           busi_web_number(curl, CURLOPT_TIMEOUT_MS, (long)options->timeout_ms) &&
           busi_web_number(curl, CURLOPT_SERVER_RESPONSE_TIMEOUT,
                           (long)((options->timeout_ms + 999) / 1000)) &&
           busi_web_number(curl, CURLOPT_MAXAGE_CONN, IDLE_SECONDS) &&
           busi_web_number(curl, CURLOPT_MAXCONNECTS, 1) &&
           busi_web_number(curl, CURLOPT_MAXLIFETIME_CONN, (long)(options->life_ms / 1000)) &&
           busi_web_number(curl, CURLOPT_DNS_CACHE_TIMEOUT, 0) && /* connections are rare, and names have a
                                                                life of their own */
           busi_web_number(curl, CURLOPT_TCP_KEEPALIVE, 1);
}

static bool set_callbacks(struct smtp_session *session)
{
    CURL *curl = session->curl;
    return curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, session->error) == CURLE_OK &&
           busi_web_number(curl, CURLOPT_UPLOAD, 1) &&
           curl_easy_setopt(curl, CURLOPT_READFUNCTION, read_text) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_READDATA, session) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, hear) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HEADERDATA, session) == CURLE_OK &&
           busi_web_number(curl, CURLOPT_VERBOSE, 1) && /* for watch(), which prints nothing */
           curl_easy_setopt(curl, CURLOPT_DEBUGFUNCTION, watch) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_DEBUGDATA, session) == CURLE_OK &&
           busi_web_number(curl, CURLOPT_NOPROGRESS, 0) &&
           curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, must_end) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_XFERINFODATA, session) == CURLE_OK;
}

struct smtp_session *smtp_session_new(const struct smtp_options *options, const atomic_bool *leaving)
{
    struct smtp_session *session = calloc(1, sizeof(*session));
    if (!session || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) { /* is counted */
        free(session);
        return NULL;
    }
    session->options = *options;
    session->leaving = leaving;
    return session;
}

static bool open_curl(struct smtp_session *session)
{
    if (session->curl)
        return true;
    session->curl = curl_easy_init();
    if (session->curl && set_relay(session->curl, &session->options) &&
        set_bounds(session->curl, &session->options) && set_callbacks(session))
        return true;
    if (session->curl)
        curl_easy_cleanup(session->curl);
    session->curl = NULL;
    return false;
}

/* libcurl keeps a connection on which a reply is still owed, and would take that for the next mail's. */
static void hang_up(struct smtp_session *session)
{
    curl_socket_t fd = CURL_SOCKET_BAD;
    if (curl_easy_getinfo(session->curl, CURLINFO_ACTIVESOCKET, &fd) == CURLE_OK && fd != CURL_SOCKET_BAD)
        shutdown(fd, SHUT_RDWR); /* its QUIT fails at once */
    curl_easy_cleanup(session->curl);
    session->curl = NULL;
}

void smtp_session_rest(struct smtp_session *session)
{
    if (!session->curl)
        return;
    /* QUIT has the timeouts of the transfer begun last: one that cannot even begin brings in shorter ones */
    (void)busi_web_number(session->curl, CURLOPT_SERVER_RESPONSE_TIMEOUT, QUIT_SECONDS);
    (void)curl_easy_setopt(session->curl, CURLOPT_URL, "");
    (void)curl_easy_perform(session->curl);
    curl_easy_cleanup(session->curl);
    session->curl = NULL;
}

void smtp_session_free(struct smtp_session **session)
{
    struct smtp_session *gone = *session;
    if (!gone)
        return;
    smtp_session_rest(gone);
    curl_global_cleanup();
    free(gone);
    *session = NULL;
}

bool smtp_session_connected(const struct smtp_session *session)
{
    return session->curl != NULL;
}

/* ---- a mail ---- */

static long reply_code(const struct smtp_session *session)
{
    long code = 0;
    curl_easy_getinfo(session->curl, CURLINFO_RESPONSE_CODE, &code);
    return code;
}

/* 530, 534, 535, 538: the relay wants other credentials or TLS; not this mail's fault. */
static bool is_about_us(long code)
{
    return code == 530 || code == 534 || code == 535 || code == 538;
}

static enum smtp_outcome outcome_of(const struct smtp_session *session, CURLcode result)
{
    long code = reply_code(session);
    if (result == CURLE_OK)
        return SMTP_SENT;
    if (result == CURLE_ABORTED_BY_CALLBACK)
        return SMTP_GIVEN_UP;
    if (session->stage == CONNECTING || is_about_us(code))
        return SMTP_NO_RELAY;
    /* 503: we and the relay do not talk of the same command */
    return code >= 500 && code < 600 && code != 503 ? SMTP_REFUSED : SMTP_DEFERRED;
}

static void describe(struct smtp_session *session, CURLcode result, struct smtp_report *report)
{
    static const char *const when[] = {"before the mail", "at its envelope", "at its text"};
    report->outcome = outcome_of(session, result);
    report->reason[0] = 0;
    if (report->outcome == SMTP_SENT)
        return;
    if (reply_code(session) >= 400 && session->reply[0])
        snprintf(report->reason, sizeof(report->reason), "%s", session->reply);
    else
        snprintf(report->reason, sizeof(report->reason), "%s: %.150s", when[session->stage],
                 session->error[0] ? session->error : curl_easy_strerror(result));
}

static CURLcode perform(struct smtp_session *session)
{
    session->rest = session->text;
    session->stage = CONNECTING;
    session->replied = 0;
    session->reply[0] = 0;
    session->error[0] = 0;
    return curl_easy_perform(session->curl);
}

/* A connection that was kept may have been closed by the relay, silently or with a 421. */
static bool was_stale(const struct smtp_session *session, CURLcode result)
{
    long connects = 1;
    curl_easy_getinfo(session->curl, CURLINFO_NUM_CONNECTS, &connects);
    long code = reply_code(session);
    return result != CURLE_OK && result != CURLE_ABORTED_BY_CALLBACK && result != CURLE_OPERATION_TIMEDOUT &&
           connects == 0 && session->stage != TEXT && (code < 400 || code == 421);
}

static CURLcode send_mail(struct smtp_session *session, const struct curl_slist *recipient)
{
    if (curl_easy_setopt(session->curl, CURLOPT_MAIL_RCPT, recipient) != CURLE_OK ||
        curl_easy_setopt(session->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)session->text.len) != CURLE_OK)
        return CURLE_OUT_OF_MEMORY;
    CURLcode result = perform(session);
    if (!was_stale(session, result))
        return result;
    (void)busi_web_number(session->curl, CURLOPT_FRESH_CONNECT, 1);
    result = perform(session);
    (void)busi_web_number(session->curl, CURLOPT_FRESH_CONNECT, 0);
    return result;
}

void smtp_send(struct smtp_session *session, struct busi_str recipient, struct busi_str text,
               int64_t until_ms, struct smtp_report *report)
{
    char address[ADDRESS_BYTES];
    snprintf(address, sizeof(address), "<%.*s>", BUSI_ARG(recipient));
    struct curl_slist *list = curl_slist_append(NULL, address);
    if (!list || !open_curl(session)) {
        *report = (struct smtp_report){.outcome = SMTP_NO_RELAY, .reason = "out of memory"};
        curl_slist_free_all(list);
        return;
    }
    session->text = text;
    session->until_ms = until_ms;
    CURLcode result = send_mail(session, list);
    describe(session, result, report);
    if (result != CURLE_OK)
        hang_up(session);
    else
        (void)curl_easy_setopt(session->curl, CURLOPT_MAIL_RCPT, NULL);
    curl_slist_free_all(list);
}
