#include "auth-svc_accounts_kit.h"

TestSuite(sweeper, .init = set_up, .fini = tear_down, .timeout = 60);

static bool becomes(const char *sql, int64_t expected)
{
    for (int64_t until_ms = busi_now_ms() + 20000; busi_now_ms() < until_ms; busi_fiber_sleep(20))
        if (admin_int(sql) == expected)
            return true;
    return false;
}

static void swept(void)
{
    cr_assert(becomes("SELECT count(*) FROM auth.one_time_secrets", 2));
    cr_assert_eq(admin_int("SELECT min(user_id) FROM auth.one_time_secrets"), 1501);
    cr_assert(becomes("SELECT count(*) FROM auth.mail_gaps", 1));
    cr_assert(becomes("SELECT count(*) FROM auth.mail_requests", 0));
    cr_assert(becomes("SELECT count(*) FROM auth.outbox", 1));
    cr_assert(becomes("SELECT count(*) FROM auth.revocations WHERE user_id < 5000", 1));
    cr_assert(becomes("SELECT count(*) FROM auth.events", 1));
    cr_assert(becomes("SELECT count(*) FROM auth.users WHERE code ~ '^[a-z1-9]{6}$'", 1502));
    cr_assert_eq(admin_int("SELECT count(DISTINCT code) FROM auth.users"), 1502);
}

/* What is old goes, however much it is; what is not stays. */
Test(sweeper, leaves_nothing_old_behind)
{
    admin("INSERT INTO auth.users(email, email_key, code) SELECT i || '@b.co', i || '@b.co', NULL"
          " FROM generate_series(1, 1502) AS i");
    admin("INSERT INTO auth.one_time_secrets(user_id, kind, hash, expires_at) SELECT i, 'reset_password',"
          " decode(md5(i::text), 'hex'), now() - interval '8 days' FROM generate_series(1, 1500) AS i");
    admin("INSERT INTO auth.one_time_secrets(user_id, kind, hash, expires_at) VALUES"
          " (1501, 'reset_password', 'a', now() - interval '6 days'),"
          " (1502, 'reset_password', 'b', now() + interval '6 days')");
    admin(
        "INSERT INTO auth.mail_gaps(email_key, kind, sent_at) SELECT i::text, 'k', now() - interval '2 days'"
        " FROM generate_series(1, 1500) AS i");
    admin("INSERT INTO auth.mail_gaps(email_key, kind, sent_at) VALUES ('x', 'k', now() - interval '24 "
          "hours')");
    admin("INSERT INTO auth.outbox(kind, recipient, created_at) VALUES"
          " ('k', 'a@b.co', now() - interval '31 days'), ('k', 'a@b.co', now() - interval '29 days')");
    admin("INSERT INTO auth.revocations(user_id, session_id, expires_at) SELECT i, 's' || i, now() - "
          "interval '25 hours'"
          " FROM generate_series(1, 2100) AS i");
    admin("INSERT INTO auth.revocations(user_id, session_id, expires_at) VALUES (4000, 's', now() + interval "
          "'1 hour')");
    admin("INSERT INTO auth.events(event, subscriber, user_id, created_at) SELECT 'after_login', 'gone', 1,"
          " now() - interval '8 days' FROM generate_series(1, 1100)");
    admin("INSERT INTO auth.events(event, subscriber, user_id, created_at) VALUES ('after_login', 'gone', 1,"
          " now() - interval '6 days')");
    run(swept);
}

#define DUE(table) "SELECT count(*) FROM auth." table " WHERE due_at <= now()"

static void recalled(void)
{
    cr_assert(becomes(DUE("outbox"), 1200));
    cr_assert(becomes(DUE("events"), 1));
    cr_assert_eq(admin_int("SELECT count(*) FROM auth.outbox WHERE due_at > now()"), 1);
}

/* What was put off while the clock was ahead does not wait until it is there again. */
Test(sweeper, a_clock_that_was_ahead_delays_nothing)
{
    admin("INSERT INTO auth.outbox(kind, recipient, due_at) SELECT 'k', 'a@b.co', now() + interval '1 hour'"
          " FROM generate_series(1, 1200)");
    admin("INSERT INTO auth.outbox(kind, recipient, due_at) VALUES ('k', 'a@b.co', now() + interval '1 "
          "minute')");
    admin("INSERT INTO auth.events(event, subscriber, user_id, due_at) VALUES ('after_login', 'gone', 1,"
          " now() + interval '1 hour')");
    run(recalled);
}

static void poisoned(void)
{
    cr_assert(becomes(REQUESTS, 0));
    cr_assert_eq(admin_int(MAILS), 0);
}

/* One that cannot be dealt with does not hold up the others for ever. */
Test(sweeper, drops_a_request_that_cannot_be_dealt_with)
{
    admin("INSERT INTO auth.users(email, email_key) VALUES ('a@b.co', 'a@b.co')");
    admin("INSERT INTO auth.mail_requests(kind, email_key, created_at) VALUES (repeat('k', 9), 'a@b.co',"
          " now() - interval '2 hours')");
    admin("ALTER TABLE auth.mail_gaps ADD CHECK (kind <> 'kkkkkkkkk')");
    run(poisoned);
}
