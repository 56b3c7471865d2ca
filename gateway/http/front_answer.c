/* Answers: one head, one write. Nothing a client sent is in it but a checked request id. */
#include "http/front_state.h"
#include "http/status.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

void front_response_init(struct front_worker *worker, struct http_response *response)
{
    response->status = 500;
    response->content_type = NULL;
    response->body = worker->body; /* lent for one answer */
    response->n_headers = 0;
    response->language = 0;
    response->max_age_s = 0;
    response->site = NULL;
    response->no_store = response->close = false;
    worker->body.ptr = NULL;
    worker->body.len = worker->body.room = 0;
}

void front_response_fini(struct front_worker *worker, struct http_response *response)
{
    if (response->no_store && response->body.ptr)
        explicit_bzero(response->body.ptr, response->body.len);
    if (response->body.room > FRONT_KEPT_BYTES || response->body.failed)
        busi_buf_fini(&response->body);
    busi_buf_clear(&response->body);
    worker->body = response->body;
}

void front_refuse(struct front_worker *worker, struct busi_str path, int status,
                  struct http_response *response)
{
    const struct http_app *app = &worker->front->app;
    busi_buf_clear(&response->body);
    response->status = status;
    response->content_type = NULL;
    response->n_headers = 0;
    app->refuse(app->state, &worker->request, path, response);
    response->status = status;
}

/* ---- the head ---- */

struct writer {
    char *at, *end;
    bool failed; /* did not fit */
};

static void put(struct writer *out, struct busi_str s)
{
    if (out->failed || (size_t)(out->end - out->at) < s.len) {
        out->failed = true;
        return;
    }
    if (s.len > 0)
        memcpy(out->at, s.ptr, s.len);
    out->at += s.len;
}

static void put_number(struct writer *out, uint64_t n)
{
    char digits[20];
    size_t i = sizeof(digits);
    do
        digits[--i] = (char)('0' + n % 10);
    while (n /= 10);
    put(out, (struct busi_str){digits + i, sizeof(digits) - i});
}

static void put_header(struct writer *out, struct busi_str name, struct busi_str value)
{
    put(out, name);
    put(out, BUSI_STR(": "));
    put(out, value);
    put(out, BUSI_STR("\r\n"));
}

static struct busi_str date_of(struct front_worker *worker)
{
    time_t now = (time_t)(busi_wall_us() / 1000000);
    struct tm utc;
    if (now != worker->date_s && gmtime_r(&now, &utc)) {
        strftime(worker->date, sizeof(worker->date), "%a, %d %b %Y %H:%M:%S GMT", &utc);
        worker->date_s = now;
    }
    return busi_str_of(worker->date);
}

static bool has_length(int status)
{
    return status != 204 && status != 304;
}

static void put_retry_after(struct writer *out, const struct http_response *response, int64_t retry_after_ms)
{
    if (retry_after_ms <= 0 || (response->status != 503 && response->status != 429))
        return;
    put(out, BUSI_STR("Retry-After: "));
    put_number(out, (uint64_t)(retry_after_ms + 999) / 1000);
    put(out, BUSI_STR("\r\n"));
}

static void put_cache_control(struct writer *out, const struct http_response *response)
{
    put(out, BUSI_STR("\r\nCache-Control: "));
    if (response->max_age_s > 0) {
        put(out, BUSI_STR("public, max-age="));
        put_number(out, (uint64_t)response->max_age_s);
    } else {
        put(out, response->no_store ? BUSI_STR("no-store") : BUSI_STR("max-age=0, private, must-revalidate"));
    }
}

static struct busi_str write_head(struct front_worker *worker, const struct http_response *response)
{
    const struct busi_call *call = &worker->request.call;
    struct writer out = {worker->head, worker->head + sizeof(worker->head), false};
    put(&out, BUSI_STR("HTTP/1.1 "));
    put_number(&out, (uint64_t)response->status);
    put(&out, BUSI_STR(" "));
    put(&out, busi_str_of(status_phrase(response->status)));
    put(&out, BUSI_STR("\r\nDate: "));
    put(&out, date_of(worker));
    if (response->content_type) {
        put(&out, BUSI_STR("\r\nContent-Type: "));
        put(&out, busi_str_of(response->content_type));
    }
    if (has_length(response->status)) {
        put(&out, BUSI_STR("\r\nContent-Length: "));
        put_number(&out, response->body.len);
    }
    put(&out, BUSI_STR("\r\nX-Request-Id: "));
    put(&out, call->request_id);
    put_cache_control(&out, response);
    put(&out, BUSI_STR("\r\nX-Content-Type-Options: nosniff\r\n"));
    for (size_t i = 0; i < response->n_headers; i++)
        put_header(&out, response->headers[i].name, response->headers[i].value);
    put_retry_after(&out, response, call->retry_after_ms);
    if (response->close)
        put(&out, BUSI_STR("Connection: close\r\n"));
    put(&out, BUSI_STR("\r\n"));
    return out.failed ? (struct busi_str){0}
                      : (struct busi_str){worker->head, (size_t)(out.at - worker->head)};
}

/* ---- the write ---- */

static bool wait_for_room(const struct front_worker *worker, int64_t *until_ms)
{
    if (*until_ms == 0)
        *until_ms = busi_now_ms() + worker->front->answer_timeout_ms;
    for (;;) {
        int64_t left_ms = *until_ms - busi_now_ms();
        if (left_ms <= 0)
            return false;
        struct pollfd wait = {.fd = worker->socket, .events = POLLOUT};
        int ready = poll(&wait, 1, (int)left_ms);
        if (ready > 0)
            return true;
        if (ready < 0 && errno != EINTR)
            return false;
    }
}

/* Past n bytes that were taken. */
static void step(struct iovec parts[2], size_t n)
{
    for (size_t i = 0; i < 2 && n > 0; i++) {
        size_t taken = n < parts[i].iov_len ? n : parts[i].iov_len;
        if (taken == 0)
            continue;
        parts[i].iov_base = (char *)parts[i].iov_base + taken;
        parts[i].iov_len -= taken;
        n -= taken;
    }
}

/* Directly to the socket: CivetWeb's own write has no total deadline and throws answers away while it stops.
 */
static bool send_all(const struct front_worker *worker, struct busi_str head, struct busi_str body)
{
    struct iovec parts[2] = {{(void *)(uintptr_t)head.ptr, head.len},
                             {(void *)(uintptr_t)body.ptr, body.len}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    int64_t until_ms = 0;
    if (worker->socket < 0)
        return false;
    while (parts[0].iov_len + parts[1].iov_len > 0) {
        ssize_t n = sendmsg(worker->socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            if (!wait_for_room(worker, &until_ms))
                return false;
            continue;
        }
        if (n < 0)
            return false;
        step(parts, (size_t)n);
    }
    return true;
}

void front_send_continue(const struct front_worker *worker)
{
    (void)send_all(worker, BUSI_STR("HTTP/1.1 100 Continue\r\n\r\n"), BUSI_STR(""));
}

bool front_send(struct front_worker *worker, struct http_response *response)
{
    struct busi_str head = write_head(worker, response);
    if (!head.ptr) { /* the application's headers are too long */
        front_refuse(worker, worker->request.path, 500, response);
        head = write_head(worker, response);
    }
    bool with_body = has_length(response->status) && worker->request.method != HTTP_HEAD;
    return head.ptr && send_all(worker, head,
                                with_body ? (struct busi_str){response->body.ptr, response->body.len}
                                          : (struct busi_str){0});
}
