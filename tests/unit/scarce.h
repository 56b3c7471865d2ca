/* Memory that is refused on purpose: to all that is linked into the test, of any thread, but not to shared
 * libraries (their malloc() is not ours: CMakeLists.txt, --wrap). */
#pragma once
#include <stdint.h>

/* Of the allocations from here on n are refused, from the first-th on. */
void scarce_begin(int64_t first, int64_t n);
/* None is any more. How many were. */
int64_t scarce_end(void);
