/* mailer-svc against a real Postgres, with the rights of its own role. */
#include "base/clock.h"
#include "base/metrics.h"
#include "database.h"
#include "mailer-svc_kit.h"
#include "mailer.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

TestSuite(delivery, .init = begin, .fini = end, .timeout = 60);

static bool one_delivered(void)
{
    return postgres_number(admin, "SELECT count(*) FROM mailer.mails WHERE state = 'delivered'") == 1;
}

static bool one_failed_attempt(void)
{
    return postgres_number(
               admin,
               "SELECT count(*) FROM mailer.mails WHERE state = 'queued' AND last_error IS NOT NULL") == 1;
}

Test(delivery, a_mail_is_stored_and_becomes_a_file)
{
    start_mailers(1);
    WAIT_FOR(all_ready);
    struct asked asked = mail_to("ann@example.com", "k1");
    ask_all(&asked, 1);
    cr_assert_eq(asked.code, BUSI_OK, "%s", asked.message);
    cr_expect_not(asked.reply.duplicate);
    cr_expect_eq(postgres_number(admin, "SELECT count(*) FROM mailer.mails"), 1);
    WAIT_FOR(nothing_queued);
    char path[128], text[4096] = "", id[64];
    snprintf(path, sizeof(path), "%s/%lld-account_created.eml", folder, (long long)asked.reply.mail_id);
    FILE *file = fopen(path, "r");
    cr_assert_not_null(file, "%s", path);
    cr_expect_gt(fread(text, 1, sizeof(text) - 1, file), 500);
    fclose(file);
    snprintf(id, sizeof(id), "\r\nMessage-ID: <mail-%lld@localhost>\r\n", (long long)asked.reply.mail_id);
    cr_expect_not_null(strstr(text, id));
    cr_expect_not_null(strstr(text, "\r\nTo: ann@example.com\r\n"));
    cr_expect_eq(
        postgres_number(admin,
                        "SELECT count(*) FROM mailer.mails WHERE state = 'delivered' AND request IS NULL AND "
                        "delivered_at IS NOT NULL"),
        1, "arguments are wiped");
    cr_expect_eq(busi_metric_get(BUSI_METRIC_mails_delivered), 1);
}

Test(delivery, delivery_begins_at_once)
{
    start_mailers(1);
    WAIT_FOR(all_ready);
    for (int i = 0; i < 5; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%d", i);
        struct asked asked = mail_to("ann@example.com", key);
        int64_t before = busi_now_ms();
        ask_all(&asked, 1);
        WAIT_FOR(nothing_queued);
        cr_expect_lt(busi_now_ms() - before, 900, "it waited for the poll");
    }
}

Test(delivery, a_repeated_key_is_one_mail)
{
    start_mailers(2);
    WAIT_FOR(all_ready);
    struct asked asked[20];
    for (int i = 0; i < 20; i++) {
        asked[i] = mail_to("ann@example.com", "same");
        asked[i].mailer = i % 2;
    }
    ask_all(asked, 20);
    int first = 0;
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(asked[i].code, BUSI_OK, "%s", asked[i].message);
        cr_expect_eq(asked[i].reply.mail_id, asked[0].reply.mail_id);
        first += !asked[i].reply.duplicate;
    }
    cr_expect_eq(first, 1);
    WAIT_FOR(nothing_queued);
    struct asked late = mail_to("ann@example.com", "same");
    ask_all(&late, 1);
    cr_expect(late.reply.duplicate, "also after delivery");
    cr_expect_eq(late.reply.mail_id, asked[0].reply.mail_id);
    cr_expect_eq(count_files(folder), 1);
}

Test(delivery, a_key_is_one_mails_only) /* M-33 */
{
    start_mailers(1);
    WAIT_FOR(all_ready);
    struct asked one = mail_to("ann@example.com", "k"), other = mail_to("bob@example.com", "k"),
                 text = mail_to("ann@example.com", "k"), again = mail_to("ann@example.com", "k");
    text.login = "mallory";
    ask_all(&one, 1);
    ask_all(&other, 1);
    ask_all(&text, 1);
    cr_expect_eq(one.code, BUSI_OK);
    cr_expect_eq(other.code, BUSI_INVALID_ARGUMENT);
    cr_expect_eq(text.code, BUSI_INVALID_ARGUMENT, "other words to the same person");
    WAIT_FOR(nothing_queued);
    ask_all(&text, 1);
    cr_expect_eq(text.code, BUSI_INVALID_ARGUMENT, "also after delivery");
    ask_all(&again, 1);
    cr_expect(again.code == BUSI_OK && again.reply.duplicate);
    again.expires_at =
        1; /* as a release tells that knows of ends, of what one that did not has told before */
    ask_all(&again, 1);
    cr_expect(again.code == BUSI_OK && again.reply.duplicate);
    cr_expect_eq(postgres_number(admin, "SELECT count(*) FROM mailer.mails"), 1);
}

