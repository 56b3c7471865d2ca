/* The texts of mails by kind and language: those built in, and the operator's files in their place
 * (BUSI_MAIL_TEMPLATES: <language>/<kind>.subject, .txt, .html and <language>/frame.html), read again when
 * they change. Loop thread only. */
#pragma once
#include "kind.h"

/* The languages that ship: templates/<language>/ has every kind. The first one always serves. */
#define MAIL_LANGUAGES(ROW, argument) ROW(en, argument) ROW(de, argument)

enum { MAIL_TEMPLATE_MAX_BYTES = 64 * 1024 };

struct mail_templates;
/* folder: of overrides, empty for none; language: used when the one asked for is not there. Both borrowed.
 * NULL: out of memory. */
[[nodiscard]] struct mail_templates *mail_templates_new(struct busi_str folder, struct busi_str language);
void mail_templates_free(struct mail_templates **templates);

/* What one mail is made of; borrowed until the next mail_templates_find(). */
struct mail_parts {
    const char *language;    /* tag: "en" */
    struct busi_str subject; /* templates, as base/template.h has them */
    struct busi_str text;
    struct busi_str html;
    struct busi_str frame; /* what stands around html as {{content}}; absent: html is a page of its own */
};
/* language: a tag like "de-AT", or absent: the nearest that has every part of the kind, else the one given to
 * mail_templates_new(), else English. Looks at the folder at most once a second. */
void mail_templates_find(struct mail_templates *templates, const struct mail_kind *kind,
                         struct busi_str language, struct mail_parts *out);
/* A tag that could be a language's: 2 to 16 of letters, digits and inner dashes. */
bool mail_language_valid(struct busi_str tag);
