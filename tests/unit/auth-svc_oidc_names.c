/* A provider whose name a server does not tell. */
#define _GNU_SOURCE /* unshare */
#include "base/clock.h"
#include "dns_server.h"
#include "oidc/fetch.h"

TestSuite(oidc_names, .init = dns_start, .timeout = 60);

/* Silence of the name server lasts four seconds here, and may last half a minute. */
Test(oidc_names, nobody_waits_for_a_slow_server) /* D-06 */
{
    const struct auth_oidc_web web = {0};
    struct auth_oidc_answer answer;
    cr_assert(auth_oidc_web_begin());
    for (int i = 0; i < 3; i++) {
        const int64_t began_ms = busi_now_ms();
        const struct auth_oidc_request request = {.url = BUSI_STR("https://silent.test/"),
                                                  .until_ms = began_ms + 500};
        auth_oidc_fetch(&web, &request, &answer);
        cr_expect_eq(answer.status, 0);
        cr_expect_lt(busi_now_ms() - began_ms, 1500, "%s", answer.fault);
        busi_buf_fini(&answer.body);
    }
    sleep(6); /* its look-ups end meanwhile, and spoil nothing */
    auth_oidc_web_end();
}
