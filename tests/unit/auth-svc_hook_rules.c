#include "base/clock.h"
#include "hooks/rules.h"
#include <criterion/criterion.h>

#define SUBSCRIBERS "risk=risk.internal:7001 crm=10.0.0.5:7002,10.0.0.6:7002"

static struct auth_hook_rules rules;
static struct busi_str culprit;

static const char *read(const char *subscribers, const char *hooks)
{
    return auth_hook_rules_read(&rules, busi_str_of(subscribers), busi_str_of(hooks), &culprit);
}

Test(hook_rules, nothing_is_nothing)
{
    cr_assert_null(read("", ""));
    cr_assert_null(read(NULL, " ; ;"));
    cr_assert_eq(rules.n_hooks, 0);
}

Test(hook_rules, what_is_said_is_understood)
{
    cr_assert_null(read(SUBSCRIBERS, "before_login=risk open 300ms; after_register=risk;after_login=crm"));
    cr_assert_eq(rules.n_subscribers, 2);
    cr_assert(busi_str_eq(rules.subscribers[1].endpoints, BUSI_STR("10.0.0.5:7002,10.0.0.6:7002")));
    cr_assert_eq(rules.n_hooks, 3);
    cr_assert(rules.hooks[0].event == AUTH_EVENT_before_login && !rules.hooks[0].closed &&
              rules.hooks[0].deadline_ms == 300 && rules.hooks[0].subscriber == 0);
    cr_assert(rules.hooks[1].event == AUTH_EVENT_after_register && rules.hooks[1].closed &&
              rules.hooks[1].deadline_ms == 500);
    cr_assert(rules.hooks[2].event == AUTH_EVENT_after_login && rules.hooks[2].subscriber == 1);
}

static void expect_fault(const char *subscribers, const char *hooks, const char *where, const char *what)
{
    const char *fault = read(subscribers, hooks);
    cr_assert_not_null(fault, "'%s' '%s' was understood", subscribers, hooks);
    cr_assert_not_null(strstr(fault, what), "'%s' for '%s' '%s'", fault, subscribers, hooks);
    cr_assert(busi_str_eq(culprit, busi_str_of(where)), "'%.*s'", BUSI_ARG(culprit));
}

Test(hook_rules, the_culprit_is_named)
{
    expect_fault("risk", "", "risk", "form");
    expect_fault("../risk=a:1", "", "../risk=a:1", "form");
    expect_fault("a=b:1 risk=nowhere", "", "risk=nowhere", "workers");
    expect_fault("a=b:1 a=c:2", "", "a=c:2", "twice");
    expect_fault(SUBSCRIBERS, "before_login", "before_login", "form");
    expect_fault(SUBSCRIBERS, "after_login=crm; before_tea=risk", "before_tea=risk", "event");
    expect_fault(SUBSCRIBERS, "before_login=nobody", "before_login=nobody", "subscriber");
    expect_fault(SUBSCRIBERS, "before_login=risk ajar", "before_login=risk ajar", "neither");
    expect_fault(SUBSCRIBERS, "before_login=risk 1h", "before_login=risk 1h", "outside");
    expect_fault(SUBSCRIBERS, "after_login=crm open", "after_login=crm open", "no more words");
    expect_fault(SUBSCRIBERS, "before_login=risk; before_login=risk open", "before_login=risk open", "twice");
    expect_fault("a=a:1 b=a:1 c=a:1 d=a:1 e=a:1 f=a:1 g=a:1 h=a:1 i=a:1", "", "i=a:1", "too many");
}
