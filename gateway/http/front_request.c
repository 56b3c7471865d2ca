/* One request, from the head CivetWeb has read to the answer written. */
#include "base/log.h"
#include "base/metrics.h"
#include "http/front_state.h"
#include "http/front_view.h"
#include "http/head_check.h"
#include <civetweb.h>

/* What became of a request before the application was asked. */
struct admission {
    int status; /* 200: go on */
    bool keep;  /* the connection may be kept after the answer */
};

void front_request_init(struct front_worker *worker, const char *remote_addr)
{
    struct http_request *request = &worker->request;
    request->method = 0;
    request->path = request->query = request->body = (struct busi_str){0};
    request->n_headers = 0;
    request->remote_addr = busi_str_of(remote_addr);
    request->content_length = -1;
    request->note = NULL;
    request->large = &worker->front->large;
    request->held = 0;
    busi_call_init(&request->call, FRONT_ARENA_MAX);
}

static struct head_verdict check_head(struct front_worker *worker, const struct mg_connection *connection,
                                      struct head_facts *facts)
{
    const struct mg_request_info *info = mg_get_request_info(connection);
    struct front_view view;
    struct cut_header headers[HTTP_MAX_HEADERS];
    if (worker->socket < 0 || !front_view_read(connection, &view))
        return (struct head_verdict){400, "connection"};
    const size_t n = info->num_headers > 0 ? (size_t)info->num_headers : 0;
    for (size_t i = 0; i < n && i < HTTP_MAX_HEADERS; i++)
        headers[i] = (struct cut_header){info->http_headers[i].name, info->http_headers[i].value};
    const struct cut_head head = {.bytes = view.buffer,
                                  .len = view.head_bytes,
                                  .method = info->request_method,
                                  .target = info->request_uri,
                                  .version = info->http_version,
                                  .query = info->query_string,
                                  .headers = headers,
                                  .n_headers = n};
    return head_check(&head, &worker->request, facts);
}

static struct admission admit(struct front_worker *worker, const struct mg_connection *connection,
                              struct head_facts *facts)
{
    struct http_front *front = worker->front;
    struct http_request *request = &worker->request;
    struct head_verdict verdict = check_head(worker, connection, facts);
    if (verdict.status != 200) {
        request->n_headers = 0; /* of a head we do not believe, nothing is used */
        front_identify(worker, request);
        busi_metric_add(BUSI_METRIC_http_refused_head, 1);
        busi_log(BUSI_DEBUG, "head_refused", BUSI_S("request_id", request->call.request_id),
                 BUSI_C("fault", verdict.fault), BUSI_S("remote_addr", request->remote_addr));
        return (struct admission){verdict.status, false};
    }
    front_identify(worker, request);
    if (atomic_load(&front->draining)) {
        request->call.retry_after_ms = FRONT_RETRY_MS;
        return (struct admission){503, false};
    }
    if (request->content_length > 0 &&
        request->content_length > front->app.body_limit(front->app.state, request))
        return (struct admission){413, false};
    if (!front_hold_body(request)) {
        request->call.retry_after_ms = FRONT_RETRY_MS;
        return (struct admission){503, false};
    }
    return (struct admission){200, facts->keep_alive && !front_is_crowded(front) &&
                                       !atomic_load_explicit(&front->parting, memory_order_relaxed)};
}

/* 200, or what to answer. */
static int read_body(struct front_worker *worker, struct mg_connection *connection, char **owned)
{
    switch (front_read_body(worker, connection, owned)) {
    case FRONT_BODY_WHOLE:
        return 200;
    case FRONT_BODY_STALLED:
        return 408;
    case FRONT_BODY_NO_MEMORY:
        worker->request.call.retry_after_ms = FRONT_RETRY_MS;
        return 503;
    case FRONT_BODY_BROKEN:
        break;
    }
    return 400;
}

static void answer(struct front_worker *worker, struct http_response *response)
{
    struct http_front *front = worker->front;
    struct http_request *request = &worker->request;
    /* nothing is begun for a client that may have left while we stood still */
    request->call.until_ms = busi_now_ms() + front->work_timeout_ms - front_waited_ms(front);
    request->call.client_fd = worker->socket;
    front->app.answer(front->app.state, request, response);
    if (response->body.failed)
        front_refuse(worker, request->path, 500, response);
}

static int serve(struct front_worker *worker, struct mg_connection *connection, int64_t begun_us)
{
    struct http_front *front = worker->front;
    struct http_request *request = &worker->request;
    struct http_response response;
    struct head_facts facts = {0};
    char *owned = NULL;
    front_request_init(worker, mg_get_request_info(connection)->remote_addr);
    front_response_init(worker, &response);
    struct admission admission = admit(worker, connection, &facts);
    bool unread = admission.status != 200; /* the client may still be sending */
    if (admission.status == 200 && request->content_length > 0) {
        if (facts.expects_continue)
            front_send_continue(worker);
        admission.status = read_body(worker, connection, &owned);
    }
    if (admission.status == 200)
        answer(worker, &response);
    else
        front_refuse(worker, request->path, admission.status, &response);
    response.close |= !admission.keep || admission.status != 200;
    if (!front_send(worker, &response) || response.close)
        mg_disable_connection_keep_alive(connection);
    front->app.done(front->app.state, request, &response, busi_now_us() - begun_us);
    const int status = response.status;
    front_wipe_body(request, owned);
    front_response_fini(worker, &response);
    busi_call_fini(&request->call);
    (void)!http_hold(request, 0);
    if (unread)
        front_linger(worker);
    return status;
}

int front_on_request(struct mg_connection *connection)
{
    struct front_worker *worker = mg_get_thread_pointer(connection);
    if (!worker) {
        mg_disable_connection_keep_alive(connection);
        return 503;
    }
    struct http_front *front = worker->front;
    /* Who comes during the drain is refused and not waited for: else those who come back at once could hold
     * it up. All others are counted before admit() looks: it and the drain cannot both miss the other. */
    bool counts = !atomic_load(&front->draining);
    if (counts)
        atomic_fetch_add(&front->busy, 1);
    worker->answered++;
    front_wait_ends(worker);
    int status = serve(worker, connection, busi_now_us());
    if (counts)
        atomic_fetch_sub(&front->busy, 1);
    return status;
}
