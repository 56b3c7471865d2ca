#include "templates.h"
#include "base/clock.h"
#include "base/embed.h"
#include "base/log.h"
#include "base/template.h"
#include "base/text.h"
#include "service/small_file.h"
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { LOOK_MS = 1000, MOST_LANGUAGES = 32, TAG_BYTES = 17 };
enum { SUBJECT, TEXT, HTML, PARTS };
static const char *const endings[PARTS] = {"subject", "txt", "html"};

/* ---- what is built in ---- */

#define EMBED(language, kind)                                                                                \
    BUSI_EMBED(subject_##language##_##kind, "templates/" #language "/" #kind ".subject");                    \
    BUSI_EMBED(text_##language##_##kind, "templates/" #language "/" #kind ".txt");                           \
    BUSI_EMBED(html_##language##_##kind, "templates/" #language "/" #kind ".html");
#define KIND(name, ...) MAIL_LANGUAGES(EMBED, name)
#include "kinds.def"
#undef KIND
BUSI_EMBED(mail_frame, "templates/frame.html");

#define TAG(language, unused) #language,
static const char *const built_in_tags[] = {MAIL_LANGUAGES(TAG, unused)};
enum { BUILT_IN = sizeof(built_in_tags) / sizeof(built_in_tags)[0] };

#define ROW(language, kind) {subject_##language##_##kind, text_##language##_##kind, html_##language##_##kind},
static const char *const built_in[MAIL_KINDS][BUILT_IN][PARTS] = {
#define KIND(name, ...) {MAIL_LANGUAGES(ROW, name)},
#include "kinds.def"
#undef KIND
};

/* ---- what stands in its place ---- */

struct override {
    bool there;              /* the file was there at the last look */
    struct timespec changed; /* this and the next: which version was read */
    off_t size;
    ino_t inode;
    char *text; /* owned; NULL: there is none, or it is broken */
    size_t len;
};

struct language {
    char tag[TAG_BYTES]; /* lower case */
    int built_in;        /* index; -1: only in the folder */
    struct override parts[MAIL_KINDS][PARTS];
    struct override frame;
};

struct mail_templates {
    struct busi_str folder;                    /* borrowed; empty: none */
    struct busi_str fallback;                  /* borrowed; language of those who ask for none */
    struct language languages[MOST_LANGUAGES]; /* those built in come first */
    size_t n;
    int64_t look_ms;  /* next look at the folder; busi_now_ms() scale */
    bool told_folder; /* that it cannot be read was logged */
};

bool mail_language_valid(struct busi_str tag)
{
    for (size_t i = 0; i < tag.len; i++) {
        char c = busi_lower(tag.ptr[i]);
        bool inner_dash = (c == '-' || c == '_') && i > 0 && i + 1 < tag.len;
        if (!inner_dash && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9'))
            return false;
    }
    return tag.len >= 2 && tag.len < TAG_BYTES;
}

static struct language *add_language(struct mail_templates *templates, struct busi_str tag, int index)
{
    if (templates->n == MOST_LANGUAGES)
        return NULL;
    struct language *language = &templates->languages[templates->n++];
    language->built_in = index;
    for (size_t i = 0; i < tag.len; i++)
        language->tag[i] = tag.ptr[i] == '_' ? '-' : busi_lower(tag.ptr[i]);
    return language;
}

static struct language *find_language(struct mail_templates *templates, struct busi_str tag)
{
    for (size_t i = 0; i < templates->n; i++)
        if (busi_str_ieq(busi_str_of(templates->languages[i].tag), tag))
            return &templates->languages[i];
    return NULL;
}

/* ---- is a file fit to be used ---- */

static bool has_tag(struct busi_str text, const char *tag)
{
    return strstr(text.ptr, tag) != NULL; /* a NUL is behind it, and none within */
}

/* Expanded once for nothing, with every name the kind has; kind NULL: the frame. */
static const char *try_to_expand(const struct mail_kind *kind, int part, struct busi_str text)
{
    struct busi_template_value values[2 * MAIL_KIND_ARGUMENTS + 4] = {
        {.name = BUSI_STR("recipient")}, {.name = BUSI_STR("base_url")}, {.name = BUSI_STR("language")}};
    struct busi_buf out;
    size_t n = 3;
    if (part == HTML)
        values[n++].name = BUSI_STR("subject");
    if (!kind)
        values[n++].name = BUSI_STR("content");
    for (size_t i = 0; kind && kind->must[i]; i++)
        values[n++].name = busi_str_of(kind->must[i]);
    for (size_t i = 0; kind && kind->may[i]; i++)
        values[n++].name = busi_str_of(kind->may[i]);
    busi_buf_init(&out, MAIL_TEMPLATE_MAX_BYTES);
    const char *error = busi_template_expand(&out, text, values, n, BUSI_TEMPLATE_TEXT);
    busi_buf_fini(&out);
    return error;
}

static const char *check_text(const struct mail_kind *kind, int part, struct busi_str text)
{
    if (memchr(text.ptr, 0, text.len) || !busi_utf8_valid(text))
        return "it is not UTF-8";
    if (text.len == 0)
        return "it is empty";
    for (size_t i = 0; part == SUBJECT && i < text.len; i++)
        if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
            return "a subject is one line of text";
    if (!kind && !has_tag(text, "{{content}}"))
        return "the frame has no {{content}}";
    return try_to_expand(kind, part, text);
}

/* ---- reading the folder ---- */

static void forget(struct override *override)
{
    free(override->text);
    *override = (struct override){0};
}

/* NULL, or why the file cannot be used. */
static const char *read_override(struct override *override, const char *path, const struct mail_kind *kind,
                                 int part)
{
    struct busi_arena arena;
    struct busi_str text = {0};
    busi_arena_init(&arena, 2 * MAIL_TEMPLATE_MAX_BYTES);
    const char *error = busi_small_file_read(path, MAIL_TEMPLATE_MAX_BYTES, &arena, &text);
    if (!error && part == SUBJECT)
        text = busi_str_trim(text, "\r\n");
    if (!error)
        error = check_text(kind, part, text);
    override->text = error ? NULL : malloc(text.len + 1);
    if (override->text) {
        memcpy(override->text, text.ptr, text.len);
        override->text[text.len] = 0;
        override->len = text.len;
    }
    busi_arena_fini(&arena);
    return error;
}

static void refresh(struct override *override, const char *path, const struct mail_kind *kind, int part)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        forget(override);
        return;
    }
    if (override->there && override->size == st.st_size && override->inode == st.st_ino &&
        override->changed.tv_sec == st.st_mtim.tv_sec && override->changed.tv_nsec == st.st_mtim.tv_nsec)
        return;
    forget(override);
    const char *error = read_override(override, path, kind, part);
    override->there = true;
    override->changed = st.st_mtim;
    override->size = st.st_size;
    override->inode = st.st_ino;
    if (error)
        busi_log(BUSI_ERR, "mail_template_broken", BUSI_C("file", path), BUSI_C("why", error));
    else
        busi_log(BUSI_INFO, "mail_template_read", BUSI_C("file", path));
}

static void refresh_language(const struct mail_templates *templates, struct language *language)
{
    char path[PATH_MAX];
    for (size_t kind = 0; kind < MAIL_KINDS; kind++)
        for (int part = 0; part < PARTS; part++) {
            snprintf(path, sizeof(path), "%.*s/%s/%s.%s", BUSI_ARG(templates->folder), language->tag,
                     mail_kind(kind)->name, endings[part]);
            refresh(&language->parts[kind][part], path, mail_kind(kind), part);
        }
    snprintf(path, sizeof(path), "%.*s/%s/frame.html", BUSI_ARG(templates->folder), language->tag);
    refresh(&language->frame, path, NULL, HTML);
}

/* Folders that are named like a language become one. */
static void find_languages(struct mail_templates *templates)
{
    char path[PATH_MAX];
    struct dirent *entry;
    snprintf(path, sizeof(path), "%.*s", BUSI_ARG(templates->folder));
    DIR *open = opendir(path);
    if (!open && !templates->told_folder)
        busi_log(BUSI_ERR, "mail_templates", BUSI_C("folder", path), BUSI_C("why", strerror(errno)));
    templates->told_folder = !open;
    while (open && (entry = readdir(open)) != NULL) {
        struct busi_str name = busi_str_of(entry->d_name);
        if (mail_language_valid(name) && !find_language(templates, name))
            (void)add_language(templates, name, -1);
    }
    if (open)
        closedir(open);
}

static void look(struct mail_templates *templates)
{
    if (templates->folder.len == 0 || busi_now_ms() < templates->look_ms)
        return;
    find_languages(templates);
    for (size_t i = 0; i < templates->n; i++)
        refresh_language(templates, &templates->languages[i]);
    templates->look_ms = busi_now_ms() + LOOK_MS;
}

/* ---- finding ---- */

static struct busi_str part_of(const struct language *language, size_t kind, int part)
{
    const struct override *override = &language->parts[kind][part];
    if (override->text)
        return (struct busi_str){override->text, override->len};
    if (language->built_in < 0)
        return (struct busi_str){0};
    struct busi_str text = busi_str_of(built_in[kind][language->built_in][part]);
    return part == SUBJECT ? busi_str_trim(text, "\n") : text;
}

/* An operator may bring whole pages. */
static bool is_page(struct busi_str html)
{
    static const char begins[] = "<!doctype";
    return html.len >= sizeof(begins) - 1 &&
           busi_str_ieq((struct busi_str){html.ptr, sizeof(begins) - 1}, BUSI_STR("<!doctype"));
}

/* False: the language lacks a part of this kind. */
static bool fill(const struct language *language, size_t kind, struct mail_parts *out)
{
    *out = (struct mail_parts){.language = language->tag,
                               .subject = part_of(language, kind, SUBJECT),
                               .text = part_of(language, kind, TEXT),
                               .html = part_of(language, kind, HTML),
                               .frame = busi_str_of(mail_frame)};
    if (!out->subject.ptr || !out->text.ptr || !out->html.ptr)
        return false;
    if (language->frame.text)
        out->frame = (struct busi_str){language->frame.text, language->frame.len};
    if (is_page(out->html))
        out->frame = (struct busi_str){0};
    return true;
}

/* RFC 4647's lookup: the tag, then the tag without its last part, and so on. */
static bool find_nearest(struct mail_templates *templates, size_t kind, struct busi_str tag,
                         struct mail_parts *out)
{
    char text[TAG_BYTES];
    if (!mail_language_valid(tag))
        return false;
    for (size_t i = 0; i < tag.len; i++)
        text[i] = tag.ptr[i] == '_' ? '-' : tag.ptr[i];
    for (size_t len = tag.len; len > 0; len--) {
        if (len < tag.len && text[len] != '-')
            continue;
        const struct language *language = find_language(templates, (struct busi_str){text, len});
        if (language && fill(language, kind, out))
            return true;
    }
    return false;
}

void mail_templates_find(struct mail_templates *templates, const struct mail_kind *kind,
                         struct busi_str language, struct mail_parts *out)
{
    size_t index = mail_kind_index(kind);
    look(templates);
    if (!find_nearest(templates, index, language, out) &&
        !find_nearest(templates, index, templates->fallback, out))
        (void)fill(&templates->languages[0], index, out); /* has every part */
}

struct mail_templates *mail_templates_new(struct busi_str folder, struct busi_str language)
{
    struct mail_templates *templates = calloc(1, sizeof(*templates));
    if (!templates)
        return NULL;
    templates->folder = folder;
    templates->fallback = language;
    for (int i = 0; i < (int)BUILT_IN; i++)
        (void)add_language(templates, busi_str_of(built_in_tags[i]), i);
    return templates;
}

void mail_templates_free(struct mail_templates **templates)
{
    struct mail_templates *gone = *templates;
    for (size_t i = 0; gone && i < gone->n; i++) {
        for (size_t kind = 0; kind < MAIL_KINDS; kind++)
            for (int part = 0; part < PARTS; part++)
                forget(&gone->languages[i].parts[kind][part]);
        forget(&gone->languages[i].frame);
    }
    free(gone);
    *templates = NULL;
}
