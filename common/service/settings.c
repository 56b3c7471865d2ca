#include "service/settings.h"
#include "service/config_lines.h"
#include "service/setting_row.h"
#include "service/small_file.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

enum { MOST_ROWS = 256, FILE_MAX_BYTES = 64 * 1024, SHOWN_BYTES = 64, HELP_COLUMNS = 80 };

/* a macro and no constant: C has no constant of a struct from a literal */
#define ENV_PREFIX BUSI_STR("BUSI_")
#define FILE_SUFFIX BUSI_STR("_FILE")

/* One reading of all sources; a source is the file or the environment. */
struct reading {
    struct busi_settings *settings;
    enum busi_user user;
    struct busi_arena *arena;
    struct busi_buf *errors;
    const char *file;      /* being read; NULL: the environment */
    unsigned line;         /* of the file */
    bool given[MOST_ROWS]; /* by this source, as a value or as a file's name */
    bool failed;
};

/* "NAME: why", with the place when it stands in the file. */
[[gnu::format(printf, 3, 4)]] static void complain(struct reading *r, struct busi_str name,
                                                   const char *format, ...)
{
    char why[512];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof(why), format, args);
    va_end(args);
    r->failed = true;
    busi_buf_str(r->errors, name);
    if (r->file)
        busi_buf_printf(r->errors, "%s%s line %u", name.len > 0 ? ", " : "", r->file, r->line);
    busi_buf_printf(r->errors, ": %s\n", why);
}

/* A value for a message: short, and without bytes a terminal would act on. */
static const char *shown(struct busi_str value, char out[SHOWN_BYTES + 4])
{
    size_t len = value.len < SHOWN_BYTES ? value.len : SHOWN_BYTES;
    for (size_t i = 0; i < len; i++)
        out[i] = value.ptr[i] >= ' ' && value.ptr[i] < 0x7f ? value.ptr[i] : '?';
    snprintf(out + len, 4, "%s", value.len > len ? "..." : "");
    return out;
}

static void *field_of(struct busi_settings *settings, const struct busi_setting_row *row)
{
    return (char *)settings + row->offset;
}

/* "99999 is not within 1..65535", in the setting's own unit; a secret or text only says its length. */
static void complain_range(struct reading *r, const struct busi_setting_row *row, int64_t measure)
{
    const struct busi_setting_type *type = busi_setting_type(row->kind);
    struct busi_buf why;
    busi_buf_init(&why, 256);
    busi_buf_str(&why, busi_str_of(type->measured));
    type->print_measure(&why, measure);
    busi_buf_str(&why, type->measured[0] ? BUSI_STR(", is not within ") : BUSI_STR(" is not within "));
    type->print_measure(&why, row->least);
    busi_buf_str(&why, BUSI_STR(".."));
    type->print_measure(&why, row->most);
    complain(r, busi_str_of(row->env), "%.*s", (int)why.len, why.ptr ? why.ptr : "");
    busi_buf_fini(&why);
}

/* text outlives the settings. */
static void set(struct reading *r, const struct busi_setting_row *row, struct busi_str text)
{
    const struct busi_setting_type *type = busi_setting_type(row->kind);
    void *field = field_of(r->settings, row);
    char value[SHOWN_BYTES + 4];
    if (!type->parse(text, field)) {
        if (type->secret)
            complain(r, busi_str_of(row->env), "is not %s", type->wanted);
        else
            complain(r, busi_str_of(row->env), "'%s' is not %s", shown(text, value), type->wanted);
        return;
    }
    if (!type->measure)
        return;
    int64_t measure = type->measure(field);
    if (measure < row->least || measure > row->most)
        complain_range(r, row, measure);
}

static void set_copy(struct reading *r, const struct busi_setting_row *row, struct busi_str text)
{
    struct busi_str copy = busi_arena_dup(r->arena, text);
    if (copy.ptr)
        set(r, row, copy);
    else
        complain(r, busi_str_of(row->env), "out of memory");
}

