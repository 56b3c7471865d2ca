#include "loop/switch.h"
#include <stdint.h>
#include <stdlib.h>

#if !defined(__has_feature)
#define __has_feature(feature) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define WITH_ASAN
#endif
#if defined(__SANITIZE_THREAD__) || __has_feature(thread_sanitizer)
#include <sanitizer/tsan_interface.h>
#define WITH_TSAN
#endif

/* Sanitizers keep a picture of the stack; these four keep it right. Nothing without a sanitizer. */

static void before_switch(struct busi_context *from, struct busi_context *to, bool leaving)
{
    to->from = from;
    (void)leaving;
#ifdef WITH_ASAN
    __sanitizer_start_switch_fiber(leaving ? NULL : &from->fake_stack, to->low, to->bytes);
#endif
#ifdef WITH_TSAN
    if (!leaving)
        from->tsan_fiber = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(to->tsan_fiber, 0);
#endif
}

static void after_switch(struct busi_context *self)
{
    (void)self;
#ifdef WITH_ASAN
    __sanitizer_finish_switch_fiber(self->fake_stack, &self->from->low, &self->from->bytes);
#endif
}

static void sanitizers_make(struct busi_context *context, const struct busi_stack *stack)
{
    context->low = stack->low;
    context->bytes = stack->bytes;
    context->fake_stack = NULL;
#ifdef WITH_ASAN
    __asan_unpoison_memory_region(stack->low, stack->bytes); /* frames that never returned */
#endif
#ifdef WITH_TSAN
    context->tsan_fiber = __tsan_create_fiber(0);
#endif
}

void busi_context_drop(struct busi_context *context)
{
    (void)context;
#ifdef WITH_TSAN
    __tsan_destroy_fiber(context->tsan_fiber);
    context->tsan_fiber = NULL;
#endif
}

/* First frame of a made context. No locals: under AddressSanitizer they would be poisoned, and this frame
 * never returns to clear that. */
[[gnu::used]] _Noreturn void busi_context_begin(struct busi_context *self);
_Noreturn void busi_context_begin(struct busi_context *self)
{
    after_switch(self);
    self->fn(self->arg);
    abort();
}

#ifdef BUSI_SWITCH_UCONTEXT

static void begin(unsigned high, unsigned low)
{
    busi_context_begin((struct busi_context *)(((uintptr_t)high << 16 << 16) | low));
}

static void registers_make(struct busi_context *context, const struct busi_stack *stack)
{
    uintptr_t self = (uintptr_t)context;
    if (getcontext(&context->registers) != 0)
        abort();
    context->registers.uc_stack.ss_sp = stack->low;
    context->registers.uc_stack.ss_size = stack->bytes;
    context->registers.uc_link = NULL;
    makecontext(&context->registers, (void (*)(void))begin, 2, (unsigned)(self >> 16 >> 16), (unsigned)self);
}

static void registers_switch(struct busi_context *from, struct busi_context *to)
{
    if (swapcontext(&from->registers, &to->registers) != 0)
        abort();
}

#else

/* Saves what the ABI lets the callee keep on the stack, its pointer in *save_sp, and takes all of it back
 * from load_sp. */
void busi_switch_stacks(void **save_sp, void *load_sp);
void busi_switch_begin(
    void); /* where a made context starts: passes a kept register to busi_context_begin() */

#if defined(__x86_64__)
enum { SAVED_WORDS = 7, SELF_WORD = 3, RETURN_WORD = 6 }; /* r15 r14 r13 r12 rbx rbp rip */

