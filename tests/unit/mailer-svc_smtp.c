/* The SMTP client against a real server that misbehaves. */
#include "base/clock.h"
#include "mail.h"
#include "mailer-svc_sink.h"
#include "smtp.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CONNECT_MS = 1000, TIMEOUT_MS = 1500, SLACK_MS = 1500 };

static struct sink sink;
static struct smtp_options options;
static struct smtp_session *session;
static struct smtp_report report;
static atomic_bool leaving;
static int64_t took_ms;

static void start(const char *scheme)
{
    sink = sink_start(scheme);
    options = (struct smtp_options){.url = busi_str_of(sink.url),
                                    .ca_file = busi_str_of(sink.ca),
                                    .helo = BUSI_STR("busi.test"),
                                    .sender = BUSI_STR("no-reply@busi.test"),
                                    .connect_timeout_ms = CONNECT_MS,
                                    .timeout_ms = TIMEOUT_MS,
                                    .life_ms = 30000};
}

static void begin(void)
{
    start("smtp");
}

static void end(void)
{
    smtp_session_free(&session);
    sink_stop(&sink);
}

TestSuite(smtp, .init = begin, .fini = end, .timeout = 120);

static void fresh_session(void)
{
    smtp_session_free(&session);
    session = smtp_session_new(&options, &leaving);
    cr_assert_not_null(session);
}

static int64_t until_ms = INT64_MAX; /* of smtp_send() */

static enum smtp_outcome send_text(const char *text)
{
    int64_t began_ms = busi_now_ms();
    if (!session)
        fresh_session();
    smtp_send(session, BUSI_STR("ann@example.com"), busi_str_of(text), until_ms, &report);
    took_ms = busi_now_ms() - began_ms;
    return report.outcome;
}

static enum smtp_outcome send_one(void)
{
    return send_text("Subject: x\r\n\r\nhello\r\n");
}

static void expect_kept(const char *name, const char *text)
{
    char kept[4096];
    sink_read(&sink, name, kept, sizeof(kept));
    cr_expect_str_eq(kept, text);
}

Test(smtp, a_mail_arrives_as_it_was_by_tls_to_one_recipient) /* */
{
    cr_assert_eq(send_one(), SMTP_SENT, "%s", report.reason);
    cr_expect_str_eq(report.reason, "");
    expect_kept("1.eml", "Subject: x\r\n\r\nhello\r\n");
    expect_kept("1.envelope", "no-reply@busi.test\nann@example.com\nbusi.test\ntls\n-\n");
}

Test(smtp, lines_of_dots_end_no_mail) /* */
{
    const char *text = "Subject: x\r\n\r\n.\r\n..\r\n.\r\n.x\r\nMAIL FROM:<eve@x.org>\r\n.\r\n";
    cr_assert_eq(send_text(text), SMTP_SENT, "%s", report.reason);
    expect_kept("1.eml", text);
    cr_assert_eq(send_one(), SMTP_SENT);
    cr_expect_eq(sink_mails(&sink), 2, "the text was one mail");
}

Test(smtp, what_a_user_says_cannot_end_a_mail) /* */
{
    static const char *const logins[] = {".", "..", "\xe2\x80\xa8.", "a =0D=0A.=0D=0A b", "ann\\r\\n.\\r\\n"};
    struct mail_setup setup = {.base_url = BUSI_STR("https://busi.example"),
                               .templates = mail_templates_new(BUSI_STR(""), BUSI_STR("en"))};
    cr_assert(mail_sender_parse(BUSI_STR("busi <no-reply@busi.test>"), &setup.from));
    for (size_t i = 0; i < sizeof(logins) / sizeof(logins)[0]; i++) {
        struct busi_buf text;
        char name[16];
        static char kept[16384];
        struct busi_mail_argument login = {.name = BUSI_STR("login"), .value = busi_str_of(logins[i])};
        struct busi_enqueue_mail_request request = {.kind = BUSI_STR("account_created"),
                                                    .recipient = BUSI_STR("ann@example.com"),
                                                    .arguments = {&login, 1}};
        struct mail mail = {.id = 1, .request = &request};
        busi_buf_init(&text, MAIL_MAX_BYTES);
        cr_assert_null(mail_render(&text, &mail, &setup));
        busi_buf_char(&text, 0);
        cr_assert_eq(send_text(text.ptr), SMTP_SENT, "%s", report.reason);
        snprintf(name, sizeof(name), "%zu.eml", i + 1);
        sink_read(&sink, name, kept, sizeof(kept));
        cr_expect_str_eq(kept, text.ptr);
        busi_buf_fini(&text);
    }
    mail_templates_free(&setup.templates);
}