Test(delivery, what_cannot_be_delivered_is_not_stored) /* X-07 X-08 */
{
    start_mailers(1);
    WAIT_FOR(all_ready);
    enum { ALL = 6 };
    struct asked asked[ALL] = {mail_to("ann@example.com", ""),  mail_to("ann@example.com", "a"),
                               mail_to("a@x.org,b@y.org", "b"), mail_to("ann@example.com", "c"),
                               mail_to("ann@example.com", "d"), mail_to("ann@example.com", "e")};
    asked[1].kind = "nonsense";
    asked[3].login = "ann\r\nBcc: eve@x.org";
    asked[4].expires_at = -1;
    asked[5].expires_at = INT64_MAX;
    ask_all(asked, ALL);
    for (int i = 0; i < ALL; i++) {
        cr_expect_eq(asked[i].code, BUSI_INVALID_ARGUMENT, "%d", i);
        cr_expect_gt(strlen(asked[i].message), 0);
    }
    cr_expect_eq(postgres_number(admin, "SELECT count(*) FROM mailer.mails"), 0);
}

Test(delivery, several_mailers_share_the_queue)
{
    enum { MAILS = 300 };
    static struct asked asked[MAILS];
    start_mailers(2);
    WAIT_FOR(all_ready);
    for (int i = 0; i < MAILS; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%d", i);
        asked[i] = mail_to("ann@example.com", key);
        asked[i].mailer = i % 2;
    }
    ask_all(asked, MAILS);
    WAIT_FOR(nothing_queued);
    cr_expect_eq(count_files(folder), MAILS);
    cr_expect_eq(postgres_number(
                     admin, "SELECT count(*) FROM mailer.mails WHERE state = 'delivered' AND attempts = 1"),
                 MAILS);
}

static bool one_expired(void)
{
    return busi_metric_get(BUSI_METRIC_mails_expired) == 1;
}

Test(delivery, what_has_expired_is_given_up)
{
    start_mailers(2);
    WAIT_FOR(all_ready);
    struct asked asked[3] = {mail_to("ann@example.com", "was"), mail_to("ann@example.com", "is"),
                             mail_to("ann@example.com", "ever")};
    asked[0].expires_at = busi_wall_us() - 1;
    asked[1].expires_at = busi_wall_us() + 3600000000;
    ask_all(asked, 3);
    for (int i = 0; i < 3; i++)
        cr_expect_eq(asked[i].code, BUSI_OK, "%s", asked[i].message);
    WAIT_FOR(nothing_queued);
    cr_expect_eq(count_files(folder), 2);
    cr_expect_eq(postgres_number(
                     admin,
                     "SELECT count(*) FROM mailer.mails WHERE idempotency_key = 'was' AND state = 'failed'"
                     " AND last_error = 'its link has expired' AND failed_at IS NOT NULL AND attempts = 0"),
                 1);
    WAIT_FOR(one_expired);
    cr_expect_eq(busi_metric_get(BUSI_METRIC_mails_dead), 1);
    cr_expect_eq(postgres_number(admin,
                                 "SELECT count(*) FROM mailer.mails WHERE idempotency_key = 'is' AND"
                                 " expires_at BETWEEN now() + interval '59 min' AND now() + interval '1 h'"),
                 1);
}

/* Whoever holds a lease settles it: what he has sent is delivered, also where its link has expired meanwhile.
 */
