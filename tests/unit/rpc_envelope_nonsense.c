/* Bytes that are no envelope, or not quite. */
#include "rpc_envelope_kit.h"

struct nonsense {
    const char *what;
    struct bytes bytes;
};
#define EXPECT_REFUSED(ok, rows)                                                                             \
    for (size_t i = 0; i < sizeof(rows) / sizeof *(rows); i++)                                               \
    cr_expect_not(ok(&(rows)[i].bytes), "%s is taken", (rows)[i].what)

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

Test(rpc_envelope, requests_without_a_proper_head_are_refused) /* M-16 M-21 M-22 M-26 M-28 */
{
    const struct nonsense rows[] = {
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
        {"no budget", PAIRS(4, "\x01\x01\x02\xa3"
                               "a.B"
                               "\x03\x07\x09\x80")},
        {"budget 2^63", PAIRS(5, "\x01\x01\x02\xa3"
                                 "a.B"
                                 "\x03\x07\x04\xcf\x80\0\0\0\0\0\0\0\x09\x80")},
        {"user id as text", PAIRS(6, HEAD "\x07\xa2"
                                          "42"
                                          "\x09\x80")},
        {"user id as bin", PAIRS(6, HEAD "\x07\xc4\x02"
                                         "42"
                                         "\x09\x80")},
        {"user id as float", PAIRS(6, HEAD "\x07\xca\x42\x28\0\0"
                                           "\x09\x80")},
        {"user id negative", PAIRS(6, HEAD "\x07\xff\x09\x80")},
    };
    EXPECT_REFUSED(request_ok, rows);
}

Test(rpc_envelope, requests_without_a_proper_body_are_refused) /* M-19 */
{
    const struct nonsense rows[] = {
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
    };
    EXPECT_REFUSED(request_ok, rows);
}

Test(rpc_envelope, texts_of_another_form_are_refused) /* M-24 M-36 */
{
    const struct nonsense rows[] = {
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
    };
    EXPECT_REFUSED(request_ok, rows);
}

Test(rpc_envelope, what_is_no_map_of_known_shape_is_refused) /* M-02 M-03 M-06 M-10 */
{
    const struct nonsense rows[] = {
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
    EXPECT_REFUSED(request_ok, rows);
}

Test(rpc_envelope, replies_that_say_nonsense_are_refused) /* M-26 M-32 */
{
    const struct nonsense rows[] = {
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
    EXPECT_REFUSED(reply_ok, rows);
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
                                        "request_activity", "request_watch",   "request_cancel",
                                        "reply_watch",      "reply_ok",        "reply_refused",
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
