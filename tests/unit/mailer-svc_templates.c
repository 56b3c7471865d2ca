/* Which texts a mail is made of: language, and the operator's own. */
#include "base/clock.h"
#include "templates.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static struct mail_templates *templates;
static struct mail_parts parts;

static void begin(void)
{
    strcpy(folder, "/tmp/busi-templates-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    templates = mail_templates_new(busi_str_of(folder), BUSI_STR("en"));
    cr_assert_not_null(templates);
}

static void end(void)
{
    char command[128];
    mail_templates_free(&templates);
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    cr_assert_eq(system(command), 0);
}

TestSuite(templates, .init = begin, .fini = end);

static void put(const char *language, const char *name, const char *text, size_t len)
{
    char path[128], fresh[140];
    snprintf(path, sizeof(path), "%s/%s", folder, language);
    (void)mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/%s/%s", folder, language, name);
    snprintf(fresh, sizeof(fresh), "%s.new", path);
    FILE *file = fopen(fresh, "w");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(text, 1, len, file), len);
    fclose(file);
    cr_assert_eq(rename(fresh, path), 0); /* another inode: a change within the clock's grain is seen, too */
}
#define PUT(language, name, text) put(language, name, text, sizeof(text) - 1)

static void find(const char *language, size_t kind)
{
    mail_templates_find(templates, mail_kind(kind), busi_str_of(language), &parts);
}

static void look_again(void)
{
    mail_templates_free(&templates);
    templates = mail_templates_new(busi_str_of(folder), BUSI_STR("en"));
}

static bool is(struct busi_str text, const char *expected)
{
    return busi_str_eq(text, busi_str_of(expected));
}

Test(templates, the_nearest_language_is_used)
{
    static const char *const rows[][2] = {
        {"de", "de"},         {"DE", "de"},       {"de-AT", "de"}, {"de_CH", "de"},
        {"de-CH-1996", "de"}, {"en-GB", "en"},    {"fr", "en"},    {"", "en"},
        {"den", "en"},        {"d", "en"},        {"de-", "en"},   {"-de", "en"},
        {"../../x", "en"},    {"de\nX: y", "en"}, {"*", "en"},     {"de-DE-de-DE-de-DE", "en"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows)[0]; i++) {
        find(rows[i][0], MAIL_KIND_confirm_email);
        cr_expect_str_eq(parts.language, rows[i][1], "%s", rows[i][0]);
    }
    mail_templates_find(templates, mail_kind(0), (struct busi_str){0}, &parts);
    cr_expect_str_eq(parts.language, "en");
}

Test(templates, the_installation_has_a_language)
{
    mail_templates_free(&templates);
    templates = mail_templates_new(BUSI_STR(""), BUSI_STR("de-DE"));
    find("fr", MAIL_KIND_reset_password);
    cr_expect_str_eq(parts.language, "de");
    cr_expect(is(parts.subject, "Passwort zurücksetzen"));
    find("en-US", MAIL_KIND_reset_password);
    cr_expect(is(parts.subject, "Reset your password"));
    find("", MAIL_KIND_confirm_email);
    cr_expect_str_eq(parts.language, "de");
}

Test(templates, subjects_are_the_contracts)
{
    static const struct {
        size_t kind;
        const char *subject;
    } rows[] = {{MAIL_KIND_confirm_email, "Confirmation email"},
                {MAIL_KIND_reset_password, "Reset your password"},
                {MAIL_KIND_forgot_username, "Forgot Username"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows)[0]; i++) {
        find("en", rows[i].kind);
        cr_expect(is(parts.subject, rows[i].subject), "%.*s", BUSI_ARG(parts.subject));
    }
}

Test(templates, each_part_can_be_replaced_alone)
{
    PUT("de", "confirm_email.subject", "Los, {{name}}!\n");
    find("de", MAIL_KIND_confirm_email);
    cr_expect(is(parts.subject, "Los, {{name}}!"));
    cr_expect_not_null(strstr(parts.text.ptr, "Guten Tag"), "the others are those built in");
    cr_expect_not_null(strstr(parts.frame.ptr, "{{content}}"));
    find("en", MAIL_KIND_confirm_email);
    cr_expect(is(parts.subject, "Confirmation email"), "and so are other languages");
    PUT("de", "confirm_email.html", "<p>{{secret}}</p>");
    PUT("de", "confirm_email.txt", "{{secret}}");
    PUT("de", "frame.html", "<i>{{content}}</i>");
    look_again();
    find("de", MAIL_KIND_confirm_email);
    cr_expect(is(parts.html, "<p>{{secret}}</p>"));
    cr_expect(is(parts.text, "{{secret}}"));
    cr_expect(is(parts.frame, "<i>{{content}}</i>"));
    PUT("de", "confirm_email.html", "<!DOCTYPE html><p>{{secret}} {{subject}}</p>");
    look_again();
    find("de", MAIL_KIND_confirm_email);
    cr_expect_null(parts.frame.ptr, "a page of its own gets no frame");
}