Test(smtp, a_refused_mail_is_never_sent_and_a_deferred_one_later) /* D-07 */
{
    static const char *const steps[] = {"mail", "rcpt", "data", "end"};
    static const struct {
        const char *reply;
        enum smtp_outcome outcome;
    } rows[] = {{"550 5.1.1 nobody", SMTP_REFUSED},      {"554 5.7.1 spam", SMTP_REFUSED},
                {"552 5.3.4 too big", SMTP_REFUSED},     {"421 4.7.0 going down", SMTP_DEFERRED},
                {"450 4.2.1 greylisted", SMTP_DEFERRED}, {"451 4.3.0 try again", SMTP_DEFERRED},
                {"503 5.5.1 out of step", SMTP_DEFERRED}};
    for (size_t step = 0; step < 4; step++)
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows)[0]; i++) {
            char modes[96];
            snprintf(modes, sizeof(modes), "%s %s\n", steps[step], rows[i].reply);
            sink_set(&sink, modes);
            cr_expect_eq(send_one(), rows[i].outcome, "%s%s", modes, report.reason);
            cr_expect_str_eq(report.reason, rows[i].reply, "%s", steps[step]);
        }
    cr_expect_eq(sink_mails(&sink), 0);
    sink_set(&sink, "");
    cr_expect_eq(send_one(), SMTP_SENT, "%s", report.reason);
}

Test(smtp, a_relay_that_takes_nobody_is_no_mails_fault) /* D-07 */
{
    static const char *const modes[] = {"banner 554 5.3.2 no service\n",
                                        "banner 421 4.3.2 later\n",
                                        "ehlo 550 5.7.1 go away\n",
                                        "banner drop\n",
                                        "ehlo drop\n",
                                        "mail 530 5.7.0 authenticate first\n",
                                        "banner stall\n",
                                        "ehlo stall\n"};
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes)[0]; i++) {
        sink_set(&sink, modes[i]);
        cr_expect_eq(send_one(), SMTP_NO_RELAY, "%s%s", modes[i], report.reason);
        cr_expect_gt(strlen(report.reason), 0);
        cr_expect_leq(took_ms, CONNECT_MS + SLACK_MS, "%s", modes[i]);
    }
    options.url = BUSI_STR("smtp://127.0.0.1:1"); /* nobody listens */
    fresh_session();
    cr_expect_eq(send_one(), SMTP_NO_RELAY);
    options.url = BUSI_STR("smtp://relay.invalid:25");
    fresh_session();
    cr_expect_eq(send_one(), SMTP_NO_RELAY);
}

Test(smtp, silence_ends_in_time) /* D-07 */
{
    static const char *const modes[] = {"mail stall\n", "rcpt stall\n", "data stall\n", "end stall\n"};
    for (size_t i = 0; i < sizeof(modes) / sizeof(modes)[0]; i++) {
        sink_set(&sink, modes[i]);
        cr_expect_eq(send_one(), SMTP_DEFERRED, "%s%s", modes[i], report.reason);
        cr_expect_leq(took_ms, TIMEOUT_MS + SLACK_MS, "%s", modes[i]);
    }
    sink_set(&sink, "");
    cr_expect_eq(send_one(), SMTP_SENT, "a reply that comes late is not the next mail's: %s", report.reason);
    sink_set(&sink, "quit stall\n");
    int64_t began_ms = busi_now_ms();
    smtp_session_rest(session);
    cr_expect_leq(busi_now_ms() - began_ms, 2000 + SLACK_MS);
}

