#include "rpc/call.h"

void busi_call_init(struct busi_call *call, size_t arena_bytes)
{
    *call = (struct busi_call){0};
    busi_arena_init(&call->arena, arena_bytes);
}

void busi_call_fini(struct busi_call *call)
{
    busi_arena_fini(&call->arena);
    *call = (struct busi_call){0};
}

int64_t busi_call_left_ms(const struct busi_call *call)
{
    int64_t left = call->until_ms - busi_now_ms();
    return left > 0 ? left : 0;
}

void busi_call_refuse(struct busi_call *call, const char *field, enum busi_rule rule, int64_t limit)
{
    if (call->n_violations == sizeof call->violations / sizeof *call->violations)
        return;
    call->violations[call->n_violations++] =
        (struct busi_violation){.field = busi_str_of(field), .rule = rule, .limit = limit};
}
