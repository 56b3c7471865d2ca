#include "core/gateway.h"
#include "routing/guard_rules.h"
#include <criterion/criterion.h>

static struct guard_rules rules;
static struct busi_buf errors;
static struct busi_arena arena;
static struct router_options options;

static void begin(void)
{
    options = gateway_router_options(NULL);
    busi_buf_init(&errors, 4096);
    busi_arena_init(&arena, 1024 * 1024);
}

static void end(void)
{
    busi_buf_fini(&errors);
    busi_arena_fini(&arena);
}

TestSuite(guard_rules, .init = begin, .fini = end);

static void read_rules(const char *text)
{
    bool ok = guard_rules_read(&rules, busi_str_of(text), &options, &errors);
    cr_assert(ok, "%.*s", (int)errors.len, errors.ptr);
    cr_assert_eq(errors.len, 0);
}

static void is_refused(const char *text, const char *complaint)
{
    busi_buf_clear(&errors);
    cr_assert_not(guard_rules_read(&rules, busi_str_of(text), &options, &errors), "%s", text);
    struct busi_str said = {errors.ptr, errors.len};
    cr_assert(busi_str_eq(said, busi_str_of(complaint)), "%.*s", BUSI_ARG(said));
}

static const struct route *route(const char *label)
{
    for (size_t i = 0; i < ROUTES; i++)
        if (strcmp(routes[i].label, label) == 0)
            return &routes[i];
    cr_assert_fail("no route %s", label);
    return NULL;
}

static bool named(const char *label)
{
    return rules.named[route(label) - routes];
}

static enum guard_verdict judge(const char *label, bool confirmed, const char *meta)
{
    const struct busi_principal who = {.email_confirmed = confirmed, .meta = busi_str_of(meta)};
    int64_t owner_id;
    enum guard_verdict verdict = guard_rules_judge(&rules, route(label), &who, &arena, &owner_id);
    cr_assert_eq(owner_id, 0);
    return verdict;
}

#define WRITE "POST /api/businesses"

Test(guard_rules, none)
{
    read_rules("");
    cr_assert_not(named(WRITE));
    cr_assert_eq(judge(WRITE, false, "{}"), GUARD_PASSES);
    read_rules(" ; ;; ");
    cr_assert_eq(rules.n, 0u);
}

Test(guard_rules, a_token_is_enough)
{
    read_rules("GET /");
    cr_assert(named("GET /"));
    cr_assert_not(named(WRITE));
    cr_assert_eq(judge("GET /", false, "{}"), GUARD_PASSES);
}

Test(guard_rules, confirmed)
{
    read_rules("POST /api/businesses confirmed");
    cr_assert(named(WRITE));
    cr_assert_not(named("GET /api/businesses"));
    cr_assert_eq(judge(WRITE, true, "{}"), GUARD_PASSES);
    cr_assert_eq(judge(WRITE, false, "{}"), GUARD_NOT_CONFIRMED);
}

Test(guard_rules, every_method_of_a_path)
{
    read_rules("* /api/businesses/:id confirmed");
    cr_assert(named("GET /api/businesses/:id"));
    cr_assert(named("DELETE /api/businesses/:id"));
    cr_assert_not(named("GET /api/businesses"));
    cr_assert_eq(rules.n, 4u);
}

Test(guard_rules, meta)
{
    read_rules("POST /api/businesses meta.role=admin");
    cr_assert_eq(judge(WRITE, false, "{\"role\":\"admin\"}"), GUARD_PASSES);
    cr_assert_eq(judge(WRITE, false, "{\"x\":1,\"role\":\"admin\"}"), GUARD_PASSES);
    cr_assert_eq(judge(WRITE, false, "{\"role\":\"Admin\"}"), GUARD_UNAUTHORIZED);
    cr_assert_eq(judge(WRITE, false, "{\"role\":\"admin \"}"), GUARD_UNAUTHORIZED);
    cr_assert_eq(judge(WRITE, false, "{\"role\":[\"admin\"]}"), GUARD_UNAUTHORIZED);
    cr_assert_eq(judge(WRITE, false, "{\"role\":null}"), GUARD_UNAUTHORIZED);
    cr_assert_eq(judge(WRITE, false, "{\"a\":{\"role\":\"admin\"}}"), GUARD_UNAUTHORIZED);
    cr_assert_eq(judge(WRITE, false, "{}"), GUARD_UNAUTHORIZED);
    cr_assert_eq(judge(WRITE, false, NULL), GUARD_UNAUTHORIZED);
    cr_assert_eq(judge(WRITE, false, "{\"role\":\"admin\""), GUARD_UNAUTHORIZED);
    cr_assert_eq(judge(WRITE, false, "[{\"role\":\"admin\"}]"), GUARD_UNAUTHORIZED);
}

