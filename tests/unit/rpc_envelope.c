/* Envelopes: golden bytes, and what is read of them. */
#include "rpc_envelope_kit.h"

static void expect_bytes(const struct busi_buf *buf, const char *name)
{
    struct bytes wanted = golden(name);
    cr_assert_not(buf->failed);
    cr_assert_eq(buf->len, wanted.n, "%s: %zu bytes, not %zu", name, buf->len, wanted.n);
    cr_assert_eq(memcmp(buf->ptr, wanted.at, wanted.n), 0, "%s", name);
}

static struct busi_request_head full_head(void)
{
    return (struct busi_request_head){.method = BUSI_STR("auth.CheckToken"),
                                      .id = 4294967297,
                                      .budget_ms = 950,
                                      .request_id = BUSI_STR("req-7F.x_1"),
                                      .traceparent =
                                          BUSI_STR("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
                                      .user_id = 42,
                                      .idempotency_key = BUSI_STR("k-1")};
}

Test(rpc_envelope, requests_are_written_as_the_wire_says)
{
    struct busi_buf buf;
    busi_buf_init(&buf, 4096);
    busi_request_encode(
        &buf, &(struct busi_request_head){.method = BUSI_STR("rpc.Health"), .id = 65536, .budget_ms = 1000},
        busi_desc_empty(), &(struct busi_empty){0});
    expect_bytes(&buf, "request_least");
    busi_buf_fini(&buf);
    const struct busi_request_head full = full_head();
    busi_request_encode(&buf, &full, busi_desc_check_token_request(),
                        &(struct busi_check_token_request){.token = BUSI_STR("tok")});
    expect_bytes(&buf, "request_full");
    busi_buf_fini(&buf);
}

static const struct busi_origin origin = {
    .remote_addr = {"2001:db8::7", 11}, .user_agent = {"curl/7.88", 9}, .language = {"de-CH", 5}};

Test(rpc_envelope, who_is_at_the_edge_travels_along)
{
    struct busi_buf buf;
    struct busi_request_head head;
    const char *bad;
    struct bytes wanted = golden("request_origin");
    busi_buf_init(&buf, 4096);
    busi_request_encode(&buf,
                        &(struct busi_request_head){
                            .method = BUSI_STR("auth.SignOut"), .id = 7, .budget_ms = 100, .origin = origin},
                        busi_desc_check_token_request(),
                        &(struct busi_check_token_request){.token = BUSI_STR("tok")});
    expect_bytes(&buf, "request_origin");
    busi_buf_fini(&buf);
    cr_assert(busi_request_decode(str(&wanted), &head, &bad), "%s", bad);
    cr_expect(busi_str_eq(head.origin.remote_addr, origin.remote_addr));
    cr_expect(busi_str_eq(head.origin.user_agent, origin.user_agent));
    cr_expect(busi_str_eq(head.origin.language, origin.language));
}

Test(rpc_envelope, what_is_done_there_travels_along)
{
    struct busi_buf buf;
    struct busi_request_head head;
    const char *bad;
    struct bytes wanted = golden("request_activity");
    busi_buf_init(&buf, 4096);
    busi_request_encode(&buf,
                        &(struct busi_request_head){
                            .method = BUSI_STR("auth.SignOut"),
                            .id = 7,
                            .budget_ms = 100,
                            .origin = {.strategy = BUSI_STR("password"), .phase = BUSI_STR("sign_in")}},
                        busi_desc_check_token_request(),
                        &(struct busi_check_token_request){.token = BUSI_STR("tok")});
    expect_bytes(&buf, "request_activity");
    busi_buf_fini(&buf);
    cr_assert(busi_request_decode(str(&wanted), &head, &bad), "%s", bad);
    cr_expect(busi_str_eq(head.origin.strategy, BUSI_STR("password")));
    cr_expect(busi_str_eq(head.origin.phase, BUSI_STR("sign_in")));
}

Test(rpc_envelope, a_refusal_says_which_limit_was_reached)
{
    struct busi_buf buf;
    struct busi_reply_head head;
    const char *bad;
    struct bytes wanted = golden("reply_limited");
    struct busi_call call = {.retry_after_ms = 5400,
                             .quota = {.limit = 10, .window_ms = 60000, .remaining = 0, .reset_ms = 59400}};
    enum busi_code code = busi_call_fail(&call, BUSI_RESOURCE_EXHAUSTED, "too many requests");
    busi_buf_init(&buf, 4096);
    busi_reply_encode(&buf, 7, code, &call, NULL, NULL);
    expect_bytes(&buf, "reply_limited");
    busi_buf_fini(&buf);
    cr_assert(busi_reply_decode(str(&wanted), &head, &bad), "%s", bad);
    cr_expect_eq(head.quota.len, 13);
    cr_expect_eq(head.retry_after_ms, 5400);
}

Test(rpc_envelope, what_every_worker_answers_is_written_as_the_wire_says)
{
    struct busi_buf buf;
    busi_buf_init(&buf, 4096);
    busi_request_encode(
        &buf, &(struct busi_request_head){.method = BUSI_STR("rpc.Watch"), .id = 9, .budget_ms = 20000},
        busi_desc_empty(), &(struct busi_empty){0});
    expect_bytes(&buf, "request_watch");
    busi_buf_fini(&buf);
    busi_request_encode(
        &buf, &(struct busi_request_head){.method = BUSI_STR("rpc.Cancel"), .id = 10, .budget_ms = 1000},
        busi_desc_cancel_request(), &(struct busi_cancel_request){.id = 7});
    expect_bytes(&buf, "request_cancel");
    busi_buf_fini(&buf);
    busi_reply_encode(&buf, 9, BUSI_OK, NULL, busi_desc_health_reply(),
                      &(struct busi_health_reply){.service = BUSI_STR("auth"),
                                                  .version = BUSI_STR("0.1.0"),
                                                  .ready = true,
                                                  .in_flight = 3,
                                                  .cancels = true});
    expect_bytes(&buf, "reply_watch");
    busi_buf_fini(&buf);
}

Test(rpc_envelope, replies_are_written_as_the_wire_says)
{
    struct busi_buf buf;
    struct busi_call call;
    busi_call_init(&call, 4096);
    busi_buf_init(&buf, 4096);
    busi_reply_encode(&buf, 65537, BUSI_OK, &call, busi_desc_business(),
                      &(struct busi_business){.id = 7,
                                              .name = BUSI_STR("Caf\xC3\xA9 9"),
                                              .description = BUSI_STR("d"),
                                              .tag = BUSI_STR("IT, Software"),
                                              .date = BUSI_STR("2018-11-11 07:00:53.229068")});
    expect_bytes(&buf, "reply_ok");
    busi_buf_fini(&buf);
    enum busi_code code = busi_call_fail(&call, BUSI_NOT_FOUND, "no such business");
    busi_reply_encode(&buf, 65537, code, &call, NULL, NULL);
    expect_bytes(&buf, "reply_not_found");
    busi_buf_fini(&buf);
    code = busi_call_fail(&call, BUSI_INVALID_ARGUMENT, "refused");
    call.retry_after_ms = 2000;
    busi_call_refuse(&call, "tag", BUSI_RULE_BLANK, 0);
    busi_call_refuse(&call, "password", BUSI_RULE_TOO_SHORT, 6);
    busi_reply_encode(&buf, 65537, code, &call, NULL, NULL);
    expect_bytes(&buf, "reply_refused");
    busi_buf_fini(&buf);
    busi_notice_encode(&buf, true);
    expect_bytes(&buf, "notice_draining");
    busi_buf_fini(&buf);
    busi_call_fini(&call);
}

Test(rpc_envelope, requests_are_read_as_the_wire_says)
{
    struct busi_request_head head;
    const char *bad;
    struct bytes least = golden("request_least"), all = golden("request_full");
    cr_assert(busi_request_decode(str(&least), &head, &bad), "%s", bad);
    cr_expect(busi_str_eq(head.method, BUSI_STR("rpc.Health")));
    cr_expect_eq(head.id, 65536);
    cr_expect_eq(head.budget_ms, 1000);
    cr_expect_null(head.request_id.ptr);
    cr_expect_eq(head.body.len, 1);
    const struct busi_request_head full = full_head();
    cr_assert(busi_request_decode(str(&all), &head, &bad), "%s", bad);
    cr_expect(busi_str_eq(head.method, full.method));
    cr_expect_eq(head.id, full.id);
    cr_expect_eq(head.budget_ms, full.budget_ms);
    cr_expect(busi_str_eq(head.request_id, full.request_id));
    cr_expect(busi_str_eq(head.traceparent, full.traceparent));
    cr_expect_eq(head.user_id, 42);
    cr_expect(busi_str_eq(head.idempotency_key, full.idempotency_key));
    cr_expect(busi_str_eq(head.body, BUSI_STR("\x81\x01\xa3tok")));
}

Test(rpc_envelope, replies_are_read_as_the_wire_says)
{
    struct busi_reply_head head;
    const char *bad;
    struct bytes ok = golden("reply_ok"), not_found = golden("reply_not_found"),
                 refused = golden("reply_refused"), notice = golden("notice_draining");
    cr_assert(busi_reply_decode(str(&ok), &head, &bad), "%s", bad);
    cr_expect_eq(head.id, 65537);
    cr_expect_eq(head.code, BUSI_OK);
    cr_expect_not_null(head.body.ptr);
    cr_assert(busi_reply_decode(str(&not_found), &head, &bad), "%s", bad);
    cr_expect_eq(head.code, BUSI_NOT_FOUND);
    cr_expect(busi_str_eq(head.message, BUSI_STR("no such business")));
    cr_assert(busi_reply_decode(str(&refused), &head, &bad), "%s", bad);
    cr_expect_eq(head.retry_after_ms, 2000);
    cr_expect_not_null(head.violations.ptr);
    cr_assert(busi_reply_decode(str(&notice), &head, &bad), "%s", bad);
    cr_expect_eq(head.id, 0);
    cr_expect(head.draining);
}

Test(rpc_envelope, a_plain_request_is_fine)
{
    struct bytes plain = PAIRS(5, HEAD "\x09\x80"), order = PAIRS(5, "\x09\x81\x01\x05" HEAD);
    cr_expect(request_ok(&plain));
    cr_expect(request_ok(&order), "keys in another order");
}

Test(rpc_envelope, what_later_versions_add_is_skipped) /* M-04 M-20 */
{
    struct bytes more = PAIRS(8, HEAD "\x7f\x93\x01\x02\x03\xcd\x01\x00\xa1x\x63\xc7\x00\x05\x09\x80");
    cr_expect(request_ok(&more), "unknown keys with an array, a text and an ext");
    struct bytes deep = PAIRS(6, HEAD "\x7f\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x01\x09\x80");
    cr_expect_not(request_ok(&deep), "nested too deep");
    struct bytes cut = PAIRS(6, HEAD "\x7f\xdb\xff\xff\xff\xff"
                                     "\x09\x80");
    cr_expect_not(request_ok(&cut), "a text of 4 GiB");
}

Test(rpc_envelope, budgets_are_cut_and_past_ones_are_none) /* M-25 M-27 */
{
    struct busi_request_head head;
    const char *bad;
    struct bytes past = PAIRS(5, "\x01\x01\x02\xa3"
                                 "a.B"
                                 "\x03\x07\x04\xff\x09\x80"),
                 year = PAIRS(5, "\x01\x01\x02\xa3"
                                 "a.B"
                                 "\x03\x07\x04\xce\x70\0\0\0\x09\x80"),
                 wide = PAIRS(5, "\x01\x01\x02\xa3"
                                 "a.B"
                                 "\x03\x07\x04\xd3\0\0\0\0\0\0\0\x05\x09\x80");
    cr_assert(busi_request_decode(str(&past), &head, &bad));
    cr_expect_eq(head.budget_ms, 0);
    cr_assert(busi_request_decode(str(&year), &head, &bad));
    cr_expect_eq(head.budget_ms, 30000);
    cr_assert(busi_request_decode(str(&wide), &head, &bad), "a long form of a small number");
    cr_expect_eq(head.budget_ms, 5);
}

Test(rpc_envelope, traces_of_another_form_are_dropped_not_refused) /* M-36 */
{
    static const char *const wrong[] = {"",
                                        "x",
                                        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
                                        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                                        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
                                        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                                        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
                                        "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
                                        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
                                        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct busi_request_head head, from = full_head();
        const char *bad = NULL;
        struct busi_buf buf;
        busi_buf_init(&buf, 4096);
        from.traceparent = busi_str_of(wrong[i]);
        busi_request_encode(&buf, &from, busi_desc_empty(), &(struct busi_empty){0});
        cr_assert(busi_request_decode((struct busi_str){buf.ptr, buf.len}, &head, &bad), "'%s': %s", wrong[i],
                  bad);
        cr_expect_null(head.traceparent.ptr, "'%s'", wrong[i]);
        busi_buf_fini(&buf);
    }
}

Test(rpc_envelope, a_long_message_is_cut_between_characters)
{
    char text[300];
    struct busi_call call = {.message = {text, sizeof text}};
    struct busi_buf buf;
    struct busi_reply_head head;
    const char *bad;
    memset(text, 'x', sizeof text);
    memcpy(text + 254, "\xE2\x82\xAC", 3); /* a euro sign across the limit */
    busi_buf_init(&buf, 4096);
    busi_reply_encode(&buf, 1, BUSI_INTERNAL, &call, NULL, NULL);
    cr_assert(busi_reply_decode((struct busi_str){buf.ptr, buf.len}, &head, &bad), "%s", bad);
    cr_expect_eq(head.message.len, 254);
    busi_buf_fini(&buf);
}

Test(rpc_envelope, a_call_keeps_sixteen_violations)
{
    struct busi_call call;
    busi_call_init(&call, 4096);
    for (int i = 0; i < 20; i++)
        busi_call_refuse(&call, "f", BUSI_RULE_INVALID, i);
    cr_expect_eq(call.n_violations, 16);
    cr_expect_eq(call.violations[15].limit, 15);
    cr_expect_eq(busi_call_left_ms(&call), 0);
    busi_call_fini(&call);
}