__asm__(".text\n"
        ".p2align 4\n"
        ".globl busi_switch_stacks\n"
        ".hidden busi_switch_stacks\n"
        ".type busi_switch_stacks, @function\n"
        "busi_switch_stacks:\n"
        "    .cfi_startproc\n"
        "    endbr64\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    .cfi_def_cfa %rsp, 56\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    .cfi_def_cfa %rsp, 8\n"
        "    ret\n"
        "    .cfi_endproc\n"
        ".size busi_switch_stacks, .-busi_switch_stacks\n"
        ".p2align 4\n"
        ".globl busi_switch_begin\n"
        ".hidden busi_switch_begin\n"
        ".type busi_switch_begin, @function\n"
        "busi_switch_begin:\n"
        "    .cfi_startproc\n"
        "    .cfi_undefined %rip\n" /* debuggers stop here */
        "    endbr64\n"
        "    movq %r12, %rdi\n"
        "    call busi_context_begin\n"
        "    ud2\n"
        "    .cfi_endproc\n"
        ".size busi_switch_begin, .-busi_switch_begin\n");

#else
enum { SAVED_WORDS = 20, SELF_WORD = 0, RETURN_WORD = 11 }; /* x19-x28 x29 x30 d8-d15 */

__asm__(".text\n"
        ".p2align 4\n"
        ".globl busi_switch_stacks\n"
        ".hidden busi_switch_stacks\n"
        ".type busi_switch_stacks, %function\n"
        "busi_switch_stacks:\n"
        "    .cfi_startproc\n"
        "    hint #34\n" /* bti c */
        "    sub sp, sp, #160\n"
        "    stp x19, x20, [sp, #0]\n"
        "    stp x21, x22, [sp, #16]\n"
        "    stp x23, x24, [sp, #32]\n"
        "    stp x25, x26, [sp, #48]\n"
        "    stp x27, x28, [sp, #64]\n"
        "    stp x29, x30, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n"
        "    stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n"
        "    stp d14, d15, [sp, #144]\n"
        "    mov x9, sp\n"
        "    str x9, [x0]\n"
        "    mov sp, x1\n"
        "    ldp x19, x20, [sp, #0]\n"
        "    ldp x21, x22, [sp, #16]\n"
        "    ldp x23, x24, [sp, #32]\n"
        "    ldp x25, x26, [sp, #48]\n"
        "    ldp x27, x28, [sp, #64]\n"
        "    ldp x29, x30, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n"
        "    ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n"
        "    ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #160\n"
        "    ret\n"
        "    .cfi_endproc\n"
        ".size busi_switch_stacks, .-busi_switch_stacks\n"
        ".p2align 4\n"
        ".globl busi_switch_begin\n"
        ".hidden busi_switch_begin\n"
        ".type busi_switch_begin, %function\n"
        "busi_switch_begin:\n"
        "    .cfi_startproc\n"
        "    .cfi_undefined x30\n" /* debuggers stop here */
        "    hint #36\n"           /* bti j */
        "    mov x0, x19\n"
        "    bl busi_context_begin\n"
        "    brk #1\n"
        "    .cfi_endproc\n"
        ".size busi_switch_begin, .-busi_switch_begin\n");
#endif

static void registers_make(struct busi_context *context, const struct busi_stack *stack)
{
    /* after the words are taken back the stack pointer is a multiple of 16, as a call wants it */
    uintptr_t top = ((uintptr_t)stack->low + stack->bytes) & ~(uintptr_t)15;
    void **sp = (void **)(top - 16) - (SAVED_WORDS + SAVED_WORDS % 2);
    sp += SAVED_WORDS % 2;
    for (size_t i = 0; i < SAVED_WORDS; i++)
        sp[i] = NULL;
    sp[SELF_WORD] = context;
    sp[RETURN_WORD] = (void *)(uintptr_t)busi_switch_begin;
    context->sp = sp;
}

static void registers_switch(struct busi_context *from, struct busi_context *to)
{
    busi_switch_stacks(&from->sp, to->sp);
}

#endif

void busi_context_make(struct busi_context *context, const struct busi_stack *stack, busi_context_fn *fn,
                       void *arg)
{
    context->fn = fn;
    context->arg = arg;
    sanitizers_make(context, stack);
    registers_make(context, stack);
}

void busi_context_switch(struct busi_context *from, struct busi_context *to)
{
    before_switch(from, to, false);
    registers_switch(from, to);
    after_switch(from);
}

void busi_context_leave(struct busi_context *from, struct busi_context *to)
{
    before_switch(from, to, true);
    registers_switch(from, to);
    abort();
}
