/* A relay whose name a server does not tell. */
#define _GNU_SOURCE /* unshare */
#include "base/clock.h"
#include "dns_server.h"
#include "smtp.h"

TestSuite(smtp_silent_names, .init = dns_start, .timeout = 60);

/* Silence of the name server lasts four seconds here, and may last half a minute. */
Test(smtp_silent_names, nobody_waits_for_a_slow_server) /* D-06 */
{
    static atomic_bool leaving;
    struct smtp_options options = {.url = BUSI_STR("smtp://silent.test:25"),
                                   .helo = BUSI_STR("busi.test"),
                                   .sender = BUSI_STR("no-reply@busi.test"),
                                   .connect_timeout_ms = 300,
                                   .timeout_ms = 20000};
    struct smtp_session *session = smtp_session_new(&options, &leaving);
    struct smtp_report report;
    cr_assert_not_null(session);
    for (int i = 0; i < 3; i++) {
        int64_t began_ms = busi_now_ms();
        smtp_send(session, BUSI_STR("ann@example.com"), BUSI_STR("Subject: x\r\n\r\nhello\r\n"), INT64_MAX,
                  &report);
        cr_expect_eq(report.outcome, SMTP_NO_RELAY, "%s", report.reason);
        cr_expect_lt(busi_now_ms() - began_ms, 1500, "%s", report.reason);
    }
    smtp_session_free(&session);
    sleep(6); /* its look-ups end meanwhile, and spoil nothing */
}
