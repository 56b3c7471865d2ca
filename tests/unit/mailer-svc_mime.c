#include "mime.h"
#include <criterion/criterion.h>
#include <stdio.h>

static struct busi_buf out;

static void begin(void)
{
    busi_buf_init(&out, 1024 * 1024);
}

static void end(void)
{
    busi_buf_fini(&out);
}

TestSuite(mime, .init = begin, .fini = end);

static const char *written(void)
{
    busi_buf_char(&out, 0);
    return out.ptr;
}

static void expect_header(const char *text, const char *want)
{
    busi_buf_clear(&out);
    cr_assert(mime_header(&out, "Subject", busi_str_of(text)), "%s", text);
    cr_expect_str_eq(written(), want);
}

static void expect_quoted(const char *text, const char *want)
{
    busi_buf_clear(&out);
    mime_quoted_printable(&out, busi_str_of(text));
    cr_expect_str_eq(written(), want);
}

/* RFC 5322: 998; we promise 76. */
static void expect_short_lines(void)
{
    const char *line = written();
    for (const char *lf; (lf = strchr(line, '\n')) != NULL; line = lf + 1) {
        cr_expect_eq(lf[-1], '\r');
        cr_expect_leq(lf - 1 - line, 76, "%.*s", (int)(lf - line), line);
    }
    cr_expect_eq(*line, 0, "the last line is ended");
}

Test(mime, plain_text_stands_as_it_is)
{
    expect_header("Welcome to busi", "Subject: Welcome to busi\r\n");
    expect_header("", "Subject: \r\n");
    expect_header("1 + 1 = 2?", "Subject: 1 + 1 = 2?\r\n");
}

Test(mime, other_text_is_encoded) /* */
{
    expect_header("Gr\xc3\xbc\xc3\x9f"
                  "e",
                  "Subject: =?UTF-8?Q?Gr=C3=BC=C3=9Fe?=\r\n");
    expect_header("=?utf-8?B?aGk=?=", "Subject: =?UTF-8?Q?=3D=3Futf=2D8=3FB=3FaGk=3D=3F=3D?=\r\n");
    expect_header(" x", "Subject: =?UTF-8?Q?_x?=\r\n");
}

Test(mime, long_text_is_folded_between_characters)
{
    char text[512] = "";
    for (int i = 0; i < 100; i++)
        strcat(text, "\xe2\x82\xac");
    busi_buf_clear(&out);
    cr_assert(mime_header(&out, "Subject", busi_str_of(text)));
    expect_short_lines();
    /* each word on its own is valid: a multiple of three bytes */
    int words = 0;
    for (const char *word = strstr(out.ptr, "?Q?"); word; word = strstr(word + 3, "?Q?"), words++) {
        const char *word_end = strstr(word + 3, "?=");
        cr_assert_not_null(word_end);
        cr_expect_eq((word_end - word - 3) % 9, 0);
    }
    cr_expect_gt(words, 10);
}

Test(mime, no_text_can_end_a_header) /* */
{
    static const char *const attempts[] = {"a\r\nBcc: x@y.org", "a\nb", "a\rb",     "a\tb",
                                           "\x1b[31m",          "\x7f", "\xff\xfe", "\xc0\x8d\xc0\x8a"};
    for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts)[0]; i++) {
        cr_expect_not(mime_header(&out, "Subject", busi_str_of(attempts[i])), "%zu", i);
        cr_expect_not(mime_mailbox(&out, "From", busi_str_of(attempts[i]), BUSI_STR("a@b.de")), "%zu", i);
        cr_expect_eq(out.len, 0);
    }
    cr_expect_not(mime_header(&out, "Subject", BUSI_STR("a\0b")));
    /* line separators that are no control characters: encoded */
    expect_header("a\xe2\x80\xa8"
                  "b\xc2\x85",
                  "Subject: =?UTF-8?Q?a=E2=80=A8b=C2=85?=\r\n");
}

Test(mime, a_display_name_cannot_become_an_address) /* X-08 X-10 */
{
    cr_assert(mime_mailbox(&out, "From", BUSI_STR("a@b.org, Bob"), BUSI_STR("no@x.org")));
    cr_expect_str_eq(written(), "From: =?UTF-8?Q?a=40b=2Eorg=2C_Bob?= <no@x.org>\r\n");
    busi_buf_clear(&out);
    cr_assert(mime_mailbox(&out, "From", BUSI_STR("busi"), BUSI_STR("no@x.org")));
    cr_expect_str_eq(written(), "From: busi <no@x.org>\r\n");
    busi_buf_clear(&out);
    cr_assert(mime_mailbox(&out, "To", (struct busi_str){0}, BUSI_STR("no@x.org")));
    cr_expect_str_eq(written(), "To: no@x.org\r\n");
}

Test(mime, the_date_is_rfc_5322)
{
    mime_date(&out, 0);
    mime_date(&out, 1763717760123456);
    mime_date(&out, 951782399999999);
    cr_expect_str_eq(written(), "Date: Thu, 01 Jan 1970 00:00:00 +0000\r\n"
                                "Date: Fri, 21 Nov 2025 09:36:00 +0000\r\n"
                                "Date: Mon, 28 Feb 2000 23:59:59 +0000\r\n");
}

Test(mime, bodies_are_quoted_printable) /* */
{
    expect_quoted("Hello\nworld\n", "Hello\r\nworld\r\n");
    expect_quoted("no end", "no end\r\n");
    expect_quoted("crlf\r\nbare\rcr\n", "crlf\r\nbare=0Dcr\r\n");
    expect_quoted("a=b \n-- \n\ttab\t\n", "a=3Db=20\r\n--=20\r\n\ttab=09\r\n");
    expect_quoted("caf\xc3\xa9", "caf=C3=A9\r\n");
    expect_quoted("", "");
}

Test(mime, lines_mail_programs_alter_are_protected)
{
    expect_quoted(".\n..\n.a\nFrom here\n", "=2E\r\n=2E.\r\n=2Ea\r\n=46rom here\r\n");
}

Test(mime, long_lines_are_broken_softly) /* */
{
    char text[4000];
    memset(text, 'x', sizeof(text));
    for (size_t i = 0; i < sizeof(text); i += 7)
        text[i] = i % 2 ? '=' : '.';
    busi_buf_clear(&out);
    mime_quoted_printable(&out, (struct busi_str){text, sizeof(text)});
    expect_short_lines();
    cr_expect_null(strstr(out.ptr, "\n."), "a dot begins a line");
    /* undone, it is the same text */
    char undone[sizeof(text) + 8];
    size_t n = 0;
    for (const char *c = out.ptr; *c && n < sizeof(undone);) {
        unsigned byte = 0;
        if (strncmp(c, "=\r\n", 3) == 0) {
            c += 3;
        } else if (*c == '=') {
            cr_assert_eq(sscanf(c, "=%2X", &byte), 1);
            undone[n++] = (char)byte;
            c += 3;
        } else {
            undone[n++] = *c++;
        }
    }
    cr_expect_eq(n, sizeof(text) + 2);
    cr_expect_eq(memcmp(undone, text, sizeof(text)), 0);
}
