#include "directory.h"
#include "business.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const struct busi_pg_statement statements[] = {
#define STATEMENT(name, effect, n_params, sql) {#name, BUSI_PG_##effect, n_params, sql},
#include "statements.def"
#undef STATEMENT
};

struct directory *directory_new(struct busi_loop *loop, const struct directory_options *options)
{
    struct directory *directory = calloc(1, sizeof *directory);
    if (!directory)
        return NULL;
    directory->pg = busi_pg_new(loop, &(struct busi_pg_options){
                                          .conninfo = options->database,
                                          .application = "directory-svc",
                                          .statements = statements,
                                          .n_statements = DIRECTORY_STATEMENTS,
                                          .connections = options->connections,
                                          .statement_timeout_ms = options->statement_timeout_ms,
                                      });
    if (!directory->pg)
        directory_free(&directory);
    return directory;
}

void directory_free(struct directory **directory)
{
    if (!*directory)
        return;
    busi_pg_free(&(*directory)->pg);
    free(*directory);
    *directory = NULL;
}

bool directory_ready(const struct directory *directory)
{
    return busi_pg_ready(directory->pg);
}

struct number {
    char text[24];
};

static struct busi_str write_number(struct number *number, int64_t value)
{
    int n = snprintf(number->text, sizeof number->text, "%" PRId64, value);
    return (struct busi_str){number->text, (size_t)n};
}

/* A statement that finds or changes one business. */
static enum busi_code run_one(struct directory *self, struct busi_call *call,
                              enum directory_statement statement, const struct busi_str *params,
                              struct busi_business *out)
{
    struct busi_pg_result result;
    enum busi_code code = busi_pg_run(self->pg, statement, params, call->until_ms, &result);
    if (code == BUSI_OK && result.rows == 0)
        code = busi_call_fail(call, BUSI_NOT_FOUND, "no such business");
    else if (code == BUSI_OK && !busi_pg_message(&result, 0, busi_desc_business(), out, &call->arena))
        code = busi_call_fail(call, BUSI_INTERNAL, "a row did not fit its message");
    busi_pg_clear(&result);
    return code;
}

/* As a parameter; anybody is null. */
static struct busi_str write_owner(struct number *number, int64_t owner_id)
{
    return owner_id ? write_number(number, owner_id) : (struct busi_str){0};
}

static enum busi_code find(struct directory *self, struct busi_call *call, int64_t id,
                           struct busi_business *out)
{
    struct number number;
    const struct busi_str params[] = {write_number(&number, id)};
    return run_one(self, call, DIRECTORY_GET, params, out);
}

/* The same, of a row that must be owner_id's; 0: anybody's. */
static enum busi_code find_owned(struct directory *self, struct busi_call *call, int64_t id, int64_t owner_id,
                                 struct busi_business *out)
{
    enum busi_code code = find(self, call, id, out);
    if (code == BUSI_OK && owner_id && out->created_by != owner_id)
        code = busi_call_fail(call, BUSI_PERMISSION_DENIED, "this business is another user's");
    return code;
}

/* Why a statement that names an owner found no row. A row's owner never changes: looking again is no race. */
static enum busi_code explain(struct directory *self, struct busi_call *call, int64_t id, int64_t owner_id)
{
    struct busi_business business = {0};
    if (!owner_id)
        return busi_call_fail(call, BUSI_NOT_FOUND, "no such business");
    enum busi_code code = find_owned(self, call, id, owner_id, &business);
    /* his: it was not there when the statement ran */
    return code == BUSI_OK ? busi_call_fail(call, BUSI_NOT_FOUND, "no such business") : code;
}

enum busi_code directory_get_business(struct directory *self, struct busi_call *call,
                                      const struct busi_business_id_request *in, struct busi_business *out)
{
    return find(self, call, in->id, out);
}

/* What was answered to the same request before; its key may be another one's. */
static enum busi_code find_created(struct directory *self, struct busi_call *call,
                                   const struct busi_write_business_request *in, struct busi_business *out)
{
    struct number creator;
    const struct busi_str params[] = {write_number(&creator, call->user_id), call->idempotency_key, in->name,
                                      in->description, in->tag};
    enum busi_code code = run_one(self, call, DIRECTORY_FIND_CREATED, params, out);
    if (code != BUSI_NOT_FOUND)
        return code;
    busi_call_refuse(call, "idempotency_key", BUSI_RULE_TAKEN, 0);
    return busi_call_fail(call, BUSI_INVALID_ARGUMENT, "the idempotency key is another request's");
}

enum busi_code directory_create_business(struct directory *self, struct busi_call *call,
                                         const struct busi_write_business_request *in,
                                         struct busi_business *out)
{
    struct number creator;
    if (call->user_id == 0)
        return busi_call_fail(call, BUSI_UNAUTHENTICATED, "only a user may write");
    if (!business_check(call, in))
        return busi_call_fail(call, BUSI_INVALID_ARGUMENT, "the record is not valid");
    const struct busi_str params[] = {in->name, in->description, in->tag,
                                      write_number(&creator, call->user_id), call->idempotency_key};
    if (!call->idempotency_key.ptr)
        return run_one(self, call, DIRECTORY_CREATE, params, out);
    enum busi_code code = run_one(self, call, DIRECTORY_CREATE_ONCE, params, out);
    return code == BUSI_ALREADY_EXISTS ? find_created(self, call, in, out) : code;
}

enum busi_code directory_update_business(struct directory *self, struct busi_call *call,
                                         const struct busi_write_business_request *in,
                                         struct busi_business *out)
{
    struct number id, owner;
    if (call->user_id == 0)
        return busi_call_fail(call, BUSI_UNAUTHENTICATED, "only a user may write");
    bool valid = business_check_change(call, in);
    if (!valid || (!in->name.ptr && !in->description.ptr && !in->tag.ptr)) {
        /* what does not exist is told before what is wrong with it; nothing to change is no write */
        enum busi_code code = find_owned(self, call, in->id, in->owner_id, out);
        return code == BUSI_OK && !valid
                   ? busi_call_fail(call, BUSI_INVALID_ARGUMENT, "the change is not valid")
                   : code;
    }
    const struct busi_str params[] = {write_number(&id, in->id), in->name, in->description, in->tag,
                                      write_owner(&owner, in->owner_id)};
    enum busi_code code = run_one(self, call, DIRECTORY_UPDATE, params, out);
    return code == BUSI_NOT_FOUND ? explain(self, call, in->id, in->owner_id) : code;
}

enum busi_code directory_delete_business(struct directory *self, struct busi_call *call,
                                         const struct busi_business_id_request *in, struct busi_empty *out)
{
    struct busi_pg_result result;
    struct number id, owner;
    (void)out;
    if (call->user_id == 0)
        return busi_call_fail(call, BUSI_UNAUTHENTICATED, "only a user may write");
    const struct busi_str params[] = {write_number(&id, in->id), write_owner(&owner, in->owner_id)};
    enum busi_code code = busi_pg_run(self->pg, DIRECTORY_DELETE, params, call->until_ms, &result);
    bool gone = code == BUSI_OK && result.affected > 0;
    busi_pg_clear(&result);
    return code != BUSI_OK || gone ? code : explain(self, call, in->id, in->owner_id);
}
