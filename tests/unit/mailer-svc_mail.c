#include "mail.h"
#include "base/template.h"
#include "kind.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static struct busi_buf out;
static struct busi_mail_argument arguments[17];
static struct busi_enqueue_mail_request request;
static struct mail mail;
static struct mail_setup setup;

static void begin(void)
{
    busi_buf_init(&out, MAIL_MAX_BYTES);
    cr_assert(mail_sender_parse(BUSI_STR("busi <no-reply@localhost>"), &setup.from));
    setup.base_url = BUSI_STR("https://busi.example");
    setup.templates = mail_templates_new(BUSI_STR(""), BUSI_STR("en"));
    cr_assert_not_null(setup.templates);
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
    mail_templates_free(&setup.templates);
}

TestSuite(mail, .init = begin, .fini = end);

static const char *render(void)
{
    busi_buf_clear(&out);
    const char *error = mail_render(&out, &mail, &setup);
    busi_buf_char(&out, 0);
    return error;
}

/* Every kind and language as it was read and found good, line ends as LF. When a text is changed on purpose:
 * look at what was rendered (the message names it), then copy it over the golden file. */
static void expect_golden(const char *language, const struct mail_kind *kind)
{
    char path[512], name[MAIL_NAME_BYTES], rendered[128];
    static char golden[64 * 1024];
    size_t n = 0;
    snprintf(path, sizeof(path), BUSI_SOURCE "/tests/unit/mails/%s-%s.eml", language, kind->name);
    snprintf(rendered, sizeof(rendered), "/tmp/%s-%s.eml", language, kind->name);
    request.kind = busi_str_of(kind->name);
    request.language = busi_str_of(language);
    const char *error = render();
    cr_assert_null(error, "%s %s: %s", language, kind->name, error);
    for (char *from_ = out.ptr, *to = out.ptr;; from_++)
        if (*from_ != '\r' && (*to++ = *from_) == 0)
            break;
    FILE *file = fopen(path, "r");
    if (file) {
        n = fread(golden, 1, sizeof(golden) - 1, file);
        fclose(file);
    }
    golden[n] = 0;
    if (strcmp(out.ptr, golden) != 0 && (file = fopen(rendered, "w")) != NULL) {
        fputs(out.ptr, file);
        fclose(file);
    }
    cr_expect(strcmp(out.ptr, golden) == 0, "%s is another mail than %s", rendered, path);
    mail_file_name(name, &mail);
    cr_expect(strncmp(name, "42-", 3) == 0 && strstr(name, kind->name) == name + 3, "%s", name);
}

#define EXPECT_GOLDEN(language, unused) expect_golden(#language, mail_kind(kind));

Test(mail, every_kind_in_every_language_is_this_text)
{
    static const char *const values[][2] = {{"login", "ann@example.com"},
                                            {"secret", "Zb3-x_9.q~kQ0vYpT7uWcR2eL5nM8aHdGfJ4sK6iOP1b"},
                                            {"name", "Ann Müller"},
                                            {"names", "ann, <b>ann2</b>"},
                                            {"user_name", "ann"},
                                            {"address", "2001:db8::1"},
                                            {"agent", "Mozilla/5.0 (X11; Linux x86_64) \"Gecko\" & co"},
                                            {"time", "2025-11-21 09:36 UTC"}};
    for (size_t kind = 0; kind < MAIL_KINDS; kind++) {
        request.arguments.n = 0;
        for (size_t i = 0; i < sizeof(values) / sizeof(values)[0]; i++)
            arguments[request.arguments.n++] = (struct busi_mail_argument){
                .name = busi_str_of(values[i][0]), .value = busi_str_of(values[i][1])};
        MAIL_LANGUAGES(EXPECT_GOLDEN, unused)
    }
}

Test(mail, what_may_be_missing_leaves_no_gap)
{
    static const char *const gaps[] = {" ,", ": \r\n", ":\r\n\r\n\r\n", "{{", "}}", "<td></td>"};
    arguments[0] = (struct busi_mail_argument){.name = BUSI_STR("secret"), .value = BUSI_STR("x")};
    for (size_t kind = 0; kind < MAIL_KINDS; kind++) {
        request.kind = busi_str_of(mail_kind(kind)->name);
        request.arguments.n = mail_kind(kind)->must[0] ? 1 : 0;
        arguments[0].name = busi_str_of(mail_kind(kind)->must[0]);
        if (kind == MAIL_KIND_forgot_username) /* one of its two names is what it is for */
            arguments[request.arguments.n++] =
                (struct busi_mail_argument){.name = BUSI_STR("user_name"), .value = BUSI_STR("ann")};
        cr_assert_null(render());
        for (size_t i = 0; i < sizeof(gaps) / sizeof(gaps)[0]; i++)
            cr_expect_null(strstr(out.ptr, gaps[i]), "%s: %s", mail_kind(kind)->name, gaps[i]);
    }
}

