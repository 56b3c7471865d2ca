/* The bounded msgpack reader: every form is read, nothing else is believed. */
#include "wire/msgpack.h"
#include <criterion/criterion.h>

#define READER(name, literal)                                                                                \
    struct busi_reader name;                                                                                 \
    busi_reader_init(&name, literal, sizeof(literal) - 1)

Test(wire_reader, integers_of_every_form)
{
    READER(r, "\x00\x7f\xff\xe0\xcc\xff\xcd\x00\x01\xce\xff\xff\xff\xff\xcf\x7f\xff\xff\xff\xff\xff\xff\xff"
              "\xd0\x80\xd1\x80\x00\xd2\x80\x00\x00\x00"
              "\xd3\x80\x00\x00\x00\x00\x00\x00\x00");
    static const int64_t wanted[] = {0,          127,       -1,   -32,    255,           1,
                                     4294967295, INT64_MAX, -128, -32768, -2147483648LL, INT64_MIN};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        cr_expect_eq(busi_read_int(&r), wanted[i], "number %zu", i);
    cr_assert(busi_reader_done(&r));
}

static void expect_error(const char *bytes, size_t n, int64_t (*read)(struct busi_reader *), const char *why)
{
    struct busi_reader r;
    busi_reader_init(&r, bytes, n);
    read(&r);
    cr_expect(r.error && strcmp(r.error, why) == 0, "%s instead of %s", r.error ? r.error : "no error", why);
    cr_expect_eq(busi_read_int(&r), 0, "an error is sticky");
}

static int64_t read_text(struct busi_reader *r)
{
    busi_read_text(r, 8);
    return 0;
}

static int64_t read_map(struct busi_reader *r)
{
    return busi_read_map(r);
}

static int64_t read_array(struct busi_reader *r)
{
    return busi_read_array(r);
}

static int64_t skip(struct busi_reader *r)
{
    busi_skip(r);
    return 0;
}

#define EXPECT_ERROR(literal, read, why) expect_error(literal, sizeof(literal) - 1, read, why)

Test(wire_reader, what_is_refused)
{
    EXPECT_ERROR("", busi_read_int, "truncated");
    EXPECT_ERROR("\xcd\x01", busi_read_int, "truncated");
    EXPECT_ERROR("\xcf\xff\xff\xff\xff\xff\xff\xff\xff", busi_read_int, "out of range");
    EXPECT_ERROR("\xca\x00\x00\x00\x00", busi_read_int, "not an integer");
    EXPECT_ERROR("\xa1\x31", busi_read_int, "not an integer");
    EXPECT_ERROR("\xa3\x61\x00\x62", read_text, "holds a NUL");
    EXPECT_ERROR("\xa2\xc0\xaf", read_text, "not UTF-8");
    EXPECT_ERROR("\xa9"
                 "123456789",
                 read_text, "too long");
    EXPECT_ERROR("\xa9"
                 "12345678",
                 read_text, "truncated");
    EXPECT_ERROR("\xdb\xff\xff\xff\xff", read_text, "truncated");
    EXPECT_ERROR("\xc4\x01\x61", read_text, "not a text");
    EXPECT_ERROR("\xdf\xff\xff\xff\xff", read_map, "truncated");
    EXPECT_ERROR("\xdd\xff\xff\xff\xff", read_array, "truncated");
    EXPECT_ERROR("\xdd\x05\xf5\xe1\x00\x00\x00", read_array, "truncated");
    EXPECT_ERROR("\x81\x01", read_map, "truncated");
    EXPECT_ERROR("\x90", read_map, "not a map");
    EXPECT_ERROR("\xc1", skip, "reserved byte");
    EXPECT_ERROR("\xc9\xff\xff\xff\xff\x01", skip, "truncated");
    EXPECT_ERROR("\x91\x91\x91\x91\x91\x91\x91\x91\x91\x00", skip, "too deep");
    EXPECT_ERROR("\xdd\x00\x00\x00\x05\x00\x00\x00\x00", skip, "truncated");
}

Test(wire_reader, any_value_can_be_skipped)
{
    READER(r, "\x82\x01\x93\xc0\xc3\xcb\x00\x00\x00\x00\x00\x00\x00\x00\xa1k\xc7\x02\x05zz\xd6\xff\x00\x00"
              "\x00\x00\xc4\x03"
              "abc\xd9\x02hi\x07");
    busi_skip(&r); /* the map */
    busi_skip(&r); /* fixext4 */
    busi_skip(&r); /* bin8 */
    busi_skip(&r); /* str8 */
    cr_assert_eq(busi_read_int(&r), 7);
    cr_assert(busi_reader_done(&r), "%s", r.error ? r.error : "bytes left");
}

Test(wire_reader, the_number_of_values_is_bounded)
{
    static char nils[100000];
    struct busi_reader r;
    memset(nils, 0xc0, sizeof nils);
    memcpy(nils, "\xdd\x00\x01\x86\x9b", 5); /* 99,995 of them */
    busi_reader_init(&r, nils, sizeof nils);
    busi_skip(&r);
    cr_assert_str_eq(r.error, "too many values");
}

Test(wire_reader, raw_gives_the_bytes_of_one_value)
{
    READER(r, "\x92\x01\x81\x02\xa1x\x05");
    struct busi_str raw = busi_read_raw(&r);
    cr_assert_eq(raw.len, 6);
    cr_assert_eq(busi_read_int(&r), 5);
    cr_assert(busi_reader_done(&r));
}

Test(wire_reader, containers_are_entered_eight_deep)
{
    READER(arrays, "\x91\x91\x91\x91\x91\x91\x91\x91\x91\x00");
    READER(maps, "\x81\x81\x81\x81\x81\x81\x81\x81\x81\x00\x00\x00\x00\x00\x00\x00\x00\x00");
    for (int depth = 1; depth <= 8; depth++)
        cr_expect(busi_read_array(&arrays) == 1 && busi_read_map(&maps) == 1, "depth %d", depth);
    cr_assert(busi_reader_ok(&arrays) && busi_reader_ok(&maps));
    cr_expect(busi_read_array(&arrays) == 0 && busi_read_map(&maps) == 0);
    cr_assert_str_eq(arrays.error, "too deep");
    cr_assert_str_eq(maps.error, "too deep");
}

Test(wire_reader, leaving_a_container_makes_room_for_another)
{
    static char many[100];
    struct busi_reader r;
    memset(many, 0x90, sizeof many);
    busi_reader_init(&r, many, sizeof many);
    for (size_t i = 0; i < sizeof many; i++) {
        cr_expect_eq(busi_read_array(&r), 0);
        busi_read_leave(&r);
    }
    cr_assert(busi_reader_done(&r), "%s", r.error ? r.error : "bytes left");
}
