/* Pages for people: no script, one style, texts in the reader's language. Any thread. */
#pragma once
#include "base/template.h"
#include "http/http.h"

/* The tag of each language of texts.def, in its order; the first is for who wants none of them. */
#define PAGE_LANGUAGES "en", "de"

enum page_id {
#define PAGE(name, ...) PAGE_##name,
#include "pages/pages.def"
    PAGES
};
enum page_part {
#define PART(name) PAGE_PART_##name,
#include "pages/pages.def"
    PAGE_PARTS
};
enum page_text {
#define PAGE_TEXT(name, ...) PAGE_TEXT_##name,
#include "pages/texts.def"
#undef PAGE_TEXT
    PAGE_TEXTS
};

enum { PAGE_MOST_VALUES = 12 }; /* that a caller gives, besides those every page has (pages.def) */

/* Index of the language to answer this request in. */
size_t page_language(const struct http_request *request);
/* Static. */
const char *page_text(enum page_text text, size_t language);
/* Answers with a page of response->site in response->language, and with the headers that keep it out of
 * frames, caches and search engines. */
void page_write(struct http_response *response, int status, enum page_id page,
                const struct busi_template_value *values, size_t n_values);
/* Appends one piece of a page, as a list has several of. False: it does not fit. */
[[nodiscard]] bool page_part(struct busi_buf *out, const struct http_response *response, enum page_part part,
                             const struct busi_template_value *values, size_t n_values);
