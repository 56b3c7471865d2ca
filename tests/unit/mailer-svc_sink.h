/* The SMTP server of tests/faults/smtp_sink.py as a child process; its modes are told there. */
#pragma once
#include <criterion/criterion.h>
#include <stdint.h>
#include <sys/types.h>

struct sink {
    char folder[64]; /* with its mails, ca.pem, modes */
    char ca[80];
    char url[64]; /* "smtp://127.0.0.1:2525" */
    pid_t pid;
    int input; /* closed: it ends */
};
/* scheme: "smtp" or "smtps". Waits until it listens. */
struct sink sink_start(const char *scheme);
/* Likewise, but at "127.0.0.2:2525"; port 0: any. */
struct sink sink_start_at(const char *scheme, const char *at);
void sink_stop(struct sink *sink);
/* "rcpt 550 no\n" lines; "" for a good server. In force at once. */
void sink_set(const struct sink *sink, const char *modes);
int sink_mails(const struct sink *sink);
/* Name is "1.eml" or "1.envelope"; NUL-terminated, cut at room. */
void sink_read(const struct sink *sink, const char *name, char *text, size_t room);
