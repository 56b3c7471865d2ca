/* From mailer.Enqueue to a real SMTP server that refuses, stalls and returns. */
#include "base/clock.h"
#include "base/metrics.h"
#include "mailer-svc_kit.h"
#include "mailer-svc_sink.h"
#include "mailer.h"
#include "mails.h"
#include <stdio.h>
#include <string.h>

static struct sink sink;

static void begin_relay(void)
{
    sink = sink_start("smtp"); /* first: it must not inherit what the loop opens */
    begin();
    settings.smtp_url = busi_str_of(sink.url);
    settings.smtp_ca_file = busi_str_of(sink.ca);
    settings.smtp_timeout_ms = 1500;
    settings.smtp_connect_timeout_ms = 700;
}

static void end_relay(void)
{
    end();
    sink_stop(&sink);
}

TestSuite(relay, .init = begin_relay, .fini = end_relay, .timeout = 90);

static int64_t rows(const char *where)
{
    char query[256];
    snprintf(query, sizeof(query), "SELECT count(*) FROM mailer.mails WHERE %s", where);
    return postgres_number(admin, query);
}

/* Keys and addresses are numbered from `from`: "ann7" and "ann7@ann.example". */
static void ask_for(size_t n, size_t from, const char *name, int over)
{
    static struct asked asked[200];
    for (size_t i = 0; i < n; i++) {
        char key[24], recipient[40];
        snprintf(key, sizeof(key), "%s%zu", name, from + i);
        snprintf(recipient, sizeof(recipient), "%s%zu@%s.example", name, from + i, name);
        asked[i] = mail_to(recipient, key);
        asked[i].mailer = (int)i % over;
    }
    ask_all(asked, n);
    for (size_t i = 0; i < n; i++)
        cr_assert_eq(asked[i].code, BUSI_OK, "%s", asked[i].message);
}

static bool some_error(void)
{
    return rows("last_error IS NOT NULL") > 0;
}

static bool none_lives(void)
{
    return rows("state = 'queued'") == 0;
}

Test(relay, every_mail_arrives_once)
{
    start_mailers(2);
    WAIT_FOR(all_ready);
    ask_for(100, 0, "ann", 2);
    WAIT_FOR(nothing_queued);
    cr_expect_eq(sink_mails(&sink), 100);
    cr_expect_eq(rows("state = 'delivered' AND attempts = 1 AND request IS NULL"), 100, "secrets are wiped");
    cr_expect_eq(count_files(folder), 0);
}

Test(relay, a_dead_letter_stops_no_other_and_may_be_tried_again) /* D-07 */
{
    char id[24];
    start_mailers(1);
    WAIT_FOR(all_ready);
    sink_set(&sink, "rcpt 550 5.1.1 nobody of that name\nonly bad\n");
    ask_for(2, 0, "bad", 1);
    ask_for(20, 0, "ann", 1);
    WAIT_FOR(none_lives);
    cr_expect_eq(sink_mails(&sink), 20);
    cr_expect_eq(rows("state = 'failed' AND last_error = '550 5.1.1 nobody of that name' AND attempts = 1"
                      " AND request IS NOT NULL AND failed_at IS NOT NULL"),
                 2);
    cr_expect_eq(busi_metric_get(BUSI_METRIC_mails_dead), 2);
    sink_set(&sink, "");
    snprintf(
        id, sizeof(id), "%lld",
        (long long)postgres_number(admin, "SELECT min(mail_id) FROM mailer.mails WHERE state = 'failed'"));
    cr_expect_eq(mailer_mails(&settings, 3, (char *[]){"mails", "retry", id, NULL}), 0);
    WAIT_FOR(none_lives);
    cr_expect_eq(sink_mails(&sink), 21);
    cr_expect_eq(mailer_mails(&settings, 3, (char *[]){"mails", "retry", id, NULL}), BUSI_EXIT_FAILED,
                 "it is delivered");
    snprintf(id, sizeof(id), "%lld",
             (long long)postgres_number(admin, "SELECT mail_id FROM mailer.mails WHERE state = 'failed'"));
    cr_expect_eq(mailer_mails(&settings, 3, (char *[]){"mails", "forget", id, NULL}), 0);
    cr_expect_eq(rows("state = 'failed'"), 0);
    cr_expect_eq(mailer_mails(&settings, 1, (char *[]){"mails", NULL}), 0);
    cr_expect_eq(
        mailer_mails(&settings, 5, (char *[]){"mails", "--state", "delivered", "--limit", "3", NULL}), 0);
}

