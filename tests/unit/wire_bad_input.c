/* What a broken, hostile or newer peer may send: each is refused for its own reason or harmlessly accepted,
 * within bounds of time and memory. */
#include "base/clock.h"
#include "every_message.h"
#include "wire/codec.h"
#include <criterion/criterion.h>
#include <stdlib.h>

enum { MEBIBYTE = 1 << 20 };

static struct busi_arena arena;

static void open_arena(void)
{
    busi_arena_init(&arena, 64 << 20);
}

static void close_arena(void)
{
    busi_arena_fini(&arena);
}

TestSuite(wire_bad_input, .init = open_arena, .fini = close_arena);

/* Why the bytes are refused, NULL when they are accepted. They are read from a block of just their size, so
 * that AddressSanitizer sees a byte read too far. */
static const char *verdict(const struct busi_desc *desc, struct busi_str bytes)
{
    struct busi_reader r;
    const char *bad = NULL;
    void *message = busi_arena_alloc(&arena, desc->size);
    char *exact = malloc(bytes.len ? bytes.len : 1);
    cr_assert(message && exact);
    memcpy(exact, bytes.ptr, bytes.len);
    busi_reader_init(&r, exact, bytes.len);
    bool fine = busi_decode(&r, desc, message, &arena, &bad);
    if (fine && !busi_reader_done(&r))
        bad = "bytes behind it";
    cr_assert(fine || bad, "a refusal says why");
    free(exact);
    return fine && busi_reader_done(&r) ? NULL : bad;
}

static void expect_verdict(const char *what, const struct busi_desc *desc, struct busi_str bytes,
                           const char *wanted)
{
    const char *got = verdict(desc, bytes);
    if (wanted)
        cr_expect(got && strstr(got, wanted), "%s: '%s' instead of '%s'", what, got ? got : "accepted",
                  wanted);
    else
        cr_expect(!got, "%s: '%s' instead of accepted", what, got ? got : "");
}

struct input {
    const char *what;
    describe *desc;
    struct busi_str bytes;
    const char *wanted; /* part of the reason, NULL: accepted */
};
#define INPUT(what, message, literal, wanted)                                                                \
    {                                                                                                        \
        what, busi_desc_##message, {literal, sizeof(literal) - 1}, wanted                                    \
    }