Test(smtp, replies_are_bounded) /* */
{
    static const char *const steps[] = {"banner", "ehlo", "mail", "rcpt", "data", "end"};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps)[0]; i++) {
        char modes[64];
        snprintf(modes, sizeof(modes), "%s flood\n", steps[i]);
        sink_set(&sink, modes);
        cr_expect_neq(send_one(), SMTP_SENT, "%s", modes);
        cr_expect_leq(took_ms, TIMEOUT_MS + SLACK_MS, "%s", modes);
        snprintf(modes, sizeof(modes), "%s long\n", steps[i]);
        sink_set(&sink, modes);
        (void)send_one(); /* a line of 100 KiB that begins with 250: sent or not, but it ends */
        cr_expect_leq(took_ms, TIMEOUT_MS + SLACK_MS, "%s", modes);
        cr_expect_lt(strlen(report.reason), SMTP_REASON_BYTES);
    }
    sink_set(&sink, "rcpt lf\n");
    cr_expect_eq(send_one(), SMTP_SENT);
}

Test(smtp, reasons_are_fit_for_a_log)
{
    sink_set(&sink, "rcpt 550 5.1.1 \x1b[31mred\x01\x7f \xff\xfe end\n");
    cr_expect_eq(send_one(), SMTP_REFUSED);
    cr_expect_str_eq(report.reason, "550 5.1.1  [31mred      end");
}

Test(smtp, nothing_goes_in_the_clear) /* X-14 X-15 D-07 */
{
    static const struct {
        const char *modes, *why;
    } rows[] = {{"tls none\n", "STARTTLS"},
                {"tls refuse\n", "454 4.7.0 not now"},
                {"tls wrong\n", "subject name"},
                {"tls expired\n", "expired"},
                {"tls inject\n", "server reply"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows)[0]; i++) {
        sink_set(&sink, rows[i].modes);
        cr_expect_eq(send_one(), SMTP_NO_RELAY, "%s", rows[i].modes);
        cr_expect_not_null(strstr(report.reason, rows[i].why), "%s: %s", rows[i].modes, report.reason);
    }
    sink_set(&sink, "");
    options.ca_file = (struct busi_str){0}; /* the system's do not know this one */
    fresh_session();
    cr_expect_eq(send_one(), SMTP_NO_RELAY);
    cr_expect_eq(sink_mails(&sink), 0);
    options.tls_off = true;
    sink_set(&sink, "tls none\n");
    fresh_session();
    cr_expect_eq(send_one(), SMTP_SENT, "unless it is asked for: %s", report.reason);
    expect_kept("1.envelope", "no-reply@busi.test\nann@example.com\nbusi.test\nplain\n-\n");
}

Test(smtp, a_certificate_is_shown_when_asked_for)
{
    char certificate[96], key[96], others[96];
    snprintf(certificate, sizeof(certificate), "%s/client.pem", sink.folder);
    snprintf(key, sizeof(key), "%s/client.key", sink.folder);
    snprintf(others, sizeof(others), "%s/good.key", sink.folder);
    sink_set(&sink, "tls ask\n");
    cr_expect_eq(send_one(), SMTP_NO_RELAY, "%s", report.reason);
    options.certificate_file = busi_str_of(certificate);
    options.key_file = busi_str_of(others);
    fresh_session();
    cr_expect_eq(send_one(), SMTP_NO_RELAY, "the key of another: %s", report.reason);
    options.key_file = busi_str_of(key);
    fresh_session();
    cr_expect_eq(send_one(), SMTP_SENT, "%s", report.reason);
    cr_expect_eq(sink_mails(&sink), 1);
}

