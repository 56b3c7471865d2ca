/* A real front on a port of its own with a small application, and a client that speaks raw bytes. One per
 * test: Criterion forks. */
#pragma once
#include "http/http.h"
#include "service/settings.h"
#include <criterion/criterion.h>
#include <stdatomic.h>

enum { HEAD_MS = 400, BODY_MS = 500, BODY_LIMIT = 100000, BIG_BYTES = 12 << 20, THREADS = 10 };
enum { LARGE_BYTES = 600000 }; /* http_large_memory: bodies get half, so one of BODY_LIMIT at a time */

#define HOST "Host: localhost\r\n"
#define GET "GET /a HTTP/1.1\r\n" HOST
#define POST "POST /a HTTP/1.1\r\n" HOST
#define BEHIND "GET /behind HTTP/1.1\r\n" HOST "\r\n"

extern struct http_front *front;
extern struct busi_settings settings;
extern atomic_int answered;   /* requests the application was asked to answer */
extern atomic_int done_calls; /* answers it was told of */
extern char last_trace[64];   /* traceparent of the last one */

/* For a suite's init and fini. The application answers "path|query|body"; /slow after 300 ms, /big with
 * BIG_BYTES, /empty with 204, /busy with 503, /secret with headers. */
void start_front(void);
void stop_front(void);
struct http_front *open_front(const char **error);

/* A connection; by a socket that is there. */
int dial(void);
void dial_with(int s);
void say_bytes(int s, const void *bytes, size_t n);
void say(int s, const char *text);
/* Fills got until the front closes (was_closed), or was silent for so long. A reset is a close too. */
void hear(int s, int silence_ms);
/* Says and hears on a connection of its own. */
void ask(const char *text);

/* What was heard last. */
extern char got[];
extern size_t got_len;
extern bool was_closed;
const char *statuses(void); /* "200 400" */
const char *body(void);     /* of the first answer, and all behind it */
void expect_header(const char *line);
void expect_no_header(const char *name);
/* One refusal, the connection ended, and what stood behind it was not answered. */
void expect_refused(int status, const char *head);
