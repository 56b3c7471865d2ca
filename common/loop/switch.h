/* Changing stacks: a context is where a thread of execution stands while another one runs. Assembly on x86-64
 * and AArch64, ucontext elsewhere. The floating-point environment and the signal mask are not switched.
 * Sanitizers are told. Private to common/loop. */
#pragma once
#include "loop/stack.h"
#if !defined(BUSI_SWITCH_UCONTEXT) && !defined(__x86_64__) && !defined(__aarch64__)
#define BUSI_SWITCH_UCONTEXT
#endif
#ifdef BUSI_SWITCH_UCONTEXT
#include <ucontext.h>
#endif

typedef void busi_context_fn(void *arg);

struct busi_context {
    void *sp; /* stack pointer, the saved registers lie there */
#ifdef BUSI_SWITCH_UCONTEXT
    ucontext_t registers; /* saved ones */
#endif
    busi_context_fn *fn;       /* what a made context begins with */
    void *arg;                 /* for fn */
    struct busi_context *from; /* who switched here last */
    const void *low;           /* AddressSanitizer: its stack */
    size_t bytes;              /* AddressSanitizer: its stack */
    void *fake_stack;          /* AddressSanitizer: of stack-use-after-return */
    void *tsan_fiber;          /* ThreadSanitizer's name of it */
};

/* A context that runs fn(arg) on stack when first switched to. fn never returns: it leaves. A context that
 * is only switched away from (the caller's own) needs no making. */
void busi_context_make(struct busi_context *context, const struct busi_stack *stack, busi_context_fn *fn,
                       void *arg);
/* Stores the running context in from and goes on with to. Returns when somebody switches to from. */
void busi_context_switch(struct busi_context *from, struct busi_context *to);
/* The same for the last time: from's stack may be used anew. */
_Noreturn void busi_context_leave(struct busi_context *from, struct busi_context *to);
/* After it has left; from another context. */
void busi_context_drop(struct busi_context *context);
