/* The relay's name means another host from one moment on. */
#define _GNU_SOURCE /* unshare */
#include "base/clock.h"
#include "dns_server.h"
#include "mailer-svc_sink.h"
#include "smtp.h"
#include <signal.h>

enum { TIMEOUT_MS = 3000, LIFE_MS = 1000, STEP_MS = 50 };
#define SLACK_MS 2500 /* libcurl counts whole seconds */

static struct sink old, new;
static struct smtp_options options;
static struct smtp_session *session;
static struct smtp_report report;
static atomic_bool leaving;
static char url[64];

/* "changes.test" is 127.0.100.1 to .3 first, and 127.0.101.1 to .3 then. */
static void begin(void)
{
    char at[32];
    dns_start();
    old = sink_start_at("smtp", "127.0.100.2:0");
    const char *port = strrchr(old.url, ':') + 1;
    snprintf(at, sizeof(at), "127.0.101.2:%s", port);
    new = sink_start_at("smtp", at);
    snprintf(url, sizeof(url), "smtp://changes.test:%s", port);
    options = (struct smtp_options){.url = busi_str_of(url),
                                    .helo = BUSI_STR("busi.test"),
                                    .sender = BUSI_STR("no-reply@busi.test"),
                                    .tls_off = true,
                                    .connect_timeout_ms = TIMEOUT_MS,
                                    .timeout_ms = TIMEOUT_MS,
                                    .life_ms = LIFE_MS};
    session = smtp_session_new(&options, &leaving);
    cr_assert_not_null(session);
}

static void end(void)
{
    smtp_session_free(&session);
    sink_stop(&old);
    sink_stop(&new);
}

TestSuite(smtp_names, .init = begin, .fini = end, .timeout = 60);

static enum smtp_outcome send_one(void)
{
    smtp_send(session, BUSI_STR("ann@example.com"), BUSI_STR("Subject: x\r\n\r\nhello\r\n"), INT64_MAX,
              &report);
    return report.outcome;
}

/* Both are there, and the connection never rests: it must not keep to the host of yesterday. */
Test(smtp_names, a_busy_connection_follows_the_relays_name)
{
    int sent = 1;
    cr_assert_eq(send_one(), SMTP_SENT, "%s", report.reason);
    cr_expect_eq(sink_mails(&old), 1);
    atomic_store(&dns_round, 1);
    for (int64_t until_ms = busi_now_ms() + LIFE_MS + SLACK_MS; sink_mails(&new) == 0; sent++) {
        cr_assert_lt(busi_now_ms(), until_ms, "mails still go where the relay was");
        cr_expect_eq(send_one(), SMTP_SENT, "%s", report.reason);
        usleep(STEP_MS * 1000);
    }
    cr_expect_gt(sink_mails(&old), 1, "a connection is kept for a while");
    cr_expect_eq(sink_mails(&old) + sink_mails(&new), sent);
}

Test(smtp_names, a_relay_that_moved_is_found_by_the_next_mail)
{
    cr_assert_eq(send_one(), SMTP_SENT, "%s", report.reason);
    atomic_store(&dns_round, 1);
    kill(old.pid, SIGKILL);
    usleep(200000);
    cr_expect_eq(send_one(), SMTP_SENT, "%s", report.reason);
    cr_expect_eq(sink_mails(&new), 1);
}
