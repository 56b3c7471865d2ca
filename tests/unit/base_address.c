#include "base/address.h"
#include <criterion/criterion.h>

static const char *canonical(const char *text)
{
    static char out[BUSI_ADDRESS_TEXT];
    struct busi_address address;
    if (!busi_address_read(busi_str_of(text), &address))
        return "none";
    busi_address_print(&address, out);
    return out;
}

Test(base_address, one_address_has_one_text)
{
    static const char *const same[][2] = {
        {"192.0.2.1", "192.0.2.1"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"::FFFF:c000:0201", "192.0.2.1"},
        {"0:0:0:0:0:ffff:192.0.2.1", "192.0.2.1"},
        {"2001:DB8:0:0::1", "2001:db8::1"},
        {"2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"},
        {"::", "::"},
        {"::1", "::1"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"}};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        cr_expect_str_eq(canonical(same[i][0]), same[i][1]);
}

Test(base_address, what_is_no_address_is_refused)
{
    static const char *const wrong[] = {
        "",         " ",        "1",          "1.2.3",      "1.2.3.4.5",      "1.2.3.256",  "01.2.3.4",
        "1.2.3.4 ", " 1.2.3.4", "1.2.3.4:80", "0x7f.0.0.1", "[::1]",          "fe80::1%lo", "::1/128",
        ":::",      "1:2",      "g::1",       "unknown",    "1.2.3.4,5.6.7.8"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_expect_str_eq(canonical(wrong[i]), "none", "'%s' is taken", wrong[i]);
    struct busi_address address;
    cr_expect_not(busi_address_read((struct busi_str){"1.2.3.4\0", 8}, &address));
    char longest[64];
    memset(longest, '1', sizeof longest);
    cr_expect_not(busi_address_read((struct busi_str){longest, sizeof longest}, &address));
}

static bool has(const char *network, const char *text)
{
    struct busi_network read;
    struct busi_address address;
    cr_assert(busi_network_read(busi_str_of(network), &read), "%s", network);
    cr_assert(busi_address_read(busi_str_of(text), &address), "%s", text);
    return busi_network_has(&read, &address);
}

Test(base_address, networks_hold_their_addresses)
{
    cr_expect(has("10.0.0.0/8", "10.255.3.4"));
    cr_expect(has("10.0.0.0/8", "::ffff:10.1.2.3"));
    cr_expect_not(has("10.0.0.0/8", "11.0.0.0"));
    cr_expect(has("192.0.2.128/25", "192.0.2.255"));
    cr_expect_not(has("192.0.2.128/25", "192.0.2.127"));
    cr_expect(has("192.0.2.7", "192.0.2.7"));
    cr_expect_not(has("192.0.2.7/32", "192.0.2.6"));
    cr_expect(has("0.0.0.0/0", "8.8.8.8"));
    cr_expect_not(has("0.0.0.0/0", "2001:db8::1"), "all of IPv4 is not all");
    cr_expect(has("::/0", "2001:db8::1"));
    cr_expect(has("2001:db8::/33", "2001:db8:7fff::1"));
    cr_expect_not(has("2001:db8::/33", "2001:db8:8000::1"));
    cr_expect(has("::1", "::1"));
    cr_expect(has("::ffff:10.0.0.0/104", "10.9.9.9"));
}

Test(base_address, what_is_no_network_is_refused)
{
    static const char *const wrong[] = {
        "",           "/8",     "10.0.0.0/",      "10.0.0.0/33",  "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0.0/08",
        "10.0.0.1/8", "::/129", "2001:db8::1/64", "10.0.0.0/8/8", "10.0.0.0 /8", "localhost"};
    struct busi_network network;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_expect_not(busi_network_read(busi_str_of(wrong[i]), &network), "'%s' is taken", wrong[i]);
}

Test(base_address, a_cut_address_keeps_its_first_bits)
{
    static const char *const cuts[] = {"::", "8000::", "fe00::", "ffff:ffff:ffff:ffff::"};
    static const unsigned bits[] = {0, 1, 7, 64};
    struct busi_address all;
    char text[BUSI_ADDRESS_TEXT];
    cr_assert(busi_address_read(BUSI_STR("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), &all));
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++) {
        struct busi_address cut = busi_address_cut(&all, bits[i]);
        busi_address_print(&cut, text);
        cr_expect_str_eq(text, cuts[i]);
    }
    cr_expect(memcmp(busi_address_cut(&all, 128).bytes, all.bytes, 16) == 0);
}
