#include "pages/site.h"
#include "base/embed.h"
#include "base/template.h"
#include "base/text.h"
#include "crypto/secret.h"
#include "http/return_to.h"
#include "service/settings.h"
#include "service/small_file.h"
#include <stdlib.h>
#include <unistd.h>

enum {
    STYLE_MOST_BYTES = 32 * 1024, /* of the house's own */
    LOGO_MOST_BYTES = 24 * 1024,  /* it is within every page */
    ARENA_BYTES = 256 * 1024,
};

BUSI_EMBED(page_css, "pages/style.css");

/* ---- texts ---- */

/* Standard base64 with padding, as data: URLs and policies have it. */
static struct busi_str base64(struct busi_arena *arena, struct busi_str bytes)
{
    size_t room = (bytes.len + 2) / 3 * 4;
    char *text = busi_arena_alloc(arena, room + 1);
    if (!text)
        return (struct busi_str){0};
    size_t n = busi_base64url_encode(text, bytes.ptr, bytes.len);
    for (size_t i = 0; i < n; i++)
        text[i] = text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i];
    while (n < room)
        text[n++] = '=';
    return (struct busi_str){text, n};
}

static struct busi_str escaped(struct busi_arena *arena, struct busi_str text)
{
    struct busi_buf out;
    const struct busi_template_value value = {.name = BUSI_STR("text"), .value = text};
    busi_buf_init(&out, 4096);
    bool ok = !busi_template_expand(&out, BUSI_STR("{{text}}"), &value, 1, BUSI_TEMPLATE_HTML) && !out.failed;
    struct busi_str copy =
        ok ? busi_arena_dup(arena, (struct busi_str){out.ptr ? out.ptr : "", out.len}) : (struct busi_str){0};
    busi_buf_fini(&out);
    return copy;
}

/* ---- the theme: files of a folder ---- */

struct theme {
    struct busi_arena *arena;
    struct busi_str folder; /* empty: none */
    struct busi_buf *errors;
    bool failed;
};

static void refuse(struct theme *theme, const char *file, const char *why)
{
    busi_buf_printf(theme->errors, "BUSI_PAGES_THEME: %.*s/%s %s\n", BUSI_ARG(theme->folder), file, why);
    theme->failed = true;
}

/* Absent when there is no such file. */
static struct busi_str read_file(struct theme *theme, const char *file, size_t most)
{
    struct busi_str text = {0}, path = {0};
    if (theme->folder.len == 0)
        return text;
    path = busi_arena_printf(theme->arena, "%.*s/%s", BUSI_ARG(theme->folder), file);
    if (!path.ptr || access(path.ptr, F_OK))
        return text;
    const char *error = busi_small_file_read(path.ptr, most, theme->arena, &text);
    if (!error)
        return text;
    refuse(theme, file, error);
    return (struct busi_str){0};
}

/* Browsers hash a style without its carriage returns, and end it where it says so. */
static struct busi_str read_style(struct theme *theme)
{
    const struct busi_str end = BUSI_STR("</");
    struct busi_str text = read_file(theme, "style.css", STYLE_MOST_BYTES);
    char *at = (char *)(uintptr_t)text.ptr; /* the arena's copy of the file is ours */
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (busi_str_starts((struct busi_str){text.ptr + i, text.len - i}, end) || text.ptr[i] == '\0') {
            refuse(theme, "style.css", "must not contain \"</\" or NUL");
            return (struct busi_str){0};
        }
        if (text.ptr[i] != '\r')
            at[n++] = text.ptr[i];
    }
    if (n > 0 && !busi_utf8_valid((struct busi_str){at, n}))
        refuse(theme, "style.css", "is no UTF-8");
    return (struct busi_str){at, n};
}

/* As an image's source; absent when there is none. */
static struct busi_str read_logo(struct theme *theme)
{
    static const struct {
        const char *file, *type;
    } kinds[] = {{"logo.svg", "image/svg+xml"}, {"logo.png", "image/png"}, {"logo.webp", "image/webp"}};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct busi_str logo = read_file(theme, kinds[i].file, LOGO_MOST_BYTES);
        if (logo.ptr)
            return busi_arena_printf(theme->arena, "data:%s;base64,%.*s", kinds[i].type,
                                     BUSI_ARG(base64(theme->arena, logo)));
    }
    return (struct busi_str){0};
}

/* ---- what pages are made of ---- */