/* A secret from the file the setting BUSI_X_FILE names. */
static void set_from_file(struct reading *r, const struct busi_setting_row *row, struct busi_str name,
                          struct busi_str path)
{
    char value[SHOWN_BYTES + 4];
    struct busi_str copy = busi_arena_dup(r->arena, path);
    struct busi_str secret = {0};
    if (!copy.ptr || copy.len == 0) {
        complain(r, name, "names no file; name one or leave the variable out");
        return;
    }
    const char *error = busi_small_file_read(copy.ptr, (size_t)row->most + 2, r->arena, &secret);
    if (error) {
        complain(r, name,
                 "cannot read '%s': %s; it must be a file that user %u can read, of at most %lld bytes",
                 shown(path, value), error, (unsigned)geteuid(), (long long)row->most);
        return;
    }
    if (busi_str_starts(secret, BUSI_STR("\xef\xbb\xbf"))) {
        complain(r, name, "'%s' begins with a byte order mark, which would count as part of the secret",
                 shown(path, value));
        return;
    }
    if (secret.len > 0 && secret.ptr[secret.len - 1] == '\n')
        secret.len--;
    if (secret.len > 0 && secret.ptr[secret.len - 1] == '\r')
        secret.len--;
    set(r, row, secret);
}

/* True if this source has not given the row before. */
static bool first_time(struct reading *r, ptrdiff_t index, struct busi_str name)
{
    if (r->given[index])
        complain(r, name, "is given twice (as a value, or as a value and a file); keep one");
    bool first = !r->given[index];
    r->given[index] = true;
    return first;
}

/* The secret's row when name is BUSI_X_FILE, else -1. */
static ptrdiff_t find_file_setting(struct busi_str name)
{
    if (name.len <= FILE_SUFFIX.len)
        return -1;
    struct busi_str stem = {name.ptr, name.len - FILE_SUFFIX.len};
    if (!busi_str_eq((struct busi_str){name.ptr + stem.len, FILE_SUFFIX.len}, FILE_SUFFIX))
        return -1;
    ptrdiff_t index = busi_setting_row_find(stem);
    return index >= 0 && busi_setting_type(busi_setting_row((size_t)index)->kind)->secret ? index : -1;
}

/* One "name = value" of a source. */
static void take(struct reading *r, struct busi_str name, struct busi_str value)
{
    ptrdiff_t index = busi_setting_row_find(name);
    bool is_file = index < 0;
    if (is_file)
        index = find_file_setting(name);
    if (index < 0) {
        const char *nearest = busi_setting_row_nearest(name);
        char text[SHOWN_BYTES + 4];
        complain(r, busi_str_of(shown(name, text)), "there is no such setting%s%s%s",
                 nearest ? "; did you mean " : "", nearest ? nearest : "", nearest ? "?" : "");
        return;
    }
    const struct busi_setting_row *row = busi_setting_row((size_t)index);
    if (!(row->users & r->user) || !first_time(r, index, name))
        return;
    if (is_file)
        set_from_file(r, row, name, value);
    else
        set_copy(r, row, value);
}

static void read_defaults(struct reading *r)
{
    for (size_t i = 0; i < busi_setting_rows(); i++)
        set(r, busi_setting_row(i), busi_str_of(busi_setting_row(i)->fallback));
    assert(!r->failed); /* a row's default must fit its own bounds */
}

/* The environment's name of a key: "http_port" -> "BUSI_HTTP_PORT"; cut names are unknown ones. */
static struct busi_str name_of_key(struct busi_str key, char *out, size_t room)
{
    size_t len = ENV_PREFIX.len;
    memcpy(out, ENV_PREFIX.ptr, len);
    for (size_t i = 0; i < key.len && len < room; i++)
        out[len++] = key.ptr[i] >= 'a' && key.ptr[i] <= 'z' ? (char)(key.ptr[i] - 0x20) : key.ptr[i];
    return (struct busi_str){out, len};
}