Test(guard_rules, values_have_their_types)
{
    read_rules("POST /api/businesses meta.level=3 meta.staff=true meta.a.b=\"x; y=1 \" meta.n=\"3\"");
    const char *good = "{\"level\":3,\"staff\":true,\"a.b\":\"x; y=1 \",\"n\":\"3\"}";
    cr_assert_eq(judge(WRITE, false, good), GUARD_PASSES);
    const char *const others[] = {
        "{\"level\":\"3\",\"staff\":true,\"a.b\":\"x; y=1 \",\"n\":\"3\"}",
        "{\"level\":3,\"staff\":\"true\",\"a.b\":\"x; y=1 \",\"n\":\"3\"}",
        "{\"level\":3,\"staff\":false,\"a.b\":\"x; y=1 \",\"n\":\"3\"}",
        "{\"level\":3,\"staff\":true,\"a.b\":\"x\",\"n\":\"3\"}",
        "{\"level\":3,\"staff\":true,\"a.b\":\"x; y=1 \",\"n\":3}",
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        cr_assert_eq(judge(WRITE, false, others[i]), GUARD_UNAUTHORIZED, "%s", others[i]);
}

Test(guard_rules, all_of_them_must_hold)
{
    read_rules("* /api/businesses confirmed;POST /api/businesses\tmeta.role=admin ; ");
    cr_assert_eq(judge(WRITE, true, "{\"role\":\"admin\"}"), GUARD_PASSES);
    cr_assert_eq(judge(WRITE, false, "{\"role\":\"admin\"}"), GUARD_NOT_CONFIRMED);
    cr_assert_eq(judge(WRITE, true, "{}"), GUARD_UNAUTHORIZED);
    cr_assert_eq(judge("GET /api/businesses", true, "{}"), GUARD_PASSES);
}

Test(guard_rules, paths_are_those_of_the_table)
{
    options.prefix[SURFACE_busi] = BUSI_STR("/shop");
    read_rules("POST /shop/api/businesses confirmed");
    cr_assert(named(WRITE));
    is_refused("POST /api/businesses confirmed",
               "BUSI_GUARD_RULES: no route (see `gateway routes`) 'POST /api/businesses'\n");
    options.on[SURFACE_busi] = false;
    is_refused("POST /shop/api/businesses",
               "BUSI_GUARD_RULES: no route (see `gateway routes`) 'POST /shop/api/businesses'\n");
}

Test(guard_rules, faults_name_the_culprit)
{
    is_refused("POST /nowhere", "BUSI_GUARD_RULES: no route (see `gateway routes`) 'POST /nowhere'\n");
    is_refused("FETCH /", "BUSI_GUARD_RULES: no route (see `gateway routes`) 'FETCH /'\n");
    is_refused("post /api/businesses",
               "BUSI_GUARD_RULES: no route (see `gateway routes`) 'post /api/businesses'\n");
    is_refused("GET", "BUSI_GUARD_RULES: no route (see `gateway routes`) 'GET'\n");
    is_refused("GET / confirmd", "BUSI_GUARD_RULES: no condition 'confirmd'\n");
    is_refused("GET / meta.role", "BUSI_GUARD_RULES: no condition 'meta.role'\n");
    is_refused("GET / meta.=x", "BUSI_GUARD_RULES: no condition 'meta.=x'\n");
    is_refused("GET / meta.role=", "BUSI_GUARD_RULES: no condition 'meta.role='\n");
    is_refused("GET / meta.role=\"a", "BUSI_GUARD_RULES: no condition 'meta.role=\"a'\n");
    is_refused("GET / meta.role=a\"b\"", "BUSI_GUARD_RULES: no condition 'meta.role=a\"b\"'\n");
    is_refused("GET / x; GET /y confirmed; GET / confirmed",
               "BUSI_GUARD_RULES: no condition 'x'\n"
               "BUSI_GUARD_RULES: no route (see `gateway routes`) 'GET /y'\n");
}

Test(guard_rules, bounded)
{
    char text[4096] = "";
    for (int i = 0; i < GUARD_CONDITIONS_MOST + 1; i++)
        strcat(text, "GET / meta.a=b;");
    is_refused(text, "BUSI_GUARD_RULES: too many conditions from 'meta.a=b'\n");
    cr_assert_eq(rules.n, (size_t)GUARD_CONDITIONS_MOST);
}

/* ---- roles ---- */

/* Passes, for whom's objects: -1 when it does not. */
static int64_t owner_for(const char *label, const char *roles)
{
    const struct busi_principal who = {.user_id = 7, .roles = busi_str_of(roles)};
    int64_t owner_id;
    enum guard_verdict verdict = guard_rules_judge(&rules, route(label), &who, &arena, &owner_id);
    cr_assert(verdict == GUARD_PASSES || verdict == GUARD_FORBIDDEN);
    return verdict == GUARD_PASSES ? owner_id : -1;
}

static void may(const char *label, const char *roles)
{
    cr_assert_eq(owner_for(label, roles), 0, "%s", roles);
}

static void may_not(const char *label, const char *roles)
{
    cr_assert_eq(owner_for(label, roles), -1, "%s", roles);
}

#define CHANGE "PATCH /api/businesses/:id"

Test(guard_rules, one_of_some_roles)
{
    read_rules(WRITE " role=admin,Clerk");
    cr_assert(named(WRITE));
    cr_assert_not(rules.plugged[route(WRITE) - routes], "is refused in the surface's words");
    may(WRITE, "admin");
    may(WRITE, "clerk");
    may(WRITE, "aaa,clerk,zzz");
    may(WRITE, "root");
    may_not(WRITE, NULL);
    may_not(WRITE, "");
    may_not(WRITE, "guest");
    may_not(WRITE, "adm");
    may_not(WRITE, "admin2,clerk-x");
    may_not(WRITE, "admin clerk");
    may(CHANGE, "");
}

Test(guard_rules, roles_of_two_rules)
{
    read_rules(WRITE " role=admin; " WRITE " role=clerk role=c");
    may(WRITE, "admin,c,clerk");
    may(WRITE, "root");
    may_not(WRITE, "admin,clerk");
    may_not(WRITE, "c,clerk");
}

Test(guard_rules, owner)
{
    read_rules("* /api/businesses/:id confirmed; " CHANGE
               " owner|role=admin; DELETE /api/businesses/:id owner");
    const struct busi_principal who = {.user_id = 7, .email_confirmed = true};
    int64_t owner_id = 1;
    cr_assert_eq(guard_rules_judge(&rules, route(CHANGE), &who, &arena, &owner_id), GUARD_PASSES);
    cr_assert_eq(owner_id, 7);
    cr_assert_eq(guard_rules_judge(&rules, route("GET /api/businesses/:id"), &who, &arena, &owner_id),
                 GUARD_PASSES);
    cr_assert_eq(owner_id, 0);
    read_rules(CHANGE " owner|role=admin,clerk; DELETE /api/businesses/:id owner");
    cr_assert_eq(owner_for(CHANGE, "guest"), 7);
    may(CHANGE, "clerk");
    may(CHANGE, "root");
    cr_assert_eq(owner_for("DELETE /api/businesses/:id", "admin"), 7);
    may("DELETE /api/businesses/:id", "root");
    read_rules(CHANGE " owner role=clerk");
    cr_assert_eq(owner_for(CHANGE, "clerk"), 7, "both must hold");
    may_not(CHANGE, "guest");
}

Test(guard_rules, both_kinds_on_one_route)
{
    read_rules(WRITE " confirmed role=admin");
    cr_assert(rules.plugged[route(WRITE) - routes]);
    cr_assert_eq(judge(WRITE, false, "{}"), GUARD_NOT_CONFIRMED);
    cr_assert_eq(judge(WRITE, true, "{}"), GUARD_FORBIDDEN);
}

Test(guard_rules, faults_of_roles)
{
    is_refused("GET / role=", "BUSI_GUARD_RULES: no condition 'role='\n");
    is_refused("GET / role=a,", "BUSI_GUARD_RULES: no condition 'role=a,'\n");
    is_refused("GET / role=,a", "BUSI_GUARD_RULES: no condition 'role=,a'\n");
    is_refused("GET / role=a,,b", "BUSI_GUARD_RULES: no condition 'role=a,,b'\n");
    is_refused("GET / role=a|b", "BUSI_GUARD_RULES: no condition 'role=a|b'\n");
    is_refused("GET / roles=a", "BUSI_GUARD_RULES: no condition 'roles=a'\n");
    is_refused(CHANGE " owner|", "BUSI_GUARD_RULES: no condition 'owner|'\n");
    is_refused(CHANGE " owner|role=", "BUSI_GUARD_RULES: no condition 'owner|role='\n");
    is_refused(CHANGE " owner|admin", "BUSI_GUARD_RULES: no condition 'owner|admin'\n");
    is_refused(CHANGE " Owner", "BUSI_GUARD_RULES: no condition 'Owner'\n");
    is_refused("GET /api/businesses owner",
               "BUSI_GUARD_RULES: nothing has an owner at 'GET /api/businesses'\n");
    is_refused("* /api/businesses/:id owner|role=a",
               "BUSI_GUARD_RULES: nothing has an owner at '* /api/businesses/:id'\n");
}

static void is_printed(const char *label, const char *as)
{
    struct busi_buf out;
    busi_buf_init(&out, 1024);
    guard_rules_print(&out, &rules, route(label));
    cr_assert(busi_str_eq((struct busi_str){out.ptr, out.len}, busi_str_of(as)), "%.*s", (int)out.len,
              out.ptr);
    busi_buf_fini(&out);
}

Test(guard_rules, are_printed)
{
    read_rules("POST /login; " WRITE " confirmed meta.a=\"b c\"; " CHANGE " owner|role=admin; " WRITE
               " role=a,b");
    is_printed("GET /", "public");
    is_printed("POST /login", "token");
    is_printed("GET /api/businesses", "token");
    is_printed(CHANGE, "owner|role=admin");
    is_printed(WRITE, "confirmed meta.a=\"b c\" role=a,b");
}