Test(templates, a_language_may_be_added)
{
    PUT("fr", "confirm_email.subject", "Confirmez");
    PUT("fr", "confirm_email.txt", "{{secret}}");
    find("fr-CA", MAIL_KIND_confirm_email);
    cr_expect_str_eq(parts.language, "en", "not while it lacks a part");
    PUT("fr", "confirm_email.html", "<p>{{secret}}</p>");
    PUT("xx.tmp", "confirm_email.html", "<p>{{secret}}</p>");
    look_again();
    find("fr-CA", MAIL_KIND_confirm_email);
    cr_expect_str_eq(parts.language, "fr");
    cr_expect(is(parts.subject, "Confirmez"));
    find("fr-CA", MAIL_KIND_reset_password);
    cr_expect_str_eq(parts.language, "en", "of this kind there is nothing in French");
}

Test(templates, changes_are_seen_within_a_second)
{
    find("en", MAIL_KIND_reset_password);
    PUT("en", "reset_password.subject", "One");
    for (int64_t until = busi_now_ms() + 3000; !is(parts.subject, "One"); usleep(20000)) {
        cr_assert_lt(busi_now_ms(), until, "the new file");
        find("en", MAIL_KIND_reset_password);
    }
    PUT("en", "reset_password.subject", "Two");
    for (int64_t until = busi_now_ms() + 3000; !is(parts.subject, "Two"); usleep(20000)) {
        cr_assert_lt(busi_now_ms(), until, "the changed file");
        find("en", MAIL_KIND_reset_password);
    }
    char path[128];
    snprintf(path, sizeof(path), "%s/en/reset_password.subject", folder);
    cr_assert_eq(unlink(path), 0);
    for (int64_t until = busi_now_ms() + 3000; !is(parts.subject, "Reset your password"); usleep(20000)) {
        cr_assert_lt(busi_now_ms(), until, "the one built in");
        find("en", MAIL_KIND_reset_password);
    }
}

Test(templates, a_broken_file_is_not_used)
{
    static char large[MAIL_TEMPLATE_MAX_BYTES + 1];
    memset(large, 'x', sizeof(large));
    const struct {
        const char *text;
        size_t len;
    } rows[] = {{"", 0},       {"\n", 1},        {"{{unknown}}", 11},     {"{{password}}", 12},
                {"{{name", 6}, {"{{#name}}", 9}, {"a\nBcc: x@y.org", 14}, {"a\rb", 3},
                {"a\0b", 3},   {"\xff", 1},      {large, sizeof(large)}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows)[0]; i++) {
        put("en", "reset_password.subject", rows[i].text, rows[i].len);
        look_again();
        find("en", MAIL_KIND_reset_password);
        cr_expect(is(parts.subject, "Reset your password"), "%zu", i);
    }
    PUT("en", "frame.html", "<p>without</p>");
    look_again();
    find("en", MAIL_KIND_reset_password);
    cr_expect_not_null(strstr(parts.frame.ptr, "{{content}}"));
}

Test(templates, a_folder_that_is_not_there_is_no_matter)
{
    mail_templates_free(&templates);
    templates = mail_templates_new(BUSI_STR("/nonexistent/busi"), BUSI_STR("en"));
    find("de", MAIL_KIND_password_changed);
    cr_expect_str_eq(parts.language, "de");
}

Test(templates, languages_are_names_and_no_paths) /* */
{
    cr_expect(mail_language_valid(BUSI_STR("en")));
    cr_expect(mail_language_valid(BUSI_STR("zh-Hant-TW")));
    static const char *const wrong[] = {
        "", "e", "e/", "..", "en.", "en\n", "en-", "-en", "abcdefghijklmnopq"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong)[0]; i++)
        cr_expect_not(mail_language_valid(busi_str_of(wrong[i])), "%s", wrong[i]);
}