static void read_file(struct reading *r)
{
    struct busi_str text;
    struct busi_config_lines lines;
    char name[SHOWN_BYTES + 16];
    const char *error = busi_small_file_read(r->file, FILE_MAX_BYTES, r->arena, &text);
    if (error) {
        busi_buf_printf(r->errors, "%s: cannot read the configuration: %s (at most %d KiB)\n", r->file, error,
                        FILE_MAX_BYTES / 1024);
        r->failed = true;
        return;
    }
    busi_config_lines_init(&lines, text);
    while (busi_config_lines_next(&lines)) {
        r->line = lines.line;
        if (lines.error)
            complain(r, (struct busi_str){0}, "%s", lines.error);
        else
            take(r, name_of_key(lines.key, name, sizeof(name)), lines.value);
    }
}

static void read_environment(struct reading *r, char *const environment[])
{
    memset(r->given, 0, sizeof(r->given));
    r->file = NULL;
    for (size_t i = 0; environment[i]; i++) {
        struct busi_str entry = busi_str_of(environment[i]);
        const char *equals = memchr(entry.ptr, '=', entry.len);
        if (!equals || !busi_str_starts(entry, ENV_PREFIX))
            continue;
        struct busi_str name = {entry.ptr, (size_t)(equals - entry.ptr)};
        if (!busi_setting_is_foreign(name, equals + 1))
            take(r, name, busi_str_of(equals + 1));
    }
}

bool busi_settings_read(struct busi_settings *settings, enum busi_user user, const char *file,
                        char *const environment[], struct busi_arena *arena, struct busi_buf *errors)
{
    struct reading r = {.settings = settings, .user = user, .arena = arena, .errors = errors};
    assert(busi_setting_rows() <= MOST_ROWS);
    memset(settings, 0, sizeof(*settings));
    read_defaults(&r);
    r.file = file;
    if (file)
        read_file(&r);
    read_environment(&r, environment);
    return !r.failed;
}

void busi_settings_print(struct busi_buf *out, const struct busi_settings *settings, enum busi_user user)
{
    for (size_t i = 0; i < busi_setting_rows(); i++) {
        const struct busi_setting_row *row = busi_setting_row(i);
        if (!(row->users & user))
            continue;
        busi_buf_printf(out, "%s=", row->env);
        busi_setting_type(row->kind)->print(out, (const char *)settings + row->offset);
        busi_buf_char(out, '\n');
    }
}

/* Words of text in lines of at most HELP_COLUMNS, each indented. */
static void print_wrapped(struct busi_buf *out, struct busi_str text, size_t indent)
{
    size_t column = 0;
    while (text.len > 0) {
        const char *blank = memchr(text.ptr, ' ', text.len);
        size_t len = blank ? (size_t)(blank - text.ptr) : text.len;
        if (column > 0 && column + 1 + len > HELP_COLUMNS) {
            busi_buf_char(out, '\n');
            column = 0;
        }
        if (column == 0)
            busi_buf_printf(out, "%*s", (int)indent, "");
        else
            busi_buf_char(out, ' ');
        column = (column == 0 ? indent : column + 1) + len;
        busi_buf_add(out, text.ptr, len);
        size_t used = blank ? len + 1 : len;
        text = (struct busi_str){text.ptr + used, text.len - used};
    }
    busi_buf_char(out, '\n');
}

void busi_settings_help(struct busi_buf *out, enum busi_user user)
{
    for (size_t i = 0; i < busi_setting_rows(); i++) {
        const struct busi_setting_row *row = busi_setting_row(i);
        if (!(row->users & user))
            continue;
        busi_buf_printf(out, "  %s=%s\n", row->env, row->fallback);
        print_wrapped(out, busi_str_of(row->help), 6);
    }
}
