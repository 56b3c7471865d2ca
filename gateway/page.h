/* Pages for people: no script, one style, texts in the reader's language. Any thread. */
#pragma once
#include "base/template.h"
#include "http.h"

/* The tag of each language of page_texts.def, in its order; the first is for who wants none of them. */
#define PAGE_LANGUAGES "en", "de"

enum page_id {
#define PAGE(name, ...) PAGE_##name,
#include "pages.def"
#undef PAGE
    PAGES
};
enum page_text {
#define PAGE_TEXT(name, ...) PAGE_TEXT_##name,
#include "page_texts.def"
#undef PAGE_TEXT
    PAGE_TEXTS
};

/* Index of the language to answer this request in. */
size_t page_language(const struct http_request *request);
/* Static. */
const char *page_text(enum page_text text, size_t language);
/* Answers with a page in response->language, and with the headers that keep it out of frames, caches and
 * search engines. values: at most 8, besides those every page has (pages.def). */
void page_write(struct http_response *response, int status, enum page_id page,
                const struct busi_template_value *values, size_t n_values);
/* Content-Security-Policy of every page, and the style whose hash is in it. Static. */
struct busi_str page_policy(void);
struct busi_str page_style(void);