static const struct input inputs[] = {
    INPUT("empty message", empty, "", "truncated"),
    INPUT("reserved byte as value", empty, "\x81\x01\xc1", "reserved byte"),
    INPUT("reserved byte as key", empty, "\x81\xc1\x01", "a key is no integer"),
    INPUT("reserved byte as message", empty, "\xc1", "not a map"),

    INPUT("map32 of 2^32-1", empty, "\xdf\xff\xff\xff\xff", "truncated"),
    INPUT("map16 one pair too long", empty, "\xde\x00\x02\x01\x01", "truncated"),
    INPUT("array32 of 2^32-1", describe_reply, "\x81\x01\xdd\xff\xff\xff\xff", "truncated"),
    INPUT("array32 of 10^8", describe_reply, "\x81\x01\xdd\x05\xf5\xe1\x00", "truncated"),
    INPUT("array of bytes left + 1", describe_reply, "\x81\x01\x93\x80\x80", "truncated"),
    INPUT("unknown array32 of 2^32-1", empty, "\x81\x01\xdd\xff\xff\xff\xff", "truncated"),
    INPUT("unknown map32 of 2^32-1", empty, "\x81\x01\xdf\xff\xff\xff\xff", "truncated"),
    INPUT("unknown array32 of 10^8", empty, "\x81\x01\xdd\x05\xf5\xe1\x00", "truncated"),
    INPUT("unknown map32 of 10^8", empty, "\x81\x01\xdf\x05\xf5\xe1\x00", "truncated"),
    INPUT("unknown map of bytes left + 1", empty, "\x81\x01\x82\x01\x01\x01", "truncated"),
    INPUT("map32 of 2^31", empty, "\xdf\x80\x00\x00\x00", "truncated"),
    INPUT("map32 of 10^8", empty, "\xdf\x05\xf5\xe1\x00", "truncated"),
    INPUT("array16 of 65535", describe_reply, "\x81\x01\xdc\xff\xff", "truncated"),
    INPUT("length of a map32 cut", empty, "\xdf\xff\xff", "truncated"),
    INPUT("text of bytes left + 1", check_token_request, "\x81\x01\xd9\x03xy", "truncated"),
    INPUT("text32 of 2^32-1", check_token_request, "\x81\x01\xdb\xff\xff\xff\xffxy", "truncated"),
    INPUT("text16 without its length", check_token_request, "\x81\x01\xda\x00", "truncated"),
    INPUT("unknown str32 of 2^32-1", empty, "\x81\x01\xdb\xff\xff\xff\xff", "truncated"),
    INPUT("unknown bin32 of 2^32-1", empty, "\x81\x01\xc6\xff\xff\xff\xff", "truncated"),

    INPUT("unknown ext8 of no bytes", empty, "\x81\x01\xc7\x00\x01", NULL),
    INPUT("unknown ext32 of 2^32-1", empty, "\x81\x01\xc9\xff\xff\xff\xff\x01", "truncated"),
    INPUT("unknown timestamp, 2^30-1 ns", empty, "\x81\x01\xd7\xff\xff\xff\xff\xfc\x00\x00\x00\x00", NULL),
    INPUT("unknown ext16 of bytes left + 1", empty, "\x81\x01\xc8\x00\x02\x01x", "truncated"),
    INPUT("unknown fixext16, cut", empty, "\x81\x01\xd8\x01xxxx", "truncated"),
    INPUT("unknown timestamp of 96 bits, 10^9 ns", empty,
          "\x81\x01\xc7\x0c\xff\x3b\x9a\xca\x00\0\0\0\0\0\0\0\0", NULL),
    INPUT("unknown timestamp of 3 bytes", empty, "\x81\x01\xc7\x03\xffxyz", NULL),
    INPUT("ext for boolean", enqueue_mail_reply, "\x82\x01\x01\x02\xd4\x01\x01", "duplicate: not a boolean"),
    INPUT("ext for list", describe_reply, "\x81\x01\xd4\x01\x01", "methods: not an array"),
    INPUT("ext as key", user_id_request, "\x82\xd4\x01\x01\x01\x01\x07", "a key is no integer"),
    INPUT("binary key", user_id_request, "\x82\xc4\x01k\x01\x01\x07", "a key is no integer"),
    INPUT("ext for text", check_token_request, "\x81\x01\xc7\x01\x01x", "token: not a text"),
    INPUT("ext for number", user_id_request, "\x81\x01\xd4\x01\x01", "user_id: not an integer"),

    INPUT("value missing", user_id_request, "\x81\x01", "truncated"),
    INPUT("nil key", user_id_request, "\x82\xc0\x01\x01\x07", "a key is no integer"),
    INPUT("text key", user_id_request, "\x82\xa1k\x01\x01\x07", "a key is no integer"),
    INPUT("array key", user_id_request, "\x82\x90\x01\x01\x07", "a key is no integer"),
    INPUT("map key", user_id_request, "\x82\x80\x01\x01\x07", "a key is no integer"),
    INPUT("float key", user_id_request, "\x81\xca\x3f\x80\x00\x00\x07", "a key is no integer"),
    INPUT("boolean key", user_id_request, "\x81\xc3\x07", "a key is no integer"),
    INPUT("negative key", user_id_request, "\x82\xff\x05\x01\x07", NULL),
    INPUT("key beyond 32 bits", user_id_request, "\x82\xcf\x00\x00\x00\x01\x00\x00\x00\x01\x05\x01\x07",
          NULL),
    INPUT("key beyond int64", user_id_request, "\x82\xcf\xff\xff\xff\xff\xff\xff\xff\xff\x05\x01\x07",
          "a key is no integer"),

    INPUT("number as text", user_id_request,
          "\x81\x01\xa1"
          "7",
          "user_id: not an integer"),
    INPUT("number as binary", user_id_request, "\x81\x01\xc4\x01\x07", "user_id: not an integer"),
    INPUT("number as float32", user_id_request, "\x81\x01\xca\x40\xe0\x00\x00", "user_id: not an integer"),
    INPUT("number as float64", user_id_request, "\x81\x01\xcb\x40\x1c\x00\x00\x00\x00\x00\x00",
          "user_id: not an integer"),
    INPUT("NaN", user_id_request, "\x81\x01\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00", "user_id: not an integer"),
    INPUT("infinity", user_id_request, "\x81\x01\xca\x7f\x80\x00\x00", "user_id: not an integer"),
    INPUT("-0.0", user_id_request, "\x81\x01\xca\x80\x00\x00\x00", "user_id: not an integer"),
    INPUT("number as boolean", user_id_request, "\x81\x01\xc3", "user_id: not an integer"),
    INPUT("number as array", user_id_request, "\x81\x01\x91\x07", "user_id: not an integer"),
    INPUT("required number as nil", user_id_request, "\x81\x01\xc0", "user_id: not an integer"),
    INPUT("text as number", check_token_request, "\x81\x01\x07", "token: not a text"),
    INPUT("text as binary", check_token_request, "\x81\x01\xc4\x01x", "token: not a text"),
    INPUT("boolean as number", enqueue_mail_reply, "\x82\x01\x01\x02\x01", "duplicate: not a boolean"),
    INPUT("list as map", describe_reply, "\x81\x01\x80", "methods: not an array"),
    INPUT("item as number", describe_reply, "\x81\x01\x91\x07", "method_info: not a map"),

    INPUT("key twice", user_id_request, "\x82\x01\x07\x01\x07", "user_id: given twice"),
    INPUT("key twice, other type", user_id_request, "\x82\x01\x07\x01\xa1x", "user_id: given twice"),
    INPUT("key twice, nil first", list_businesses_request, "\x82\x01\xc0\x01\x07", "after_id: given twice"),
    INPUT("key twice, wider", user_id_request, "\x82\x01\x07\xcd\x00\x01\x08", "user_id: given twice"),
    INPUT("required key absent", user_id_request, "\x80", "user_id: missing"),
    INPUT("required key of an item absent", describe_reply, "\x81\x01\x91\x80",
          "method_info.method: missing"),
    INPUT("unknown keys of a newer version", user_id_request,
          "\x83\x7e\x81\x01\x91\xa1x\x01\x07\x7f\xca\0\0\0\0", NULL),

    INPUT("uint64 at int64's end", user_id_request, "\x81\x01\xcf\x7f\xff\xff\xff\xff\xff\xff\xff", NULL),
    INPUT("uint64 past int64", user_id_request, "\x81\x01\xcf\x80\x00\x00\x00\x00\x00\x00\x00",
          "out of range"),
    INPUT("uint64's end", user_id_request, "\x81\x01\xcf\xff\xff\xff\xff\xff\xff\xff\xff", "out of range"),
    INPUT("int64's beginning", user_id_request, "\x81\x01\xd3\x80\x00\x00\x00\x00\x00\x00\x00", NULL),
    INPUT("int64's beginning where limited", list_businesses_request,
          "\x81\x02\xd3\x80\x00\x00\x00\x00\x00\x00\x00", "limit: out of range"),
    INPUT("at the limit", list_businesses_request, "\x81\x02\xcd\x03\xe8", NULL),
    INPUT("past the limit", list_businesses_request, "\x81\x02\xcd\x03\xe9", "limit: out of range"),
    INPUT("past the limit below", list_businesses_request, "\x81\x02\xd1\xfc\x17", "limit: out of range"),

    INPUT("UTF-16", check_token_request, "\x81\x01\xa4\xff\xfe\x41\x00", "token: holds a NUL"),
    INPUT("a lone continuation", check_token_request, "\x81\x01\xa3x\x80y", "token: not UTF-8"),
    INPUT("five bytes long", check_token_request, "\x81\x01\xa5\xf8\x88\x80\x80\x80", "token: not UTF-8"),
    INPUT("NUL between", check_token_request, "\x81\x01\xa3x\0y", "token: holds a NUL"),
    INPUT("not UTF-8", check_token_request, "\x81\x01\xa1\xff", "token: not UTF-8"),
    INPUT("overlong NUL", check_token_request, "\x81\x01\xa2\xc0\x80", "token: not UTF-8"),
    INPUT("overlong slash", check_token_request, "\x81\x01\xa3\xe0\x80\xaf", "token: not UTF-8"),
    INPUT("surrogate", check_token_request, "\x81\x01\xa3\xed\xa0\x80", "token: not UTF-8"),
    INPUT("past U+10FFFF", check_token_request, "\x81\x01\xa4\xf4\x90\x80\x80", "token: not UTF-8"),
    INPUT("cut code point", check_token_request, "\x81\x01\xa2\xe2\x82", "token: not UTF-8"),
    INPUT("NUL first", check_token_request, "\x81\x01\xa2\0x", "token: holds a NUL"),
    INPUT("NUL last", check_token_request, "\x81\x01\xaax12345678\0", "token: holds a NUL"),
    INPUT("empty text is present", check_token_request, "\x81\x01\xa0", NULL),

    INPUT("wide number", user_id_request, "\x81\x01\xcf\x00\x00\x00\x00\x00\x00\x00\x07", NULL),
    INPUT("wide signed number", user_id_request, "\x81\x01\xd3\x00\x00\x00\x00\x00\x00\x00\x07", NULL),
    INPUT("wide key", user_id_request, "\x81\xce\x00\x00\x00\x01\x07", NULL),
    INPUT("wide signed key", user_id_request, "\x81\xd0\x01\x07", NULL),
    INPUT("wide map", user_id_request, "\xdf\x00\x00\x00\x01\x01\x07", NULL),
    INPUT("wide array", describe_reply, "\x81\x01\xdd\x00\x00\x00\x00", NULL),
    INPUT("wide text", check_token_request, "\x81\x01\xdb\x00\x00\x00\x01x", NULL),
    INPUT("two messages joined", user_id_request, "\x81\x01\x07\x81\x01\x07", "bytes behind it"),
    INPUT("a byte behind it", user_id_request, "\x81\x01\x07\xc0", "bytes behind it"),
};

