#include "service/public_url.h"
#include <criterion/criterion.h>

Test(public_url, hosts_ports_and_paths)
{
    static const char *const fine[] = {"http://127.0.0.1:4000",
                                       "https://example.com",
                                       "https://EXAMPLE.com:443",
                                       "http://localhost",
                                       "http://a_b-c.local:1",
                                       "https://xn--mller-kva.example:65535",
                                       "http://[::1]",
                                       "http://[2001:db8::1]:4000/shop",
                                       "https://example.com/accounts/of%20us/~x.y"};
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++)
        cr_expect(busi_public_url_valid(busi_str_of(fine[i])), "%s", fine[i]);
}

static const char *const wrong[] = {
    "",
    "http",
    "http:/",
    "http://",
    "https://",
    "http://:80",
    "http://:",
    "http://a:",
    "http://a:0",
    "http://a:00080",
    "http://a:65536",
    "http://a:99999999999999999999",
    "http://a:-1",
    "http://a:+1",
    "http://a:8x",
    "http://a:80:80",
    "http://a/",
    "http:///a",
    "http://a//b",
    "http://a/./b",
    "http://a/../b",
    "http://a/b/",
    "http://a/b?c",
    "http://a/b#c",
    "http://a/%",
    "http://a/%2",
    "http://a/%zz",
    "http://a b",
    "http://a\"b",
    "http://a<b>",
    "http://a\r\nb",
    "http://user@a",
    "http://user:pass@a",
    "http://.",
    "http://a.",
    "http://.a",
    "http://a..b",
    "http://-a",
    "http://a-",
    "http://1.2.3",
    "http://1.2.3.256",
    "http://a.1",
    "http://0x7f.1",
    "http://2130706433",
    "http://::1",
    "http://[]",
    "http://[::1",
    "http://[::1]x",
    "http://[::1]:",
    "http://[::1]:0",
    "http://[127.0.0.1]",
    "http://[fe80::1%eth0]",
    "http://a]b",
    "HTTP://a",
    "ftp://a",
    "//a",
    "a",
    "javascript:alert(1)",
    "http://m\xc3\xbcller.de",
    "http://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.com"};

Test(public_url, what_is_none)
{
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_expect_not(busi_public_url_valid(busi_str_of(wrong[i])), "%s", wrong[i]);
    cr_expect_not(busi_public_url_valid((struct busi_str){0}));
    cr_expect_not(busi_public_url_valid(BUSI_STR("http://a\0b")));
}
