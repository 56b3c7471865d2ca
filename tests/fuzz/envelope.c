/* Any bytes as a request and as a reply. What is taken keeps every bound, and its body decodes or is refused.
 */
#include "rpc/envelope.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(struct busi_str part, struct busi_str frame)
{
    if (part.ptr && (part.ptr < frame.ptr || part.len > (size_t)(frame.ptr + frame.len - part.ptr)))
        abort();
}

static void decode_body(struct busi_str body, const struct busi_desc *desc, void *message,
                        struct busi_arena *arena)
{
    struct busi_reader reader;
    const char *bad = NULL;
    busi_reader_init(&reader, body.ptr, body.len);
    if (!busi_decode(&reader, desc, message, arena, &bad) && !bad)
        abort();
}

static void request(struct busi_str frame, struct busi_arena *arena)
{
    struct busi_request_head head;
    const char *bad = NULL;
    if (!busi_request_decode(frame, &head, &bad)) {
        if (!bad)
            abort();
        return;
    }
    check_inside(head.method, frame);
    check_inside(head.request_id, frame);
    check_inside(head.traceparent, frame);
    check_inside(head.idempotency_key, frame);
    check_inside(head.body, frame);
    check_inside(head.origin.remote_addr, frame);
    check_inside(head.origin.user_agent, frame);
    check_inside(head.origin.language, frame);
    if (head.id == 0 || head.budget_ms < 0 || head.budget_ms > 30000 || head.user_id < 0 ||
        head.method.len > 64 || head.request_id.len > 64 || head.idempotency_key.len > 255 ||
        head.origin.remote_addr.len > 45 || head.origin.user_agent.len > 512 ||
        head.origin.language.len > 35 || (head.traceparent.ptr && head.traceparent.len != 55))
        abort();
    struct busi_sign_in_request sign_in = {0};
    struct busi_enqueue_mail_request mail = {0};
    struct busi_cancel_request cancel = {0};
    decode_body(head.body, busi_desc_sign_in_request(), &sign_in, arena);
    decode_body(head.body, busi_desc_enqueue_mail_request(), &mail, arena);
    decode_body(head.body, busi_desc_cancel_request(), &cancel, arena);
}

static void reply(struct busi_str frame, struct busi_arena *arena)
{
    struct busi_reply_head head;
    const char *bad = NULL;
    if (!busi_reply_decode(frame, &head, &bad)) {
        if (!bad)
            abort();
        return;
    }
    check_inside(head.message, frame);
    check_inside(head.violations, frame);
    check_inside(head.quota, frame);
    check_inside(head.body, frame);
    if (head.code < 0 || head.code > 255 || head.message.len > 256 || head.retry_after_ms < 0)
        abort();
    if (head.id != 0 && head.code == BUSI_OK) {
        struct busi_list_businesses_reply list = {0};
        struct busi_health_reply health = {0};
        struct busi_describe_reply describe = {0};
        decode_body(head.body, busi_desc_list_businesses_reply(), &list, arena);
        decode_body(head.body, busi_desc_health_reply(), &health, arena);
        decode_body(head.body, busi_desc_describe_reply(), &describe, arena);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* of exactly their size, so that a byte read past the end is seen */
    char *copy = malloc(size ? size : 1);
    if (!copy)
        return 0;
    memcpy(copy, data, size);
    struct busi_arena arena;
    busi_arena_init(&arena, 16 << 20);
    request((struct busi_str){copy, size}, &arena);
    reply((struct busi_str){copy, size}, &arena);
    busi_arena_fini(&arena);
    free(copy);
    return 0;
}