Test(wire_bad_input, each_is_refused_for_its_own_reason_or_harmless) /* M-01 M-02 M-03 M-06 M-08 M-10 M-16
                                                                        M-19 M-20 M-21 M-22 M-24 M-25 */
{
    for (size_t i = 0; i < sizeof inputs / sizeof inputs[0]; i++)
        expect_verdict(inputs[i].what, inputs[i].desc(), inputs[i].bytes, inputs[i].wanted);
}

Test(wire_bad_input, a_single_byte_is_no_message_but_the_empty_map) /* M-01 */
{
    for (size_t i = 0; i < EVERY_MESSAGE; i++) {
        const struct busi_desc *desc = every_message[i]();
        bool needs = false;
        for (size_t k = 0; k < desc->n_fields; k++)
            needs |= desc->fields[k].need == BUSI_REQUIRED;
        for (int byte = 0; byte < 256; byte++) {
            char c = (char)byte;
            cr_expect_eq(!verdict(desc, (struct busi_str){&c, 1}), byte == 0x80 && !needs, "%s, byte %d",
                         desc->name, byte);
        }
    }
}

/* {127: [[[... of `last`]]]} with n brackets, each head `opening`. */
static struct busi_str nested(size_t n, struct busi_str opening, struct busi_str last)
{
    struct busi_str head = BUSI_STR("\x81\x7f");
    size_t size = head.len + n * opening.len + last.len;
    char *bytes = busi_arena_alloc(&arena, size), *at = bytes;
    memcpy(at, head.ptr, head.len);
    at += head.len;
    for (size_t i = 0; i < n; i++, at += opening.len)
        memcpy(at, opening.ptr, opening.len);
    memcpy(at, last.ptr, last.len);
    return (struct busi_str){bytes, size};
}

