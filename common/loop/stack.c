#include "loop/stack.h"
#include <sys/mman.h>
#include <unistd.h>
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define VALGRIND_STACK_REGISTER(low, high) 0
#define VALGRIND_STACK_DEREGISTER(id) (void)(id)
#endif

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

bool busi_stack_map(struct busi_stack *stack, size_t bytes)
{
    size_t page = page_bytes();
    if (bytes > SIZE_MAX / 2)
        return false;
    bytes = (bytes + page - 1) / page * page;
    char *all =
        mmap(NULL, page + bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    if (all == MAP_FAILED)
        return false;
    if (mprotect(all + page, bytes, PROT_READ | PROT_WRITE) != 0) {
        munmap(all, page + bytes);
        return false;
    }
    *stack = (struct busi_stack){.low = all + page, .bytes = bytes};
    stack->valgrind_id = VALGRIND_STACK_REGISTER(stack->low, stack->low + bytes - 1);
    return true;
}

void busi_stack_unmap(struct busi_stack *stack)
{
    size_t page = page_bytes();
    VALGRIND_STACK_DEREGISTER(stack->valgrind_id);
    munmap(stack->low - page, page + stack->bytes);
    *stack = (struct busi_stack){0};
}

void busi_stack_trim(struct busi_stack *stack)
{
    madvise(stack->low, stack->bytes, MADV_DONTNEED);
}