Test(relay, a_deferred_mail_waits_and_dies_at_last) /* D-07 */
{
    settings.mail_retry_for_ms = 3600000;
    start_mailers(1);
    WAIT_FOR(all_ready);
    sink_set(&sink, "end 450 4.2.1 greylisted\n");
    ask_for(1, 0, "ann", 1);
    WAIT_FOR(some_error);
    cr_expect_eq(rows("state = 'queued' AND due_at > now() AND last_error = '450 4.2.1 greylisted'"), 1);
    cr_expect_geq(busi_metric_get(BUSI_METRIC_mails_put_back), 1);
    postgres_run(admin, "UPDATE mailer.mails SET attempts = 12, due_at = now(), last_error = NULL");
    WAIT_FOR(some_error);
    cr_expect_eq(rows("due_at BETWEEN now() + interval '400 s' AND now() + interval '901 s'"), 1,
                 "it waits longer and longer");
    postgres_run(admin, "UPDATE mailer.mails SET due_at = now(), tried_at = now() - interval '61 min'");
    WAIT_FOR(none_lives);
    cr_expect_eq(rows("state = 'failed' AND last_error = '450 4.2.1 greylisted'"), 1);
    cr_expect_eq(sink_mails(&sink), 0);
}

Test(relay, the_queue_waits_for_a_relay_that_is_away) /* D-07 */
{
    start_mailers(2);
    WAIT_FOR(all_ready);
    sink_set(&sink, "banner 421 4.3.2 shutting down\n");
    int64_t began_ms = busi_now_ms();
    ask_for(40, 0, "ann", 2);
    cr_expect_lt(busi_now_ms() - began_ms, 1000, "storing does not wait for it");
    WAIT_FOR(some_error);
    cr_expect(all_ready(), "and goes on");
    ask_for(10, 40, "ann", 2);
    cr_expect_not(within(2500, nothing_queued));
    cr_expect_eq(rows("state = 'queued'"), 50);
    cr_expect_leq(postgres_number(admin, "SELECT sum(attempts) FROM mailer.mails"), 30, "one tries for all");
    cr_expect_eq(busi_metric_get(BUSI_METRIC_mail_route_ready), 0);
    sink_set(&sink, "");
    WAIT_FOR(nothing_queued);
    cr_expect_eq(sink_mails(&sink), 50);
    cr_expect_eq(busi_metric_get(BUSI_METRIC_mail_route_ready), 1);
}

static bool some_expired(void)
{
    return busi_metric_get(BUSI_METRIC_mails_expired) == 1;
}

/* Down for longer than the link lives: nobody gets a link that opens nothing, and whoever operates this sees
 * it. */
Test(relay, what_expires_while_the_relay_is_away_is_not_sent)
{
    char id[24];
    start_mailers(2);
    WAIT_FOR(all_ready);
    sink_set(&sink, "banner 421 4.3.2 shutting down\n");
    struct asked asked[2] = {mail_to("ann@ann.example", "short"), mail_to("bob@ann.example", "long")};
    asked[0].expires_at = busi_wall_us() + 1500000;
    asked[1].expires_at = busi_wall_us() + 3600000000;
    ask_all(asked, 2);
    WAIT_FOR(some_expired);
    cr_expect_geq(busi_wall_us(), asked[0].expires_at);
    sink_set(&sink, "");
    WAIT_FOR(nothing_queued);
    cr_expect_eq(sink_mails(&sink), 1);
    cr_expect_eq(
        rows("state = 'failed' AND recipient = 'ann@ann.example' AND last_error = 'its link has expired'"),
        1);
    snprintf(id, sizeof(id), "%lld", (long long)asked[0].reply.mail_id);
    cr_expect_eq(mailer_mails(&settings, 3, (char *[]){"mails", "retry", id, NULL}), BUSI_EXIT_FAILED);
    cr_expect_eq(rows("state = 'failed'"), 1, "it is not tried again");
    cr_expect_eq(mailer_mails(&settings, 3, (char *[]){"mails", "forget", id, NULL}), 0);
}