Test(wire_bad_input, nesting_is_bounded) /* M-04 */
{
    static const size_t too_deep[] = {8, 9, 32, 33, 1000, 100000};
    struct busi_str array = BUSI_STR("\x91"), map = BUSI_STR("\x81\x01"), nil = BUSI_STR("\xc0");
    struct busi_str claim = BUSI_STR("\xdd\xff\xff\xff\xff");
    cr_expect(!verdict(busi_desc_empty(), nested(7, array, nil)), "the map and seven arrays are eight");
    cr_expect(!verdict(busi_desc_empty(), nested(7, map, nil)));
    for (size_t i = 0; i < sizeof too_deep / sizeof too_deep[0]; i++) {
        expect_verdict("arrays", busi_desc_empty(), nested(too_deep[i], array, nil), "too deep");
        expect_verdict("maps", busi_desc_empty(), nested(too_deep[i], map, nil), "too deep");
        expect_verdict("claims", busi_desc_empty(), nested(too_deep[i], claim, nil), "truncated");
    }
}

static void put_length(char *at, size_t n)
{
    for (size_t i = 0; i < 4; i++)
        at[i] = (char)(n >> (24 - 8 * i));
}

/* A mebibyte of the smallest values there are, in a list that is known and in one that is not. */
Test(wire_bad_input, a_mebibyte_of_tiny_values_costs_neither_time_nor_memory) /* M-09 */
{
    static char bytes[MEBIBYTE];
    static const char values[] = "\xc0\x80\x90\xa0\x00";
    for (size_t i = 0; i < sizeof values - 1; i++) {
        memset(bytes, values[i], sizeof bytes);
        memcpy(bytes, "\x81\x01\xdd", 3);
        put_length(bytes + 3, sizeof bytes - 7); /* all the rest */
        int64_t begin = busi_now_us();
        expect_verdict("unknown list", busi_desc_empty(), (struct busi_str){bytes, sizeof bytes},
                       "too many values");
        expect_verdict("known list", busi_desc_describe_reply(), (struct busi_str){bytes, sizeof bytes},
                       "too many items");
        cr_expect_lt(busi_now_us() - begin, 500000);
    }
    cr_expect_lt(arena.used, 65536);
}

