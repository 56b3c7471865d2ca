/* The only place that asks for the time. */
#pragma once
#include <stdint.h>

/* Monotonic, for waits and deadlines. */
int64_t busi_now_ms(void);
int64_t busi_now_us(void);
/* Monotonic, and goes on while the machine sleeps: for what may be trusted only so long. */
int64_t busi_lease_ms(void);
/* Wall clock, microseconds since 1970 UTC, for stamps and token claims. */
int64_t busi_wall_us(void);