/* The relay takes its time: when it waits for the text at last, it is too late for it. */
Test(relay, what_expires_on_its_way_is_not_sent)
{
    settings.smtp_timeout_ms = settings.smtp_connect_timeout_ms = 20000;
    start_mailers(1);
    WAIT_FOR(all_ready);
    sink_set(&sink, "rcpt hold\n");
    struct asked asked = mail_to("ann@ann.example", "k");
    asked.expires_at = busi_wall_us() + 1500000;
    ask_all(&asked, 1);
    WAIT_FOR(some_expired);
    sink_set(&sink, "");
    cr_expect_eq(rows("state = 'failed' AND last_error = 'its link has expired' AND attempts = 1"), 1);
    cr_expect_eq(busi_metric_get(BUSI_METRIC_mail_route_ready), 1, "that says nothing about the relay");
    struct asked next = mail_to("bob@ann.example", "next");
    ask_all(&next, 1);
    WAIT_FOR(nothing_queued);
    cr_expect_eq(sink_mails(&sink), 1);
}

static bool anns_arrived(void)
{
    return rows("state = 'delivered' AND recipient LIKE 'ann%'") >= 30;
}

Test(relay, silence_about_one_domain_holds_up_no_other)
{
    enum { SLOW = 12, TIMEOUT_MS = 1500 };
    start_mailers(1);
    WAIT_FOR(all_ready);
    sink_set(&sink, "rcpt stall\nonly slow\n");
    ask_for(SLOW, 0, "slow", 1); /* the first of them take every connection */
    int64_t began_ms = busi_now_ms();
    ask_for(30, 0, "ann", 1);
    cr_expect_lt(busi_now_ms() - began_ms, 1000, "nor storing");
    WAIT_FOR(anns_arrived);
    cr_expect_lt(busi_now_ms() - began_ms, TIMEOUT_MS + 1500, "the others wait for one timeout, not for %d",
                 SLOW);
    ask_for(10, 30, "ann", 1);
    began_ms = busi_now_ms();
    for (int64_t until = began_ms + PATIENCE_MS; sink_mails(&sink) < 40; (void)within(20, some_error))
        cr_assert_lt(busi_now_ms(), until);
    cr_expect_lt(busi_now_ms() - began_ms, 1000, "and later for none");
    sink_set(&sink, "");
    WAIT_FOR(nothing_queued);
    cr_expect_eq(sink_mails(&sink), SLOW + 40);
}

Test(relay, a_drain_waits_for_no_silent_relay)
{
    settings.smtp_timeout_ms = settings.smtp_connect_timeout_ms = 20000;
    start_mailers(1);
    WAIT_FOR(all_ready);
    sink_set(&sink, "rcpt stall\n");
    ask_for(6, 0, "ann", 1);
    (void)within(500, some_error);
    int64_t began_ms = busi_now_ms();
    mailer_service.drain(mailers[0]);
    WAIT_FOR(all_idle);
    cr_expect_lt(busi_now_ms() - began_ms, 4000);
    cr_expect_eq(rows("state = 'queued'"), 6);
    cr_expect_eq(rows("state = 'queued' AND attempts > 0 AND due_at > now() + interval '3 s'"), 0,
                 "another mailer need not wait for the lease");
}

static bool swept(void)
{
    return rows("idempotency_key LIKE 'old%'") == 0;
}

Test(relay, what_is_done_with_is_swept)
{
    postgres_run(admin,
                 "INSERT INTO mailer.mails (caller, idempotency_key, kind, recipient, state, delivered_at)"
                 " SELECT 'x', 'old' || n, 'x', 'x', 'delivered', now() - interval '31 d'"
                 " FROM generate_series(1, 1200) AS n");
    postgres_run(
        admin,
        "INSERT INTO mailer.mails (caller, idempotency_key, kind, recipient, request, state, failed_at,"
        " delivered_at) VALUES ('x', 'old', 'x', 'x', 'secret', 'failed', now() - interval '31 d', NULL),"
        " ('x', 'dead', 'x', 'x', 'secret', 'failed', now() - interval '29 d', NULL),"
        " ('x', 'done', 'x', 'x', NULL, 'delivered', NULL, now() - interval '29 d')");
    start_mailers(1);
    WAIT_FOR(swept);
    cr_expect_eq(rows("idempotency_key IN ('dead', 'done')"), 2);
}

