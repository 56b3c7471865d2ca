/* Memory that was refused. Whoever judges what came from outside cannot always tell "this is wrong" from
 * "there was no room to look at it": arenas, buffers and foreign readers fail alike either way. So refusals
 * are counted, and where a verdict leaves the process it is no verdict if there were some meanwhile. Any
 * thread. */
#pragma once
#include <stdint.h>

/* Notes one: of arenas and buffers by themselves, of a foreign library by who calls it. */
void busi_memory_refused(void);
/* How many there were so far, in the whole process. */
int64_t busi_memory_refusals(void);
