/* Envelopes: golden bytes, and everything that must be refused. */
#include "rpc/envelope.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- golden bytes ---- */

struct bytes {
    unsigned char at[4096];
    size_t n;
};

/* The frame called name in tests/wire/golden_envelopes.txt. */
static struct bytes golden(const char *name)
{
    char line[8192], word[64], hex[8000];
    struct bytes bytes = {0};
    FILE *file = fopen(BUSI_SOURCE "/tests/wire/golden_envelopes.txt", "r");
    cr_assert_not_null(file);
    while (fgets(line, sizeof line, file)) {
        if (line[0] == '#' || sscanf(line, "%63s %7999s", word, hex) != 2 || strcmp(word, name) != 0)
            continue;
        for (const char *at = hex; at[0] && at[1]; at += 2) {
            char pair[3] = {at[0], at[1], 0};
            bytes.at[bytes.n++] = (unsigned char)strtoul(pair, NULL, 16);
        }
    }
    fclose(file);
    cr_assert_gt(bytes.n, 0, "no golden bytes '%s'", name);
    return bytes;
}

static struct busi_str str(const struct bytes *bytes)
{
    return (struct busi_str){(const char *)bytes->at, bytes->n};
}

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

/* ---- what must be refused ---- */

static bool request_ok(const struct bytes *bytes)
{
    struct busi_request_head head;
    const char *bad = NULL;
    /* of exactly their size, so that the sanitizer sees a byte too many */
    char *copy = malloc(bytes->n ? bytes->n : 1);
    memcpy(copy, bytes->at, bytes->n);
    bool fine = busi_request_decode((struct busi_str){copy, bytes->n}, &head, &bad);
    cr_assert(fine == (bad == NULL), "says nothing about why");
    cr_assert(fine || head.method.ptr == NULL, "refused, but filled");
    free(copy);
    return fine;
}

static bool reply_ok(const struct bytes *bytes)
{
    struct busi_reply_head head;
    const char *bad = NULL;
    char *copy = malloc(bytes->n ? bytes->n : 1);
    memcpy(copy, bytes->at, bytes->n);
    bool fine = busi_reply_decode((struct busi_str){copy, bytes->n}, &head, &bad);
    cr_assert(fine == (bad == NULL), "says nothing about why");
    free(copy);
    return fine;
}

/* Pairs behind a map header, as bytes. */
#define PAIRS(n, literal) of(n, literal, sizeof(literal) - 1)
static struct bytes of(unsigned n_pairs, const char *pairs, size_t len)
{
    struct bytes bytes = {.n = len + 1};
    bytes.at[0] = (unsigned char)(0x80 | n_pairs);
    memcpy(bytes.at + 1, pairs, len);
    return bytes;
}

#define HEAD                                                                                                 \
    "\x01\x01\x02\xa3"                                                                                       \
    "a.B"                                                                                                    \
    "\x03\x07\x04\x64"

/* A request whose id is a text of n bytes. */
static struct bytes id_of(size_t n)
{
    static const char before[] = "\x85\x01\x01\x02\xa3"
                                 "a.B"
                                 "\x03\xda",
                      after[] = "\x04\x64\x09\x80";
    struct bytes bytes = {.n = sizeof before - 1};
    memcpy(bytes.at, before, bytes.n);
    bytes.at[bytes.n++] = (unsigned char)(n >> 8);
    bytes.at[bytes.n++] = (unsigned char)n;
    memset(bytes.at + bytes.n, '7', n);
    bytes.n += n;
    memcpy(bytes.at + bytes.n, after, sizeof after - 1);
    bytes.n += sizeof after - 1;
    return bytes;
}

Test(rpc_envelope, a_plain_request_is_fine)
{
    struct bytes plain = PAIRS(5, HEAD "\x09\x80"), order = PAIRS(5, "\x09\x81\x01\x05" HEAD);
    cr_expect(request_ok(&plain));
    cr_expect(request_ok(&order), "keys in another order");
}

