/* Memory lent to libsodium for argon2, so that it does not map and zero fresh pages for every hash. A thread
 * has at most one; all functions are about the calling thread's. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* Address space for the largest hash we compute; pages come with first use. NULL: hashes work without it. */
void *busi_argon_memory_init(void);
void busi_argon_memory_fini(void *memory);
/* Between lend and take back, the mapping of exactly `bytes` that libsodium asks for on this thread is ours.
 * Without memory of this thread, or for more bytes than it has, nothing is lent. */
void busi_argon_memory_lend(size_t bytes);
/* Ends the loan. What lies past the first `keep` bytes goes back to the system. */
void busi_argon_memory_take_back(size_t keep);
/* Gives every page back to the system, which wipes them. */
void busi_argon_memory_release(void);
/* Mappings answered from this thread's memory so far: the test that the trick is at work. */
size_t busi_argon_memory_loans(void);
