/* What the store tests share: a loop with fibers, and a private schema in the test server. */
#pragma once
#include "base/clock.h"
#include "loop/fiber.h"
#include "loop/loop.h"
#include "postgres_admin.h"
#include "store/pg.h"

#include <stdio.h>
#include <unistd.h>

struct fixture {
    struct busi_loop *loop;
    struct busi_fibers *fibers;
    struct busi_pg *pg;
    PGconn *admin;      /* superuser, outside of the module under test */
    char schema[32];    /* of this test */
    char conninfo[512]; /* leads there */
    void (*body)(struct fixture *);
    const struct busi_pg_statement *statements;
    size_t n_statements;
    int64_t statement_timeout_ms;
};

static inline void open_schema(struct fixture *f, const char *tables)
{
    f->admin = postgres_open();
    snprintf(f->schema, sizeof f->schema, "store_test_%d", (int)getpid());
    snprintf(f->conninfo, sizeof f->conninfo, "%s options='-c search_path=%s'",
             must_have("BUSI_TEST_POSTGRES"), f->schema);
    char sql[160];
    snprintf(sql, sizeof sql, "DROP SCHEMA IF EXISTS %s CASCADE; CREATE SCHEMA %s; SET search_path = %s",
             f->schema, f->schema, f->schema);
    postgres_run(f->admin, sql);
    postgres_run(f->admin, tables);
}

static inline void close_schema(struct fixture *f)
{
    char sql[80];
    snprintf(sql, sizeof sql, "DROP SCHEMA %s CASCADE", f->schema);
    postgres_run(f->admin, sql);
    PQfinish(f->admin);
}

static inline bool wait_ready(struct fixture *f, bool wanted, int64_t most_ms)
{
    for (int64_t until_ms = busi_now_ms() + most_ms; busi_now_ms() < until_ms;) {
        if (busi_pg_ready(f->pg) == wanted)
            return true;
        busi_fiber_sleep(5);
    }
    return busi_pg_ready(f->pg) == wanted;
}

/* Every connection is up and has prepared its statements, so that which one serves is foreseeable. */
static inline void wait_all(struct fixture *f)
{
    char sql[160];
    snprintf(sql, sizeof sql,
             "SELECT count(*) FROM pg_stat_activity WHERE application_name = '%s' AND state = 'idle'",
             f->schema);
    cr_assert(wait_ready(f, true, 5000));
    for (int i = 0; i < 200 && postgres_number(f->admin, sql) < 3; i++)
        busi_fiber_sleep(20);
    busi_fiber_sleep(50);
}

static inline void run_body(void *arg)
{
    struct fixture *f = arg;
    f->body(f);
    busi_loop_stop(f->loop);
}

/* Runs body on a fiber with f->pg connecting. */
static inline void run_with_pg(struct fixture *f, void (*body)(struct fixture *))
{
    f->body = body;
    f->loop = busi_loop_new();
    f->fibers = busi_fibers_new(f->loop, 2048, 64 * 1024);
    f->pg = busi_pg_new(f->loop,
                        &(struct busi_pg_options){
                            .conninfo = busi_str_of(f->conninfo),
                            .application = f->schema,
                            .statements = f->statements,
                            .n_statements = f->n_statements,
                            .connections = 3,
                            .statement_timeout_ms = f->statement_timeout_ms ? f->statement_timeout_ms : 1000,
                        });
    cr_assert(f->loop && f->fibers && f->pg);
    cr_assert(busi_fiber_start(f->fibers, run_body, f));
    busi_loop_run(f->loop);
    busi_pg_free(&f->pg);
    busi_fibers_free(&f->fibers);
    busi_loop_free(&f->loop);
}