Test(rpc_envelope,
     requests_that_say_nonsense_are_refused) /* M-02 M-03 M-06 M-10 M-16 M-19 M-21 M-22 M-24 M-26 M-28 M-36 */
{
    const struct {
        const char *what;
        struct bytes bytes;
    } rows[] = {
        {"no version", PAIRS(4, "\x02\xa3"
                                "a.B"
                                "\x03\x07\x04\x64\x09\x80")},
        {"version 0", PAIRS(5, "\x01\x00\x02\xa3"
                               "a.B"
                               "\x03\x07\x04\x64\x09\x80")},
        {"version 2", PAIRS(5, "\x01\x02\x02\xa3"
                               "a.B"
                               "\x03\x07\x04\x64\x09\x80")},
        {"version as text", PAIRS(5, "\x01\xa1"
                                     "1"
                                     "\x02\xa3"
                                     "a.B"
                                     "\x03\x07\x04\x64\x09\x80")},
        {"no method", PAIRS(4, "\x01\x01\x03\x07\x04\x64\x09\x80")},
        {"method as int", PAIRS(5, "\x01\x01\x02\x05\x03\x07\x04\x64\x09\x80")},
        {"method as bin", PAIRS(5, "\x01\x01\x02\xc4\x03"
                                   "a.B"
                                   "\x03\x07\x04\x64\x09\x80")},
        {"method not UTF-8", PAIRS(5, "\x01\x01\x02\xa3"
                                      "a\xff"
                                      "B"
                                      "\x03\x07\x04\x64\x09\x80")},
        {"method with NUL", PAIRS(5, "\x01\x01\x02\xa3"
                                     "a\0B"
                                     "\x03\x07\x04\x64\x09\x80")},
        {"no id", PAIRS(4, "\x01\x01\x02\xa3"
                           "a.B"
                           "\x04\x64\x09\x80")},
        {"id 0", PAIRS(5, "\x01\x01\x02\xa3"
                          "a.B"
                          "\x03\x00\x04\x64\x09\x80")},
        {"id negative", PAIRS(5, "\x01\x01\x02\xa3"
                                 "a.B"
                                 "\x03\xff\x04\x64\x09\x80")},
        {"id uint64 max", PAIRS(5, "\x01\x01\x02\xa3"
                                   "a.B"
                                   "\x03\xcf\xff\xff\xff\xff\xff\xff\xff\xff\x04\x64\x09\x80")},
        {"id int64 min", PAIRS(5, "\x01\x01\x02\xa3"
                                  "a.B"
                                  "\x03\xd3\x80\0\0\0\0\0\0\0\x04\x64\x09\x80")},
        {"id float", PAIRS(5, "\x01\x01\x02\xa3"
                              "a.B"
                              "\x03\xcb\x40\x1c\0\0\0\0\0\0\x04\x64\x09\x80")},
        {"id NaN", PAIRS(5, "\x01\x01\x02\xa3"
                            "a.B"
                            "\x03\xcb\x7f\xf8\0\0\0\0\0\0\x04\x64\x09\x80")},
        {"id nil", PAIRS(5, "\x01\x01\x02\xa3"
                            "a.B"
                            "\x03\xc0\x04\x64\x09\x80")},
        {"id empty text", PAIRS(5, "\x01\x01\x02\xa3"
                                   "a.B"
                                   "\x03\xa0\x04\x64\x09\x80")},
        {"id of many bytes", id_of(1024)},
        {"id of the most that text may be", id_of(3000)},
        {"version 127", PAIRS(5, "\x01\x7f\x02\xa3"
                                 "a.B"
                                 "\x03\x07\x04\x64\x09\x80")},
        {"version 2^32 + 1", PAIRS(5, "\x01\xcf\0\0\0\1\0\0\0\1\x02\xa3"
                                      "a.B"
                                      "\x03\x07\x04\x64\x09\x80")},
        {"version -1", PAIRS(5, "\x01\xff\x02\xa3"
                                "a.B"
                                "\x03\x07\x04\x64\x09\x80")},
        {"version nil", PAIRS(5, "\x01\xc0\x02\xa3"
                                 "a.B"
                                 "\x03\x07\x04\x64\x09\x80")},
        {"request id with an escape", PAIRS(6, HEAD "\x05\xa2"
                                                    "a\x1b"
                                                    "\x09\x80")},
        {"request id with a DEL", PAIRS(6, HEAD "\x05\xa2"
                                                "a\x7f"
                                                "\x09\x80")},
        {"request id with U+2028", PAIRS(6, HEAD "\x05\xa3\xe2\x80\xa8"
                                                 "\x09\x80")},
        {"request id with a NUL", PAIRS(6, HEAD "\x05\xa2"
                                                "a\0"
                                                "\x09\x80")},
        {"request id of 65", PAIRS(6, HEAD "\x05\xd9\x41"
                                           "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                           "\x09\x80")},
        {"strategy with a line feed", PAIRS(6, HEAD "\x13\xa2"
                                                    "a\n"
                                                    "\x09\x80")},
        {"idempotency key with an escape", PAIRS(6, HEAD "\x08\xa2"
                                                         "a\x1b"
                                                         "\x09\x80")},
        {"no budget", PAIRS(4, "\x01\x01\x02\xa3"
                               "a.B"
                               "\x03\x07\x09\x80")},
        {"budget 2^63", PAIRS(5, "\x01\x01\x02\xa3"
                                 "a.B"
                                 "\x03\x07\x04\xcf\x80\0\0\0\0\0\0\0\x09\x80")},
        {"no body", PAIRS(4, HEAD)},
        {"body an array", PAIRS(5, HEAD "\x09\x90")},
        {"body an int", PAIRS(5, HEAD "\x09\x05")},
        {"body a negative int", PAIRS(5, HEAD "\x09\xff")},
        {"body nil", PAIRS(5, HEAD "\x09\xc0")},
        {"body text", PAIRS(5, HEAD "\x09\xa2"
                                    "ab")},
        {"body cut short, not last", PAIRS(5, "\x09\x81\x01" HEAD)},
        {"a key twice", PAIRS(6, HEAD "\x04\x64\x09\x80")},
        {"a key twice with two types", PAIRS(6, HEAD "\x04\xa1"
                                                     "1"
                                                     "\x09\x80")},
        {"body twice", PAIRS(6, HEAD "\x09\x80\x09\x80")},
        {"request id empty", PAIRS(6, HEAD "\x05\xa0\x09\x80")},
        {"request id with a space", PAIRS(6, HEAD "\x05\xa3"
                                                  "a b"
                                                  "\x09\x80")},
        {"request id with a line feed", PAIRS(6, HEAD "\x05\xa2"
                                                      "a\n"
                                                      "\x09\x80")},
        {"request id as bin", PAIRS(6, HEAD "\x05\xc4\x01"
                                            "a"
                                            "\x09\x80")},
        {"user id as text", PAIRS(6, HEAD "\x07\xa2"
                                          "42"
                                          "\x09\x80")},
        {"user id as bin", PAIRS(6, HEAD "\x07\xc4\x02"
                                         "42"
                                         "\x09\x80")},
        {"user id as float", PAIRS(6, HEAD "\x07\xca\x42\x28\0\0"
                                           "\x09\x80")},
        {"user id negative", PAIRS(6, HEAD "\x07\xff\x09\x80")},
        {"idempotency key empty", PAIRS(6, HEAD "\x08\xa0\x09\x80")},
        {"idempotency key with a tab", PAIRS(6, HEAD "\x08\xa2"
                                                     "a\t"
                                                     "\x09\x80")},
        {"address empty", PAIRS(6, HEAD "\x0f\xa0\x09\x80")},
        {"address with a scope", PAIRS(6, HEAD "\x0f\xa8"
                                               "fe80::1%"
                                               "\x09\x80")},
        {"address of 46 bytes", PAIRS(6, HEAD "\x0f\xd9\x2e"
                                              "1111111111111111111111111111111111111111111111"
                                              "\x09\x80")},
        {"user agent not UTF-8", PAIRS(6, HEAD "\x10\xa1\xff\x09\x80")},
        {"user agent as bin", PAIRS(6, HEAD "\x10\xc4\x01"
                                            "a"
                                            "\x09\x80")},
        {"language empty", PAIRS(6, HEAD "\x11\xa0\x09\x80")},
        {"language with an underscore", PAIRS(6, HEAD "\x11\xa5"
                                                      "de_CH"
                                                      "\x09\x80")},
        {"language of 36 bytes", PAIRS(6, HEAD "\x11\xd9\x24"
                                               "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                               "\x09\x80")},
        {"language twice", PAIRS(7, HEAD "\x11\xa2"
                                         "de"
                                         "\x11\xa2"
                                         "de"
                                         "\x09\x80")},
        {"strategy empty", PAIRS(6, HEAD "\x13\xa0\x09\x80")},
        {"strategy with a blank", PAIRS(6, HEAD "\x13\xa3"
                                                "a b"
                                                "\x09\x80")},
        {"phase of 65 bytes",
         PAIRS(6, HEAD "\x14\xd9\x41"
                       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                       "\x09\x80")},
        {"phase as int", PAIRS(6, HEAD "\x14\x01\x09\x80")},
        {"key nil", PAIRS(6, HEAD "\xc0\x01\x09\x80")},
        {"key text", PAIRS(6, HEAD "\xa1"
                                   "a"
                                   "\x01\x09\x80")},
        {"key array", PAIRS(6, HEAD "\x90\x01\x09\x80")},
        {"key map", PAIRS(6, HEAD "\x80\x01\x09\x80")},
        {"key float", PAIRS(6, HEAD "\xca\0\0\0\0\x01\x09\x80")},
        {"odd content", PAIRS(6, HEAD "\x09\x80\x05")},
        {"more pairs than bytes", PAIRS(15, HEAD "\x09\x80")},
        {"fewer pairs than bytes", PAIRS(4, HEAD "\x09\x80")},
        {"ext as a value", PAIRS(6, HEAD "\x05\xd4\x01\x01\x09\x80")},
        {"0xC1 as a value", PAIRS(6, HEAD "\x05\xc1\x09\x80")},
        {"an array for the map", {.at = {0x95, 1, 1, 1, 1, 1}, .n = 6}},
        {"map32 of 2^32-1", {.at = {0xdf, 0xff, 0xff, 0xff, 0xff}, .n = 5}},
        {"map32 of 10^8", {.at = {0xdf, 0x05, 0xf5, 0xe1, 0x00}, .n = 5}},
        {"map16 of 65535", {.at = {0xde, 0xff, 0xff}, .n = 3}},
        {"nothing", {.n = 0}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_not(request_ok(&rows[i].bytes), "%s is taken", rows[i].what);
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

Test(rpc_envelope, replies_that_say_nonsense_are_refused) /* M-26 M-32 */
{
    const struct {
        const char *what;
        struct bytes bytes;
    } rows[] = {
        {"no version", PAIRS(3, "\x03\x07\x0a\x00\x09\x80")},
        {"version 2", PAIRS(4, "\x01\x02\x03\x07\x0a\x00\x09\x80")},
        {"no id", PAIRS(3, "\x01\x01\x0a\x00\x09\x80")},
        {"no code", PAIRS(3, "\x01\x01\x03\x07\x09\x80")},
        {"code negative", PAIRS(3, "\x01\x01\x03\x07\x0a\xff")},
        {"code 256", PAIRS(3, "\x01\x01\x03\x07\x0a\xcd\x01\x00")},
        {"code as text", PAIRS(3, "\x01\x01\x03\x07\x0a\xa2OK")},
        {"success without a body", PAIRS(3, "\x01\x01\x03\x07\x0a\x00")},
        {"body an array", PAIRS(4, "\x01\x01\x03\x07\x0a\x00\x09\x90")},
        {"violations a map", PAIRS(4, "\x01\x01\x03\x07\x0a\x03\x0c\x80")},
        {"retry negative", PAIRS(4, "\x01\x01\x03\x07\x0a\x08\x0d\xff")},
        {"retry of a year", PAIRS(4, "\x01\x01\x03\x07\x0a\x08\x0d\xce\x70\0\0\0")},
        {"quota an array", PAIRS(4, "\x01\x01\x03\x07\x0a\x08\x12\x94\x01\x01\x01\x01")},
        {"draining as int", PAIRS(3, "\x01\x01\x03\x00\x0e\x01")},
        {"message not UTF-8", PAIRS(4, "\x01\x01\x03\x07\x0a\x05\x0b\xa1\xff")},
        {"code twice", PAIRS(4, "\x01\x01\x03\x07\x0a\x05\x0a\x05")},
        {"success with nil", PAIRS(4, "\x01\x01\x03\x07\x0a\x00\x09\xc0")},
        {"success with a text", PAIRS(4, "\x01\x01\x03\x07\x0a\x00\x09\xa1x")},
        {"version 0", PAIRS(4, "\x01\x00\x03\x07\x0a\x00\x09\x80")},
        {"version 127", PAIRS(4, "\x01\x7f\x03\x07\x0a\x00\x09\x80")},
        {"trailing byte", PAIRS(3, "\x01\x01\x03\x07\x0a\x05\x00")},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_not(reply_ok(&rows[i].bytes), "%s is taken", rows[i].what);
    struct bytes bare = PAIRS(3, "\x01\x01\x03\x07\x0a\x05");
    cr_expect(reply_ok(&bare));
}

Test(rpc_envelope, single_bytes_are_no_envelope) /* M-01 */
{
    for (int byte = 0; byte < 256; byte++) {
        struct bytes one = {.at = {(unsigned char)byte}, .n = 1};
        cr_expect_not(request_ok(&one), "%02x", byte);
        cr_expect_not(reply_ok(&one), "%02x", byte);
    }
}

/* Whole, and its body too: what decodes the body sees the rest of the frame. */
static bool body_ok(const struct bytes *bytes, const struct busi_desc *desc)
{
    struct busi_request_head head;
    struct busi_reader reader;
    struct busi_arena arena;
    const char *bad;
    union {
        struct busi_check_token_request request;
        struct busi_business business;
    } message;
    if (!busi_request_decode(str(bytes), &head, &bad))
        return false;
    memset(&message, 0, sizeof message);
    busi_arena_init(&arena, 65536);
    busi_reader_init(&reader, head.body.ptr, head.body.len);
    bool fine = busi_decode(&reader, desc, &message, &arena, &bad) && busi_reader_done(&reader);
    busi_arena_fini(&arena);
    return fine;
}

Test(rpc_envelope, no_prefix_of_a_message_is_a_message) /* M-07 M-08 */
{
    struct bytes all = golden("request_full");
    for (size_t n = 0; n < all.n; n++) {
        struct bytes cut = all;
        cut.n = n;
        cr_expect_not(body_ok(&cut, busi_desc_check_token_request()), "%zu of %zu bytes", n, all.n);
    }
    cr_expect(body_ok(&all, busi_desc_check_token_request()));
    struct bytes joined = all;
    memcpy(joined.at + all.n, all.at, all.n);
    joined.n = 2 * all.n;
    cr_expect_not(body_ok(&joined, busi_desc_check_token_request()), "two messages in one frame");
    joined.n = all.n + 1;
    cr_expect_not(body_ok(&joined, busi_desc_check_token_request()), "a byte too many");
    cr_expect_not(body_ok(&all, busi_desc_business()), "the body of another method");
}

/* Total: every flip gives a verdict, and what is taken still keeps the bounds. */
Test(rpc_envelope, every_single_bit_flip_gets_a_verdict) /* M-14 */
{
    static const char *const names[] = {"request_least",    "request_full",    "request_origin",
                                        "request_activity", "reply_ok",        "reply_refused",
                                        "reply_limited",    "reply_not_found", "notice_draining"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct bytes bytes = golden(names[i]);
        for (size_t bit = 0; bit < bytes.n * 8; bit++) {
            struct bytes flipped = bytes;
            flipped.at[bit / 8] ^= (unsigned char)(1u << bit % 8);
            struct busi_request_head head;
            struct busi_reply_head reply;
            const char *bad;
            if (request_ok(&flipped) && busi_request_decode(str(&flipped), &head, &bad))
                cr_expect(head.id > 0 && head.budget_ms >= 0 && head.budget_ms <= 30000 &&
                          head.request_id.len <= 64 && head.method.len <= 64 && head.user_id >= 0 &&
                          head.origin.remote_addr.len <= 45 && head.origin.user_agent.len <= 512 &&
                          head.origin.language.len <= 35 && head.origin.strategy.len <= 64 &&
                          head.origin.phase.len <= 64);
            if (reply_ok(&flipped) && busi_reply_decode(str(&flipped), &reply, &bad))
                cr_expect(reply.code >= 0 && reply.code <= 255 && reply.message.len <= 256);
        }
    }
}

Test(rpc_envelope, more_than_a_frame_may_hold_is_refused_unread)
{
    struct busi_request_head head;
    const char *bad = NULL;
    size_t n = BUSI_RPC_MAX_REQUEST + 1;
    char *bytes = calloc(1, n);
    memcpy(bytes, "\x85" HEAD "\x09\x80", sizeof HEAD + 2);
    cr_expect_not(busi_request_decode((struct busi_str){bytes, n}, &head, &bad));
    cr_expect_str_eq(bad, "envelope: empty or too large");
    free(bytes);
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