Test(smtp, a_user_is_named_when_asked_for)
{
    sink_set(&sink, "auth 1\n");
    cr_expect_eq(send_one(), SMTP_NO_RELAY, "%s", report.reason);
    options.user = BUSI_STR("busi");
    options.password = BUSI_STR("wrong");
    fresh_session();
    cr_expect_eq(send_one(), SMTP_NO_RELAY);
    cr_expect_null(strstr(report.reason, "wrong"), "no password in a reason: %s", report.reason);
    options.password = BUSI_STR("s3cret pass");
    fresh_session();
    cr_expect_eq(send_one(), SMTP_SENT, "%s", report.reason);
    expect_kept("1.envelope", "no-reply@busi.test\nann@example.com\nbusi.test\ntls\nbusi\n");
}

Test(smtp, a_connection_is_kept_and_made_anew) /* D-07 */
{
    cr_assert_eq(send_one(), SMTP_SENT);
    cr_expect(smtp_session_connected(session));
    sink_set(&sink, "after drop\n");
    for (int i = 0; i < 3; i++) /* taken, then reset: each finds the one before it gone */
        cr_expect_eq(send_one(), SMTP_SENT, "%s", report.reason);
    cr_expect_eq(sink_mails(&sink), 4);
    smtp_session_rest(session);
    cr_expect_not(smtp_session_connected(session));
    sink_set(&sink, "");
    cr_expect_eq(send_one(), SMTP_SENT, "%s", report.reason);
}

/* Our mails are lines of ASCII whatever is in them, so that any server of the last forty years takes them. */
Test(smtp, a_server_that_offers_nothing_takes_our_mails) /* D-07 */
{
    struct busi_buf text;
    static char kept[65536], login[1200];
    struct mail_setup setup = {.base_url = BUSI_STR("https://busi.example"),
                               .templates = mail_templates_new(BUSI_STR(""), BUSI_STR("de"))};
    cr_assert(mail_sender_parse(BUSI_STR("B\xc3\xbcsi <no-reply@busi.test>"), &setup.from));
    for (size_t i = 0; i + 3 < sizeof(login); i += 3)
        memcpy(login + i, "\xe2\x82\xac", 4);
    struct busi_mail_argument argument = {.name = BUSI_STR("login"), .value = busi_str_of(login)};
    struct busi_enqueue_mail_request request = {.kind = BUSI_STR("account_created"),
                                                .recipient = BUSI_STR("ann@example.com"),
                                                .language = BUSI_STR("de"),
                                                .arguments = {&argument, 1}};
    struct mail mail = {.id = 1, .request = &request};
    busi_buf_init(&text, MAIL_MAX_BYTES);
    cr_assert_null(mail_render(&text, &mail, &setup));
    busi_buf_char(&text, 0);
    sink_set(&sink, "least 1\n");
    cr_assert_eq(send_text(text.ptr), SMTP_SENT, "%s", report.reason);
    sink_read(&sink, "1.eml", kept, sizeof(kept));
    cr_expect_str_eq(kept, text.ptr);
    busi_buf_fini(&text);
    mail_templates_free(&setup.templates);
}

/* Codes and what becomes of the mail: never sent, later, or the relay's own fault. */
Test(smtp, each_code_has_its_outcome) /* D-07 */
{
    static const struct {
        const char *modes;
        enum smtp_outcome outcome;
    } rows[] = {{"rcpt 421 4.3.2 closing\n", SMTP_DEFERRED},
                {"rcpt 450 4.2.1 busy\n", SMTP_DEFERRED},
                {"rcpt 452 4.2.2 full\n", SMTP_DEFERRED},
                {"rcpt 550 5.1.1 nobody\n", SMTP_REFUSED},
                {"rcpt 551 5.1.6 moved\n", SMTP_REFUSED},
                {"rcpt 553 5.1.3 bad name\n", SMTP_REFUSED},
                {"rcpt 599 5.0.0 whatever\n", SMTP_REFUSED},
                {"rcpt 499 4.0.0 whatever\n", SMTP_DEFERRED},
                {"end 550 5.7.1 policy\n", SMTP_REFUSED},
                {"end 554 5.6.0 content\n", SMTP_REFUSED},
                {"end 421 4.4.2 timeout\n", SMTP_DEFERRED},
                {"end drop\n", SMTP_DEFERRED},
                {"rcpt drop\n", SMTP_DEFERRED},
                {"data drop\n", SMTP_DEFERRED},
                {"rcpt 000 nothing\n", SMTP_DEFERRED},
                {"rcpt no code at all\n", SMTP_DEFERRED},
                {"after drop\n", SMTP_SENT}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows)[0]; i++) {
        sink_set(&sink, rows[i].modes);
        cr_expect_eq(send_one(), rows[i].outcome, "%s: %d, %s", rows[i].modes, (int)report.outcome,
                     report.reason);
        fresh_session();
    }
}