/* Keys from 1000 on, none of them known. */
static struct busi_str map_of(char *bytes, size_t n_pairs)
{
    char *at = bytes;
    *at++ = '\xdf';
    put_length(at, n_pairs);
    at += 4;
    for (size_t i = 0; i < n_pairs; i++, at += 6) {
        *at = '\xce';
        put_length(at + 1, 1000 + i);
        at[5] = '\xc0';
    }
    return (struct busi_str){bytes, (size_t)(at - bytes)};
}

Test(wire_bad_input, the_number_of_keys_is_bounded) /* M-12 */
{
    static char bytes[5 + 6 * 65536];
    expect_verdict("65,536 keys", busi_desc_empty(), map_of(bytes, 65536), "too many values");
    expect_verdict("just too many", busi_desc_empty(), map_of(bytes, 32768), "too many values");
    expect_verdict("as many as fit", busi_desc_empty(), map_of(bytes, 32767), NULL);
}

Test(wire_bad_input, texts_are_never_cut_to_their_limit) /* M-13 */
{
    static char bytes[7 + 262145];
    memset(bytes, 'x', sizeof bytes);
    memcpy(bytes, "\x81\x03\xdb", 3);
    put_length(bytes + 3, 262144);
    expect_verdict("at the limit", busi_desc_business(), (struct busi_str){bytes, 7 + 262144},
                   "business.id: missing");
    put_length(bytes + 3, 262145);
    expect_verdict("past the limit", busi_desc_business(), (struct busi_str){bytes, 7 + 262145},
                   "business.description: too long");
    memcpy(bytes, "\x81\x01\xdb", 3);
    put_length(bytes + 3, 262144);
    expect_verdict("256 KiB where 64 bytes may be", busi_desc_violation(),
                   (struct busi_str){bytes, 7 + 262144}, "violation.field: too long");
}
