/* What Prometheus' client libraries say of every process: memory, descriptors, start time, build. Any thread.
 */
#pragma once
#include "base/buf.h"

/* Milliseconds since this process was made (in the kernel's steps of 10 ms); -1 if /proc does not say. */
int64_t busi_process_age_ms(void);
/* Brings the process_ gauges of proto/metrics.def up to date, then prints every metric and busi_build_info.
 * service is the process's name. */
void busi_process_metrics_print(struct busi_buf *out, const char *service);
