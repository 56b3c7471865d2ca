#include "mail.h"
#include "kind.h"
#include "template.h"
#include <criterion/criterion.h>
#include <stdio.h>

static struct busi_buf out;
static struct busi_mail_argument arguments[17];
static struct busi_enqueue_mail_request request;
static struct mail mail;
static struct mail_sender from;

static void begin(void)
{
    busi_buf_init(&out, MAIL_MAX_BYTES);
    cr_assert(mail_sender_parse(BUSI_STR("busi <no-reply@localhost>"), &from));
    arguments[0] =
        (struct busi_mail_argument){.name = BUSI_STR("login"), .value = BUSI_STR("ann@example.com")};
    request = (struct busi_enqueue_mail_request){.kind = BUSI_STR("account_created"),
                                                 .recipient = BUSI_STR("ann@example.com"),
                                                 .arguments = {arguments, 1}};
    mail = (struct mail){.id = 42, .created_us = 1763717760000000, .request = &request};
}

static void end(void)
{
    busi_buf_fini(&out);
}

TestSuite(mail, .init = begin, .fini = end);

static const char *render(void)
{
    busi_buf_clear(&out);
    const char *error = mail_render(&out, &mail, &from);
    busi_buf_char(&out, 0);
    return error;
}

Test(mail, account_created_is_this_text)
{
    cr_assert_null(render());
    cr_expect_str_eq(out.ptr,
                     "From: busi <no-reply@localhost>\r\n"
                     "To: ann@example.com\r\n"
                     "Subject: Welcome to busi\r\n"
                     "Date: Fri, 21 Nov 2025 09:36:00 +0000\r\n"
                     "Message-ID: <mail-42@localhost>\r\n"
                     "Auto-Submitted: auto-generated\r\n"
                     "MIME-Version: 1.0\r\n"
                     "Content-Type: multipart/alternative; boundary=\"=_busi-42\"\r\n"
                     "\r\n"
                     "--=_busi-42\r\n"
                     "Content-Type: text/plain; charset=utf-8\r\n"
                     "Content-Transfer-Encoding: quoted-printable\r\n"
                     "\r\n"
                     "Hello,\r\n"
                     "\r\n"
                     "your account ann@example.com is ready: you can sign in with it now.\r\n"
                     "\r\n"
                     "If it was not you who signed up with this address, you need not do\r\n"
                     "anything: nobody can use the account without its password.\r\n"
                     "\r\n"
                     "--=20\r\n"
                     "busi\r\n"
                     "--=_busi-42\r\n"
                     "Content-Type: text/html; charset=utf-8\r\n"
                     "Content-Transfer-Encoding: quoted-printable\r\n"
                     "\r\n"
                     "<!doctype html>\r\n"
                     "<html lang=3D\"en\">\r\n"
                     "<head><meta charset=3D\"utf-8\"><title>Welcome to busi</title></head>\r\n"
                     "<body style=3D\"font-family: sans-serif; line-height: 1.5; max-width: 36em; =\r\n"
                     "margin: 2em auto; padding: 0 1em\">\r\n"
                     "<p>Hello,</p>\r\n"
                     "<p>your account <strong>ann@example.com</strong> is ready: you can sign in =\r\n"
                     "with it now.</p>\r\n"
                     "<p>If it was not you who signed up with this address, you need not do anyth=\r\n"
                     "ing: nobody can use the account\r\n"
                     "without its password.</p>\r\n"
                     "<p>busi</p>\r\n"
                     "</body>\r\n"
                     "</html>\r\n"
                     "--=_busi-42--\r\n");
    char name[MAIL_NAME_BYTES];
    mail_file_name(name, &mail);
    cr_expect_str_eq(name, "42-account_created.eml");
}

Test(mail, rendering_again_gives_the_same_bytes)
{
    cr_assert_null(render());
    char *first = strdup(out.ptr);
    cr_assert_null(render());
    cr_expect_str_eq(out.ptr, first);
    free(first);
}