Test(mail, a_link_of_its_own_takes_the_place_of_ours)
{
    static const char *const kinds[] = {"confirm_email", "reset_password"};
    arguments[0] = (struct busi_mail_argument){.name = BUSI_STR("secret"), .value = BUSI_STR("s3cr3t")};
    arguments[1] = (struct busi_mail_argument){
        .name = BUSI_STR("link"), .value = BUSI_STR("https://app.example/?token=s3cr3t&username=a")};
    request.arguments.n = 2;
    for (size_t i = 0; i < 2; i++) {
        request.kind = busi_str_of(kinds[i]);
        cr_assert_null(render());
        cr_expect_not_null(strstr(out.ptr, "https://app.example/?token=3Ds3cr3t&username=3Da\r\n"), "%s",
                           out.ptr);
        cr_expect_null(strstr(out.ptr, "https://busi.example/confirm"), "%s", kinds[i]);
        cr_expect_null(strstr(out.ptr, "https://busi.example/password-reset"), "%s", kinds[i]);
    }
}

Test(mail, a_secret_is_in_the_link_and_alone)
{
    char link[128];
    static const struct {
        const char *kind, *path;
    } rows[] = {{"confirm_email", "confirm"}, {"reset_password", "password-reset"}};
    arguments[0] = (struct busi_mail_argument){.name = BUSI_STR("secret"), .value = BUSI_STR("s3cr3t-_~.")};
    for (size_t i = 0; i < 2; i++) {
        request.kind = busi_str_of(rows[i].kind);
        cr_assert_null(render());
        snprintf(link, sizeof(link), "\r\nhttps://busi.example/%s/s3cr3t-_~.\r\n", rows[i].path);
        cr_expect_not_null(strstr(out.ptr, link), "%s", rows[i].kind);
        cr_expect_not_null(strstr(out.ptr, "\r\ns3cr3t-_~.\r\n"), "%s", rows[i].kind);
    }
    static const char *const wrong[] = {"", "a b", "a/b", "a?b", "a\"b", "a%b", "\xc3\xa4", "a<b", "a&b"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong)[0]; i++) {
        arguments[0].value = busi_str_of(wrong[i]);
        const char *error = render();
        cr_assert_not_null(error, "%s", wrong[i]);
        cr_expect_str_eq(error, "the secret is not fit for a link");
    }
}

Test(mail, rendering_again_gives_the_same_bytes)
{
    cr_assert_null(render());
    char *first = strdup(out.ptr);
    cr_assert_null(render());
    cr_expect_str_eq(out.ptr, first);
    free(first);
}

Test(mail, arguments_are_escaped_in_html_only) /* */
{
    arguments[0].value = BUSI_STR("<script>alert('&\"')</script>");
    cr_assert_null(render());
    cr_expect_not_null(strstr(out.ptr, "your account <script>alert('&\"')</script> is"));
    cr_expect_null(strstr(out.ptr, "<strong><script"));
    cr_expect_not_null(strstr(out.ptr, "<strong>&lt;script&gt;"));
}

Test(mail, no_argument_can_add_a_header_or_a_part) /* */
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

Test(mail, a_wrong_recipient_is_refused) /* X-07 X-08 */
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

Test(mail, long_arguments_make_no_long_lines) /* */
{
    static char value[4096];
    memset(value, 'x', sizeof(value));
    arguments[0].value = (struct busi_str){value, sizeof(value)};
    cr_assert_null(render());
    const char *line = out.ptr;
    for (const char *lf; (lf = strchr(line, '\n')) != NULL; line = lf + 1)
        cr_expect_leq(lf - 1 - line, 76);
}

/* ---- a subject from outside ---- */