static void *leave_soon(void *arg)
{
    (void)arg;
    usleep(200000);
    atomic_store(&leaving, true);
    return NULL;
}

Test(smtp, leaving_waits_for_no_silent_relay)
{
    pthread_t thread;
    options.connect_timeout_ms = options.timeout_ms = 20000;
    sink_set(&sink, "rcpt stall\n");
    cr_assert_eq(pthread_create(&thread, NULL, leave_soon, NULL), 0);
    cr_expect_eq(send_one(), SMTP_GIVEN_UP);
    cr_expect_leq(took_ms, 1200 + SLACK_MS);
    pthread_join(thread, NULL);
}

static void *release_soon(void *arg)
{
    (void)arg;
    usleep(300000);
    sink_set(&sink, "");
    return NULL;
}

/* The relay says that it waits for the text, sooner than the clock is looked at by itself. */
Test(smtp, a_text_begins_to_leave_in_time_or_not_at_all)
{
    pthread_t thread;
    cr_assert_eq(send_one(), SMTP_SENT); /* the connection stands */
    until_ms = busi_lease_ms() + 100;
    sink_set(&sink, "data hold\n");
    cr_assert_eq(pthread_create(&thread, NULL, release_soon, NULL), 0);
    cr_expect_eq(send_one(), SMTP_GIVEN_UP);
    pthread_join(thread, NULL);
    until_ms = busi_lease_ms();
    cr_expect_eq(send_one(), SMTP_GIVEN_UP);
    until_ms = busi_lease_ms() + 60000;
    cr_expect_eq(send_one(), SMTP_SENT);
    cr_expect_eq(sink_mails(&sink), 2);
}

static void begin_smtps(void)
{
    start("smtps");
}

Test(smtps, tls_from_the_first_byte, .init = begin_smtps, .fini = end, .timeout = 60)
{
    options.tls_off = true; /* speaks of STARTTLS only */
    cr_assert_eq(send_one(), SMTP_SENT, "%s", report.reason);
    expect_kept("1.envelope", "no-reply@busi.test\nann@example.com\nbusi.test\ntls\n-\n");
    options.ca_file = (struct busi_str){0};
    fresh_session();
    cr_expect_eq(send_one(), SMTP_NO_RELAY);
}

Test(smtp_url, says_a_host_and_no_more)
{
    static const char *const fine[] = {"smtp://localhost", "smtp://mail.example.org:25",
                                       "smtps://10.0.0.1:465"};
    static const char *const wrong[] = {
        "",           "smtp://",        "http://x",  "smtp://x/y",    "smtp://u:p@x",
        "smtp://x:0", "smtp://x:70000", "smtp://x:", "smtp://x\r\ny", "SMTP//x",
        "smtp://x y", "smtps://:25"};
    for (size_t i = 0; i < sizeof(fine) / sizeof(fine)[0]; i++)
        cr_expect(smtp_url_valid(busi_str_of(fine[i])), "%s", fine[i]);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong)[0]; i++)
        cr_expect_not(smtp_url_valid(busi_str_of(wrong[i])), "%s", wrong[i]);
}