static void make_brand(struct page_site *site, struct busi_str logo)
{
    struct busi_str name = escaped(&site->arena, site->name);
    site->brand = BUSI_STR("");
    if (logo.ptr)
        site->brand =
            busi_arena_printf(&site->arena, "<p class=\"brand\"><img src=\"%.*s\" alt=\"%.*s\"></p>",
                              BUSI_ARG(logo), BUSI_ARG(name));
    else if (name.len)
        site->brand = busi_arena_printf(&site->arena, "<p class=\"brand\">%.*s</p>", BUSI_ARG(name));
}

/* Nothing but the one style is let in, by its hash; a logo only when there is one. Browsers hold redirects of
 * forms to form-action, too. */
static void make_policy(struct page_site *site, bool logo)
{
    uint8_t sum[32];
    busi_sha256(sum, site->style);
    struct busi_str hash = base64(&site->arena, (struct busi_str){(const char *)sum, sizeof sum});
    struct busi_str targets = BUSI_STR("");
    for (size_t i = 0; i < site->origins.n; i++)
        targets =
            busi_arena_printf(&site->arena, "%.*s %.*s", BUSI_ARG(targets), BUSI_ARG(site->origins.list[i]));
    site->policy = busi_arena_printf(&site->arena,
                                     "default-src 'none'; style-src 'sha256-%.*s'; %sform-action 'self'%.*s; "
                                     "frame-ancestors 'none'; base-uri 'none'",
                                     BUSI_ARG(hash), logo ? "img-src data:; " : "", BUSI_ARG(targets));
}

static bool read_theme(struct page_site *site, const struct busi_settings *settings, struct busi_buf *errors)
{
    struct theme theme = {.arena = &site->arena, .folder = settings->pages_theme, .errors = errors};
    struct busi_str style = read_style(&theme), logo = read_logo(&theme);
    site->style = busi_arena_printf(&site->arena, "%s%.*s", page_css, BUSI_ARG(style));
    make_brand(site, logo);
    make_policy(site, logo.ptr != NULL);
    if (theme.failed)
        return false;
    if (site->style.ptr && site->brand.ptr && site->policy.ptr)
        return true;
    busi_buf_printf(errors, "BUSI_PAGES_THEME: out of memory\n");
    return false;
}

/* ---- where browsers go ---- */

static bool read_targets(struct page_site *site, const struct busi_settings *settings,
                         struct busi_buf *errors)
{
    struct busi_str bad;
    if (!origins_init(&site->origins, settings->pages_return_to, &bad)) {
        busi_buf_printf(errors, "BUSI_PAGES_RETURN_TO: '%.*s' is no origin, as https://app.example.com\n",
                        BUSI_ARG(bad));
        return false;
    }
    site->home = settings->pages_home;
    if (page_site_may_return(site, site->home))
        return true;
    busi_buf_printf(errors,
                    "BUSI_PAGES_HOME: must be a path as /start, or a URL at one of BUSI_PAGES_RETURN_TO\n");
    return false;
}

bool page_site_may_return(const struct page_site *site, struct busi_str target)
{
    return return_to_ok(target, &site->origins);
}

static struct busi_str prefix_of(const struct router_options *options, enum surface_id id)
{
    if (!options->on[id])
        return (struct busi_str){0};
    return options->prefix[id].ptr ? options->prefix[id] : BUSI_STR("");
}

static void read_surfaces(struct page_site *site, const struct router_options *options)
{
    site->pages = prefix_of(options, SURFACE_pages);
    site->account = prefix_of(options, SURFACE_account);
    site->ash = prefix_of(options, SURFACE_ash);
    site->resets = options->on[SURFACE_accesspass] ? BUSI_STR("accesspass") : BUSI_STR("ash_page");
}

struct page_site *page_site_new(const struct busi_settings *settings, const struct router_options *options,
                                struct busi_buf *errors)
{
    struct page_site *site = calloc(1, sizeof *site);
    if (!site)
        return NULL;
    busi_arena_init(&site->arena, ARENA_BYTES);
    site->name = settings->pages_name;
    site->sign_in_tokens = settings->sign_in_tokens && options->on[SURFACE_ash];
    site->secure = busi_str_starts(settings->base_url, BUSI_STR("https://"));
    /* a browser takes this prefix only of https, for the whole site, and of this very host */
    site->cookie = site->secure ? BUSI_STR("__Host-busi_session") : BUSI_STR("busi_session");
    read_surfaces(site, options);
    bool ok = read_targets(site, settings, errors);
    if (!(read_theme(site, settings, errors) && ok))
        page_site_free(&site);
    return site;
}

void page_site_free(struct page_site **site)
{
    if (!*site)
        return;
    busi_arena_fini(&(*site)->arena);
    free(*site);
    *site = NULL;
}