Test(mail, a_value_cannot_pretend_to_be_encoded) /* */
{
    char folder[] = "/tmp/busi-templates-XXXXXX", path[128];
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/en", folder);
    cr_assert_eq(mkdir(path, 0700), 0);
    snprintf(path, sizeof(path), "%s/en/account_created.subject", folder);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fputs("For {{login}}\n", file);
    fclose(file);
    mail_templates_free(&setup.templates);
    setup.templates = mail_templates_new(busi_str_of(folder), BUSI_STR("en"));
    static const struct {
        const char *login, *line;
    } rows[] = {{"=?utf-8?B?QmNjOiB4QHkub3Jn?=",
                 "\r\nSubject: =?UTF-8?Q?For_=3D=3Futf=2D8=3FB=3FQmNjOiB4QHkub3Jn=3F=3D?=\r\n"},
                {"=?utf-8?Q?a=0D=0ABcc:_x?=",
                 "\r\nSubject: =?UTF-8?Q?For_=3D=3Futf=2D8=3FQ=3Fa=3D0D=3D0ABcc=3A=5Fx=3F=3D?=\r\n"},
                {"\"Ann\" <a@b>, c@d", "\r\nSubject: For \"Ann\" <a@b>, c@d\r\n"},
                {"M\xc3\xbcller", "\r\nSubject: =?UTF-8?Q?For_M=C3=BCller?=\r\n"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows)[0]; i++) {
        arguments[0].value = busi_str_of(rows[i].login);
        cr_assert_null(render());
        cr_expect_not_null(strstr(out.ptr, rows[i].line), "%s in %.300s", rows[i].login, out.ptr);
    }
    snprintf(path, sizeof(path), "rm -rf %s", folder);
    cr_expect_eq(system(path), 0);
}

/* ---- templates ---- */

static const char *expand(const char *text, const struct busi_template_value *values, size_t n,
                          enum busi_template_escape escape)
{
    busi_buf_clear(&out);
    const char *error = busi_template_expand(&out, busi_str_of(text), values, n, escape);
    busi_buf_char(&out, 0);
    return error;
}

Test(mail, templates_know_their_values_and_nothing_else)
{
    const struct busi_template_value values[] = {{BUSI_STR("a"), BUSI_STR("{{b}}"), false},
                                                 {BUSI_STR("b"), BUSI_STR("x\ny"), false}};
    cr_assert_null(expand("{{a}}-{{b}}-{x}-}}", values, 2, BUSI_TEMPLATE_TEXT));
    cr_expect_str_eq(out.ptr, "{{b}}-x y-{x}-}}",
                     "a value is not expanded again, a line end in it is a blank");
    static const char *const wrong[] = {"{{c}}",        "{{a",          "{{}}",
                                        "{{#}}",        "{{/a}}",       "{{#a}}",
                                        "{{#c}}{{/c}}", "{{#a}}{{/b}}", "{{#a}}{{#b}}{{/b}}{{/a}}",
                                        "{{ a }}",      "{{&a}}"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong)[0]; i++)
        cr_expect_not_null(expand(wrong[i], values, 2, BUSI_TEMPLATE_TEXT), "%s", wrong[i]);
    cr_assert_null(expand("", values, 2, BUSI_TEMPLATE_TEXT));
}

Test(mail, parts_of_templates_depend_on_values)
{
    const struct busi_template_value values[] = {{BUSI_STR("full"), BUSI_STR("x"), false},
                                                 {BUSI_STR("empty"), BUSI_STR(""), false}};
    cr_assert_null(expand(
        "{{#full}}a{{full}}{{/full}}{{^full}}b{{/full}}|{{#empty}}c{{full}}{{/empty}}{{^empty}}d{{/empty}}",
        values, 2, BUSI_TEMPLATE_TEXT));
    cr_expect_str_eq(out.ptr, "ax|d");
    cr_expect_not_null(expand("{{#empty}}{{unknown}}{{/empty}}", values, 2, BUSI_TEMPLATE_TEXT),
                       "what is left out is checked, too");
}

Test(mail, markup_is_not_escaped_and_all_else_is)
{
    const struct busi_template_value values[] = {{BUSI_STR("m"), BUSI_STR("<b>"), true},
                                                 {BUSI_STR("v"), BUSI_STR("<b>'\"&"), false}};
    cr_assert_null(expand("{{m}}{{v}}", values, 2, BUSI_TEMPLATE_HTML));
    cr_expect_str_eq(out.ptr, "<b>&lt;b&gt;&#39;&quot;&amp;");
}
