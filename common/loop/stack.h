/* Memory for a fiber's stack: whole pages with an inaccessible one below. Private to common/loop. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct busi_stack {
    char *low;            /* lowest usable address; the guard page lies below */
    size_t bytes;         /* usable */
    unsigned valgrind_id; /* of the registration with valgrind */
};

[[nodiscard]] bool busi_stack_map(struct busi_stack *stack, size_t bytes); /* rounds up to pages */
void busi_stack_unmap(struct busi_stack *stack);
/* Gives the memory back to the system, keeps the addresses; contents are lost. */
void busi_stack_trim(struct busi_stack *stack);
