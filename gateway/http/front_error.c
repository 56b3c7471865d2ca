/* What CivetWeb refuses, or drops, before it asks us. Its own replies repeat the client's bytes in the status
 * line, so the whole reply is ours. */
#include "base/metrics.h"
#include "http/chars.h"
#include "http/front_state.h"
#include "http/front_view.h"
#include "http/head_check.h"
#include "http/head_target.h"
#include <civetweb.h>

/* The path of a head that was never cut: it was too long, or did not end. */
static struct busi_str raw_path(const struct front_view *view)
{
    const char *end = view->buffer + view->received;
    const char *at = memchr(view->buffer, ' ', view->received);
    if (!at || ++at == end)
        return (struct busi_str){0};
    struct busi_str path = {at, 0};
    while (at < end && *at != ' ' && *at != '?' && *at != '\r' && *at != '\n')
        at++;
    path.len = (size_t)(at - path.ptr);
    return at < end && head_target_valid(path, BUSI_STR("")) ? path : (struct busi_str){0};
}

static struct busi_str cut_path(const char *target)
{
    struct busi_str path = {target, strcspn(target, "?")};
    return head_target_valid(path, BUSI_STR("")) ? path : (struct busi_str){0};
}

/* No request line could be read: why? */
static int status_of_rest(const struct front_view *view)
{
    if (view->head_bytes > 0)
        return 400; /* nothing but blank lines */
    for (size_t i = 0; i < view->received; i++) {
        unsigned char c = (unsigned char)view->buffer[i];
        if ((c < 0x20 && c != '\r' && c != '\n') || c == 0x7F)
            return 400;
    }
    if (view->received < view->room)
        return 408;
    const char *line_end = memchr(view->buffer, '\n', view->received);
    return !line_end || line_end - view->buffer >= HEAD_MAX_REQUEST_LINE ? 414 : 431;
}

/* A head came but CivetWeb's parser gave up: because it does not know the method, or because of anything
 * else? */
static int status_of_head(const struct mg_request_info *info)
{
    struct busi_str name = busi_str_of(info->request_method);
    enum http_method method;
    bool version_read = info->http_version &&
                        (strcmp(info->http_version, "1.1") == 0 || strcmp(info->http_version, "1.0") == 0);
    if (!version_read || name.len == 0 || head_method(name, &method))
        return 400;
    for (size_t i = 0; i < name.len; i++)
        if (!chars_is_token(name.ptr[i]))
            return 400;
    return 501;
}

static void answer_unasked(struct front_worker *worker, int status, struct busi_str path,
                           const char *remote_addr)
{
    const struct http_app *app = &worker->front->app;
    struct http_request *request = &worker->request;
    struct http_response response;
    int64_t begun_us = busi_now_us();
    busi_metric_add(BUSI_METRIC_http_refused_head, 1);
    front_request_init(worker, remote_addr);
    front_identify(worker, request);
    front_response_init(worker, &response);
    front_refuse(worker, path, status, &response);
    response.close = true;
    bool sent = front_send(worker, &response);
    app->done(app->state, request, &response, busi_now_us() - begun_us);
    front_response_fini(worker, &response);
    busi_call_fini(&request->call);
    if (sent && status != 408)
        front_linger(worker);
}

int front_on_error(struct mg_connection *connection, int status, const char *text)
{
    struct front_worker *worker = mg_get_thread_pointer(connection);
    const struct mg_request_info *info = mg_get_request_info(connection);
    struct front_view view;
    struct busi_str path = {0};
    (void)text; /* repeats what the client sent */
    mg_disable_connection_keep_alive(connection);
    if (!worker || !info || !front_view_read(connection, &view))
        return 0;
    worker->answered++;
    front_wait_ends(worker);
    if (!info->request_method) {
        status = status_of_rest(&view);
        path = raw_path(&view);
    } else {
        status = status == 505 ? 505 : status == 500 ? 500 : status_of_head(info);
        path = info->request_uri ? cut_path(info->request_uri) : path;
    }
    answer_unasked(worker, status, path, info->remote_addr);
    return 0;
}

/* CivetWeb ends a connection without a word when the target is not for this server ("*", another host's URL).
 */
void front_on_close(const struct mg_connection *connection)
{
    struct front_worker *worker = mg_get_thread_pointer(connection);
    const struct mg_request_info *info = mg_get_request_info(connection);
    struct front_view view;
    if (!worker)
        return;
    if (info && front_view_read(connection, &view) && view.received > 0 && view.requests > worker->answered &&
        worker->socket >= 0)
        answer_unasked(worker, 400, (struct busi_str){0}, info->remote_addr);
    front_wait_ends(worker);
    front_set_socket(worker, worker->front, -1); /* CivetWeb closes it next */
}
