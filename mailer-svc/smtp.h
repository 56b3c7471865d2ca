/* One connection to an SMTP relay (libcurl), kept between mails. Blocking: for busi_offload's threads, one
 * thread at a time. TLS is verified; replies are bounded in size and time. */
#pragma once
#include "base/str.h"
#include <stdatomic.h>

struct smtp_options {
    struct busi_str url;              /* smtp://host:port or smtps://host:port */
    struct busi_str user;             /* empty: no AUTH */
    struct busi_str password;         /* with user */
    struct busi_str ca_file;          /* what is trusted; empty: the system's */
    struct busi_str certificate_file; /* shown to a relay that asks; empty: none */
    struct busi_str key_file;         /* with certificate_file */
    struct busi_str helo;             /* name said in EHLO; empty: the host's */
    struct busi_str sender;           /* envelope sender: a valid address */
    bool tls_off;                     /* smtp:// stays in the clear; otherwise STARTTLS must succeed */
    int64_t connect_timeout_ms;       /* until the relay takes commands: TCP, TLS, greeting, AUTH */
    int64_t timeout_ms;               /* of one mail, that included */
    int64_t life_ms; /* of a connection, however busy: the relay's name may mean another host by then. Whole
                        seconds */
};
/* Whether the url is understood. */
bool smtp_url_valid(struct busi_str url);

struct smtp_session;
/* Does not connect. The options' texts and leaving are borrowed: once leaving is set (by any thread), a mail
 * whose text is not on its way is given up within a second. NULL: out of memory. */
[[nodiscard]] struct smtp_session *smtp_session_new(const struct smtp_options *options,
                                                    const atomic_bool *leaving);
void smtp_session_free(struct smtp_session **session);
/* Says QUIT if a connection is open; waits for its answer at most two seconds. */
void smtp_session_rest(struct smtp_session *session);
bool smtp_session_connected(const struct smtp_session *session);

enum smtp_outcome {
    SMTP_SENT,
    SMTP_REFUSED,  /* 5xx about this mail: never */
    SMTP_DEFERRED, /* 4xx, or the connection was lost over this mail: another time */
    SMTP_NO_RELAY, /* it never came to this mail: no connection, TLS, AUTH, greeting; others would fare no
                      better */
    SMTP_GIVEN_UP  /* leaving, or until_ms */
};
enum { SMTP_REASON_BYTES = 200 };
struct smtp_report {
    enum smtp_outcome outcome;
    char reason[SMTP_REASON_BYTES]; /* the relay's words, or libcurl's; printable. "" when sent */
};
/* To exactly one recipient, a valid address. text is as mail_render() makes it: CRLF, at most 998 bytes a
 * line, and begins to leave before until_ms (busi_lease_ms() scale) or not at all. Takes at most twice
 * timeout_ms: a connection that was kept and found dead is made anew once. */
void smtp_send(struct smtp_session *session, struct busi_str recipient, struct busi_str text,
               int64_t until_ms, struct smtp_report *report);
