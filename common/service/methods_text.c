#include "service/methods_text.h"
#include "rpc/describe.h"

enum { DESCRIPTION_MAX_BYTES = 4 * 1024 * 1024 };

static void put_method(struct busi_buf *out, const struct busi_method_info *method)
{
    busi_buf_printf(out, "%.*s\n    %.*s -> %.*s, %s, %lld ms\n", BUSI_ARG(method->method),
                    BUSI_ARG(method->request), BUSI_ARG(method->reply),
                    method->idempotent ? "may be repeated" : "once", (long long)method->timeout_ms);
}

static void put_field(struct busi_buf *out, const struct busi_field_info *field)
{
    busi_buf_printf(out, "%4lld %-18.*s %.*s", (long long)field->number, BUSI_ARG(field->name),
                    BUSI_ARG(field->type));
    if (field->message.ptr)
        busi_buf_printf(out, " of %.*s", BUSI_ARG(field->message));
    if (field->limit > 0)
        busi_buf_printf(out, ", at most %lld", (long long)field->limit);
    busi_buf_printf(out, "%s\n", field->required ? ", required" : "");
}

static void put_message(struct busi_buf *out, const struct busi_message_info *message)
{
    busi_buf_printf(out, "\n%.*s\n%s", BUSI_ARG(message->name),
                    message->fields.n == 0 ? "    nothing\n" : "");
    for (size_t i = 0; i < message->fields.n; i++)
        put_field(out, &message->fields.items[i]);
}

void busi_methods_text(struct busi_buf *out, const struct busi_endpoint *endpoints, size_t n)
{
    struct busi_arena arena;
    struct busi_describe_reply all = {0};
    busi_arena_init(&arena, DESCRIPTION_MAX_BYTES);
    out->failed |= !busi_describe(endpoints, n, &arena, &all);
    for (size_t i = 0; i < all.methods.n; i++)
        put_method(out, &all.methods.items[i]);
    for (size_t i = 0; i < all.messages.n; i++)
        put_message(out, &all.messages.items[i]);
    busi_arena_fini(&arena);
}
