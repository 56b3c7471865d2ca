#include "slow_domains.h"
#include <criterion/criterion.h>
#include <stdio.h>

static struct slow_domains domains;
static char array[SLOW_DOMAINS_ARRAY_BYTES];

static bool is_array(int64_t now_ms, const char *text)
{
    return busi_str_eq(slow_domains_array(&domains, now_ms, array), busi_str_of(text));
}

Test(slow_domains, are_known_for_a_minute)
{
    cr_expect(is_array(1000, "{}"));
    slow_domains_note(&domains, BUSI_STR("ann@Slow.Example"), true, 1000);
    cr_expect(slow_domains_has(&domains, BUSI_STR("bob@slow.example"), 1000));
    cr_expect_not(slow_domains_has(&domains, BUSI_STR("bob@other.example"), 1000));
    cr_expect(is_array(1000, "{slow.example}"));
    cr_expect_not(slow_domains_has(&domains, BUSI_STR("bob@slow.example"), 61000));
    cr_expect(is_array(61000, "{}"));
}

Test(slow_domains, are_forgotten_when_they_are_quick_again)
{
    slow_domains_note(&domains, BUSI_STR("a@one.example"), true, 1000);
    slow_domains_note(&domains, BUSI_STR("a@two.example"), true, 1000);
    slow_domains_note(&domains, BUSI_STR("b@one.example"), false, 2000);
    slow_domains_note(&domains, BUSI_STR("b@three.example"), false, 2000);
    cr_expect(is_array(2000, "{two.example}"));
}

Test(slow_domains, are_so_many_and_no_more)
{
    char address[300];
    for (int i = 0; i < 3 * SLOW_DOMAINS; i++) {
        snprintf(address, sizeof(address), "a@d%d.example", i);
        slow_domains_note(&domains, busi_str_of(address), true, 1000 + i);
    }
    cr_expect(slow_domains_has(&domains, busi_str_of(address), 2000), "the last is among them");
    cr_expect_not(slow_domains_has(&domains, BUSI_STR("a@d0.example"), 2000), "the first is not");
    memset(address, 'x', sizeof(address));
    address[1] = '@';
    for (int i = 0; i < SLOW_DOMAINS; i++) { /* none can be longer */
        address[2] = (char)('a' + i);
        slow_domains_note(&domains, (struct busi_str){address, 255}, true, 3000);
    }
    struct busi_str text = slow_domains_array(&domains, 3000, array);
    cr_expect_eq(text.len, (size_t)(SLOW_DOMAINS * 254 + 1));
}
