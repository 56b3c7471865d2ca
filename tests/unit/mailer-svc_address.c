#include "address.h"
#include <criterion/criterion.h>

static bool valid(const char *text)
{
    return mail_address_valid(busi_str_of(text));
}

Test(address, plain_mailboxes_are_valid)
{
    cr_expect(valid("ann@example.com"));
    cr_expect(valid("a.b+tag@sub.example.museum"));
    cr_expect(valid("o'neil@example.com"));
    cr_expect(valid("x@localhost"));
}

Test(address, what_could_be_read_as_more_than_one_mailbox_is_not) /* X-08 */
{
    static const char *const wrong[] = {"",
                                        "ann",
                                        "@example.com",
                                        "ann@",
                                        "a@b@c",
                                        "ann@example.com,bob@x.org",
                                        "a@b;c@d",
                                        "<ann@x.org>",
                                        "Ann <ann@x.org>",
                                        "g:a@x.org;",
                                        "a (b)@x.org",
                                        "ann@x.org\r\nBcc: b@x.org",
                                        "ann@x.org\n",
                                        "ann @x.org",
                                        "\"a b\"@x.org",
                                        ".ann@x.org",
                                        "ann.@x.org",
                                        "a..b@x.org",
                                        "ann@x..org",
                                        "ann@.x.org",
                                        "ann@x.org.",
                                        "ann@-x.org",
                                        "ann@[1.2.3.4]",
                                        "ann@x_y.org",
                                        "\xc3\xa4nn@x.org",
                                        "ann@m\xc3\xbcller.de",
                                        "@a,@b:c@d.org",
                                        "ann@x.org\t"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong)[0]; i++)
        cr_expect_not(valid(wrong[i]), "%s", wrong[i]);
    cr_expect_not(mail_address_valid(BUSI_STR("ann@x.org\0")));
    cr_expect_not(mail_address_valid((struct busi_str){0}));
}

Test(address, lengths_are_bounded)
{
    char text[300];
    memset(text, 'a', sizeof(text));
    memcpy(text + 64, "@x.org", 7);
    cr_expect(valid(text));
    memset(text, 'a', sizeof(text));
    memcpy(text + 65, "@x.org", 7);
    cr_expect_not(valid(text));
    memset(text, 'a', sizeof(text));
    text[10] = '@';
    for (size_t i = 74; i < 254; i += 64)
        text[i] = '.';
    text[254] = 0;
    cr_expect(valid(text));
    text[254] = 'a';
    text[255] = 0;
    cr_expect_not(valid(text));
    text[80] = 0;
    cr_expect(valid(text), "a label of 63 bytes");
    text[74] = 'a';
    cr_expect_not(valid(text), "none of 64");
}

static void expect_sender(const char *text, const char *name, const char *address, const char *domain)
{
    struct mail_sender sender;
    cr_assert(mail_sender_parse(busi_str_of(text), &sender), "%s", text);
    cr_expect(busi_str_eq(sender.name, busi_str_of(name)), "'%.*s'", BUSI_ARG(sender.name));
    cr_expect(busi_str_eq(sender.address, busi_str_of(address)), "'%.*s'", BUSI_ARG(sender.address));
    cr_expect(busi_str_eq(sender.domain, busi_str_of(domain)), "'%.*s'", BUSI_ARG(sender.domain));
}

Test(address, a_sender_has_a_name_or_none)
{
    expect_sender("busi <no-reply@localhost>", "busi", "no-reply@localhost", "localhost");
    expect_sender("  B\xc3\xbcsi & Co   <a@b.de> ", "B\xc3\xbcsi & Co", "a@b.de", "b.de");
    expect_sender("a@b.de", "", "a@b.de", "b.de");
    expect_sender("<a@b.de>", "", "a@b.de", "b.de");
}

Test(address, a_wrong_sender_is_refused)
{
    static const char *const wrong[] = {"",
                                        "busi",
                                        "busi <>",
                                        "busi <a@b.de",
                                        "a@b.de>",
                                        "<a@b.de> busi",
                                        "a\nb <a@b.de>",
                                        "busi <a@b.de>, <c@d.de>",
                                        "\xff <a@b.de>"};
    struct mail_sender sender;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong)[0]; i++)
        cr_expect_not(mail_sender_parse(busi_str_of(wrong[i]), &sender), "%s", wrong[i]);
}
