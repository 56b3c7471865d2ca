#include "pages/page.h"
#include "base/embed.h"
#include "http/language.h"
#include "pages/site.h"
#include <assert.h>

enum { CONTENT_MAX_BYTES = 256 * 1024, HOUSE_VALUES = 16 };

BUSI_EMBED(page_layout, "pages/layout.html");
#define TEMPLATE(name) BUSI_EMBED(page_html_##name, "pages/" #name ".html");
#include "pages/pages.def"

static const char *const tags[] = {PAGE_LANGUAGES};
enum { LANGUAGES = sizeof tags / sizeof tags[0] };

static const char *const texts[PAGE_TEXTS][LANGUAGES] = {
#define PAGE_TEXT(name, ...) {__VA_ARGS__},
#include "pages/texts.def"
#undef PAGE_TEXT
};
static const char *const text_names[PAGE_TEXTS] = {
#define PAGE_TEXT(name, ...) #name,
#include "pages/texts.def"
#undef PAGE_TEXT
};

static const struct row {
    const char *html;
    enum page_text title, text;
} rows[PAGES] = {
#define PAGE(name, html, title, text) {page_html_##html, PAGE_TEXT_##title, PAGE_TEXT_##text},
#include "pages/pages.def"
};

size_t page_language(const struct http_request *request)
{
    const struct http_header *header = http_find_header(request, BUSI_STR("accept-language"));
    return header ? language_choose(header->value, tags, LANGUAGES) : 0;
}

const char *page_text(enum page_text text, size_t language)
{
    assert(text < PAGE_TEXTS && language < LANGUAGES);
    return texts[text][language];
}

static struct busi_template_value value(const char *name, const char *text)
{
    return (struct busi_template_value){.name = busi_str_of(name), .value = busi_str_of(text)};
}

/* The language's texts, what the caller gives and what the house has; room for all is in values. */
static size_t gather(struct busi_template_value *values, size_t language, const struct page_site *site,
                     const struct busi_template_value *given, size_t n_given)
{
    size_t n = 0;
    for (size_t i = 0; i < PAGE_TEXTS; i++)
        values[n++] = value(text_names[i], texts[i][language]);
    for (size_t i = 0; i < n_given; i++)
        values[n++] = given[i];
    values[n++] = value("language", tags[language]);
    values[n++] = (struct busi_template_value){.name = BUSI_STR("house"), .value = site->name};
    values[n++] =
        (struct busi_template_value){.name = BUSI_STR("brand"), .value = site->brand, .markup = true};
    values[n++] = (struct busi_template_value){.name = BUSI_STR("account"), .value = site->account};
    values[n++] = value("has_account", site->account.ptr ? "yes" : NULL);
    values[n++] = (struct busi_template_value){.name = BUSI_STR("ash"), .value = site->ash};
    return n;
}

/* The page within the layout. False: it does not fit, or a template is wrong, which the tests would show. */
static bool expand(struct http_response *response, const struct row *row,
                   const struct busi_template_value *given, size_t n_given)
{
    struct busi_template_value values[PAGE_TEXTS + PAGE_MOST_VALUES + HOUSE_VALUES];
    size_t language = response->language, n = gather(values, language, response->site, given, n_given);
    struct busi_buf content;
    values[n++] = value("title", texts[row->title][language]);
    values[n++] = value("text", texts[row->text][language]);
    busi_buf_init(&content, CONTENT_MAX_BYTES);
    bool ok = !busi_template_expand(&content, busi_str_of(row->html), values, n, BUSI_TEMPLATE_HTML) &&
              !content.failed;
    values[n++] = (struct busi_template_value){
        .name = BUSI_STR("style"), .value = response->site->style, .markup = true};
    values[n++] = (struct busi_template_value){
        .name = BUSI_STR("content"), .value = {content.ptr, content.len}, .markup = true};
    ok =
        ok && !busi_template_expand(&response->body, busi_str_of(page_layout), values, n, BUSI_TEMPLATE_HTML);
    busi_buf_fini(&content);
    return ok;
}

bool page_part(struct busi_buf *out, const struct http_response *response, enum page_part part,
               const struct busi_template_value *given, size_t n_given)
{
    static const char *const parts[PAGE_PARTS] = {
#define PART(name) page_html_##name,
#include "pages/pages.def"
    };
    struct busi_template_value values[PAGE_TEXTS + PAGE_MOST_VALUES + HOUSE_VALUES];
    assert(part < PAGE_PARTS && n_given <= PAGE_MOST_VALUES);
    size_t n = gather(values, response->language, response->site, given, n_given);
    return !busi_template_expand(out, busi_str_of(parts[part]), values, n, BUSI_TEMPLATE_HTML) &&
           !out->failed;
}

void page_write(struct http_response *response, int status, enum page_id page,
                const struct busi_template_value *values, size_t n_values)
{
    assert(page < PAGES && n_values <= PAGE_MOST_VALUES && response->language < LANGUAGES && response->site);
    busi_buf_clear(&response->body);
    response->status = status;
    response->content_type = "text/html; charset=utf-8";
    if (!expand(response, &rows[page], values, n_values))
        response->body.failed = true;
    http_add_header(response, "Content-Security-Policy", response->site->policy);
    http_add_header(response, "Content-Language", busi_str_of(tags[response->language]));
    http_add_header(response, "Referrer-Policy", BUSI_STR("strict-origin"));
    http_add_header(response, "X-Frame-Options", BUSI_STR("DENY"));
    http_add_header(response, "Cross-Origin-Opener-Policy", BUSI_STR("same-origin"));
    http_add_header(response, "X-Robots-Tag", BUSI_STR("noindex"));
}