Test(mail, arguments_are_escaped_in_html_only)
{
    arguments[0].value = BUSI_STR("<script>alert('&\"')</script>");
    cr_assert_null(render());
    cr_expect_not_null(strstr(out.ptr, "your account <script>alert('&\"')</script> is"));
    cr_expect_null(strstr(out.ptr, "<strong><script"));
    cr_expect_not_null(strstr(out.ptr, "<strong>&lt;script&gt;"));
}

Test(mail, no_argument_can_add_a_header_or_a_part)
{
    static const char *const attempts[] = {"ann\r\nBcc: x@y.org", "ann\nBcc: x@y.org", "ann\rx", "\x01",
                                           "ann\r\n\r\n--=_busi-42--\r\n"};
    for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts)[0]; i++) {
        arguments[0].value = busi_str_of(attempts[i]);
        cr_assert_not_null(render(), "%zu", i);
        cr_expect_str_eq(render(), "an argument has control characters");
    }
    arguments[0].value = BUSI_STR("--=_busi-42");
    cr_assert_null(render());
    int boundaries = 0;
    for (const char *at = strstr(out.ptr, "--=_busi-42"); at; at = strstr(at + 1, "--=_busi-42"))
        boundaries++;
    cr_expect_eq(boundaries, 3, "the text's own = is encoded");
}

Test(mail, a_wrong_recipient_is_refused)
{
    static const char *const wrong[] = {"a@x.org,b@y.org", "a@x.org\r\nBcc: b@y.org", "Ann <a@x.org>", "a",
                                        ""};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong)[0]; i++) {
        request.recipient = busi_str_of(wrong[i]);
        const char *error = render();
        cr_assert_not_null(error, "%s", wrong[i]);
    }
}

Test(mail, what_is_missing_is_said)
{
    request.kind = BUSI_STR("nonsense");
    cr_expect_str_eq(render(), "there is no such kind of mail");
    request.kind = BUSI_STR("account_created");
    request.arguments.n = 0;
    cr_expect_str_eq(render(), "an argument is missing");
    request.arguments.n = 2;
    arguments[1] = arguments[0];
    cr_expect_str_eq(render(), "an argument is given twice");
    arguments[1].name = BUSI_STR("recipient");
    cr_expect_str_eq(render(), "an argument is given twice");
    request.arguments.n = 17;
    cr_expect_str_eq(render(), "too many arguments");
}

Test(mail, long_arguments_make_no_long_lines)
{
    static char value[4096];
    memset(value, 'x', sizeof(value));
    arguments[0].value = (struct busi_str){value, sizeof(value)};
    cr_assert_null(render());
    const char *line = out.ptr;
    for (const char *lf; (lf = strchr(line, '\n')) != NULL; line = lf + 1)
        cr_expect_leq(lf - 1 - line, 76);
}

static bool expand(const char *text, const struct mail_value *values, size_t n, enum mail_escape escape)
{
    struct busi_str missing;
    busi_buf_clear(&out);
    bool fine = mail_template_expand(&out, busi_str_of(text), values, n, escape, &missing);
    busi_buf_char(&out, 0);
    return fine;
}

Test(mail, templates_know_their_values_and_nothing_else)
{
    const struct mail_value values[] = {{BUSI_STR("a"), BUSI_STR("{{b}}")},
                                        {BUSI_STR("b"), BUSI_STR("x\ny")}};
    cr_assert(expand("{{a}}-{{b}}-{x}-}}", values, 2, MAIL_TEXT));
    cr_expect_str_eq(out.ptr, "{{b}}-x y-{x}-}}",
                     "a value is not expanded again, a line end in it is a blank");
    cr_expect_not(expand("{{c}}", values, 2, MAIL_TEXT));
    cr_expect_not(expand("{{a", values, 2, MAIL_TEXT));
    cr_expect_not(expand("{{}}", values, 2, MAIL_TEXT));
    cr_assert(expand("", values, 2, MAIL_TEXT));
}