static bool recalled(void)
{
    return rows("idempotency_key <> 'later' AND due_at < now() + interval '50 min'") == 2;
}

/* Put off while the clock was an hour ahead: by nobody yet, and by whoever had taken it. */
Test(relay, a_clock_that_was_ahead_delays_no_mail)
{
    postgres_run(
        admin,
        "INSERT INTO mailer.mails (caller, idempotency_key, kind, recipient, request, due_at, attempts)"
        " VALUES ('x', 'new', 'x', 'x', 'x', now() + interval '1 h', 0),"
        " ('x', 'taken', 'x', 'x', 'x', now() + interval '61 min', 1),"
        " ('x', 'later', 'x', 'x', 'x', now() + interval '14 min', 5)");
    start_mailers(1);
    WAIT_FOR(recalled);
    cr_expect_eq(rows("idempotency_key = 'later' AND attempts = 5 AND due_at > now()"), 1);
}

static bool age_seen(void)
{
    return busi_metric_get(BUSI_METRIC_mail_queue_age) >= 3600;
}

Test(relay, the_queues_age_is_told)
{
    sink_set(&sink, "banner 421 4.3.2 shutting down\n");
    postgres_run(admin,
                 "INSERT INTO mailer.mails (caller, idempotency_key, kind, recipient, request, created_at)"
                 " VALUES ('x', 'k', 'x', 'x', 'x', now() - interval '1 h')");
    start_mailers(1);
    WAIT_FOR(age_seen);
    cr_expect_eq(busi_metric_get(BUSI_METRIC_mail_queue), 1);
}

Test(relay, settings_that_cannot_work_are_named)
{
    static const struct {
        const char *url, *user, *password, *tls, *certificate, *key, *named;
    } rows_[] = {{"http://x", "", "", "required", "", "", "BUSI_SMTP_URL"},
                 {"smtp://x", "u", "", "required", "", "", "BUSI_SMTP_PASSWORD"},
                 {"smtp://x", "", "p", "required", "", "", "BUSI_SMTP_PASSWORD"},
                 {"smtp://x", "u", "p", "off", "", "", "BUSI_SMTP_TLS"},
                 {"smtp://x", "", "", "maybe", "", "", "BUSI_SMTP_TLS"},
                 {"smtp://x", "", "", "required", "/etc/passwd", "", "BUSI_SMTP_KEY_FILE"},
                 {"smtp://x", "", "", "required", "", "/etc/passwd", "BUSI_SMTP_KEY_FILE"},
                 {"smtp://x", "", "", "required", "/etc/passwd", "/not/there", "BUSI_SMTP_KEY_FILE"},
                 {"smtp://x", "", "", "required", "/not/there", "/etc/passwd", "BUSI_SMTP_CERTIFICATE_FILE"},
                 {"smtp://x", "", "", "required", "/etc/passwd", "/etc/passwd", NULL},
                 {"smtps://x", "u", "p", "off", "", "", NULL},
                 {"smtp://x", "", "", "off", "", "", NULL},
                 {"", "", "", "required", "", "", NULL}};
    for (size_t i = 0; i < sizeof(rows_) / sizeof(rows_)[0]; i++) {
        struct busi_settings given = settings;
        struct busi_buf errors;
        busi_buf_init(&errors, 4096);
        given.smtp_url = busi_str_of(rows_[i].url);
        given.smtp_user = busi_str_of(rows_[i].user);
        given.smtp_password = busi_str_of(rows_[i].password);
        given.smtp_tls = busi_str_of(rows_[i].tls);
        given.smtp_certificate_file = busi_str_of(rows_[i].certificate);
        given.smtp_key_file = busi_str_of(rows_[i].key);
        cr_expect_eq(mailer_service.check(&given, &errors), rows_[i].named == NULL, "%zu", i);
        busi_buf_char(&errors, 0);
        if (rows_[i].named)
            cr_expect_eq(strstr(errors.ptr, rows_[i].named), errors.ptr, "%s", errors.ptr);
        busi_buf_fini(&errors);
    }
}