Test(delivery, what_somebody_has_in_hand_expires_in_his_hand)
{
    postgres_run(admin,
                 "INSERT INTO mailer.mails (caller, idempotency_key, kind, recipient, request, attempts, "
                 "due_at, expires_at)"
                 " VALUES ('x', 'k', 'x', 'x', 'x', 1, now() + interval '5 s', now() - interval '1 s')");
    start_mailers(1);
    WAIT_FOR(all_ready);
    cr_expect_not(within(2500, nothing_queued));
    WAIT_FOR(nothing_queued);
    cr_expect_eq(postgres_number(admin, "SELECT attempts FROM mailer.mails WHERE state = 'failed'"), 1);
}

Test(delivery, the_lease_of_a_dead_mailer_ends)
{
    start_mailers(1);
    WAIT_FOR(all_ready);
    mailer_service.drain(mailers[0]);
    WAIT_FOR(all_idle);
    struct asked asked[2] = {mail_to("ann@example.com", "dead"), mail_to("bob@example.com", "alive")};
    ask_all(asked, 2);
    /* one was claimed by a mailer that died just now, one by a mailer that died a lease ago */
    postgres_run(
        admin,
        "UPDATE mailer.mails SET attempts = 1, due_at = now() + interval '55 s' WHERE idempotency_key = "
        "'alive'");
    postgres_run(
        admin,
        "UPDATE mailer.mails SET attempts = 1, due_at = now() - interval '1 s' WHERE idempotency_key = "
        "'dead'");
    mailers[1] = mailer_service.start(&process);
    WAIT_FOR(all_ready);
    cr_expect_not(within(1500, nothing_queued));
    cr_expect_eq(
        postgres_number(
            admin,
            "SELECT attempts FROM mailer.mails WHERE state = 'delivered' AND idempotency_key = 'dead'"),
        2);
    cr_expect_eq(
        postgres_number(
            admin, "SELECT attempts FROM mailer.mails WHERE state = 'queued' AND idempotency_key = 'alive'"),
        1);
    cr_expect_eq(count_files(folder), 1);
}

Test(delivery, without_its_folder_the_queue_waits)
{
    start_mailers(1);
    WAIT_FOR(all_ready);
    char away[80];
    snprintf(away, sizeof(away), "%s.away", folder);
    cr_assert_eq(rename(folder, away), 0);
    struct asked asked = mail_to("ann@example.com", "k");
    ask_all(&asked, 1);
    cr_expect_eq(asked.code, BUSI_OK, "storing does not need the folder");
    WAIT_FOR(one_failed_attempt);
    cr_expect_not(mailer_service.ready(mailers[0]));
    cr_assert_eq(rename(away, folder), 0);
    WAIT_FOR(nothing_queued);
    cr_expect_eq(count_files(folder), 1);
    WAIT_FOR(all_ready);
}

Test(delivery, a_poisoned_mail_stops_no_other)
{
    postgres_run(
        admin,
        "INSERT INTO mailer.mails (caller, idempotency_key, kind, recipient, request, attempts)"
        " VALUES ('x', 'poison', 'x', 'x', '\\xdeadbeef', 7), ('x', 'retried', 'x', 'x', '\\xdeadbeef', 0)");
    start_mailers(1);
    WAIT_FOR(all_ready);
    struct asked asked = mail_to("ann@example.com", "k");
    ask_all(&asked, 1);
    WAIT_FOR(one_failed_attempt);
    WAIT_FOR(one_delivered);
    cr_expect_eq(
        postgres_number(
            admin, "SELECT attempts FROM mailer.mails WHERE idempotency_key = 'poison' AND state = 'failed'"),
        8);
    cr_expect_geq(
        postgres_number(
            admin,
            "SELECT attempts FROM mailer.mails WHERE idempotency_key = 'retried' AND state = 'queued'"),
        1);
    cr_expect_eq(count_files(folder), 1);
}

Test(delivery, migrating_again_changes_nothing)
{
    cr_expect_eq(mailer_migrate(&settings, 1, (char *[]){"migrate", NULL}), 0);
    cr_expect_eq(mailer_migrate(&settings, 2, (char *[]){"migrate", "--status", NULL}), 0);
    cr_expect_eq(mailer_migrate(&settings, 2, (char *[]){"migrate", "--nonsense", NULL}), BUSI_EXIT_USAGE);
    settings.migrate_database = BUSI_STR("");
    cr_expect_eq(mailer_migrate(&settings, 1, (char *[]){"migrate", NULL}), BUSI_EXIT_CONFIG);
}
