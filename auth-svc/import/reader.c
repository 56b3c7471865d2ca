#include "import/reader.h"
#include "base/text.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

enum { ROOM_BYTES = 4 * AUTH_IMPORT_ROW_MOST_BYTES };

bool auth_import_reader_init(struct auth_import_reader *reader, int fd, bool csv)
{
    *reader = (struct auth_import_reader){.fd = fd, .csv = csv, .line = 1, .buffer = malloc(ROOM_BYTES)};
    return reader->buffer != NULL;
}

void auth_import_reader_fini(struct auth_import_reader *reader)
{
    if (reader->buffer)
        explicit_bzero(reader->buffer, ROOM_BYTES);
    free(reader->buffer);
    reader->buffer = NULL;
}

/* ---- bytes ---- */

/* More behind what is there, until a row of any length has room or the file ends. */
static void fill(struct auth_import_reader *reader)
{
    if (reader->at > 0) {
        memmove(reader->buffer, reader->buffer + reader->at, reader->len - reader->at);
        reader->len -= reader->at;
        reader->at = 0;
    }
    while (!reader->ended && reader->len < ROOM_BYTES) {
        ssize_t n = read(reader->fd, reader->buffer + reader->len, ROOM_BYTES - reader->len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            reader->fault = strerror(errno);
        reader->ended = n <= 0;
        reader->len += n > 0 ? (size_t)n : 0;
    }
}

static struct busi_str unread(struct auth_import_reader *reader)
{
    if (reader->len - reader->at <= AUTH_IMPORT_ROW_MOST_BYTES + 2 && !reader->ended)
        fill(reader);
    return (struct busi_str){reader->buffer + reader->at, reader->len - reader->at};
}

static void skip(struct auth_import_reader *reader, size_t n)
{
    const char *at = reader->buffer + reader->at;
    for (const char *end = at + n; (at = memchr(at, '\n', (size_t)(end - at))); at++)
        reader->line++;
    reader->at += n;
    reader->consumed += (int64_t)n;
}

/* ---- where a row ends ---- */

enum { NOT_FOUND = -1 };

/* The place of the line end behind text, or where the file ends; NOT_FOUND: within a row's length there is
 * none. */
static ptrdiff_t find_line_end(const struct auth_import_reader *reader, struct busi_str text)
{
    size_t most = text.len < AUTH_IMPORT_ROW_MOST_BYTES + 1 ? text.len : AUTH_IMPORT_ROW_MOST_BYTES + 1;
    const char *end = memchr(text.ptr, '\n', most);
    if (end)
        return end - text.ptr;
    return reader->ended && most == text.len ? (ptrdiff_t)text.len : NOT_FOUND;
}

/* The same of a record, where line ends between quotes count as text. Which quotes are out of place is for
 * those who read its fields: only one that begins a field opens, and only one that ends it closes. */
static ptrdiff_t find_record_end(const struct auth_import_reader *reader, struct busi_str text)
{
    bool quoted = false, begins = true;
    size_t i = 0;
    for (; i < text.len && i <= AUTH_IMPORT_ROW_MOST_BYTES; i++) {
        char c = text.ptr[i];
        if (!quoted && c == '\n')
            return (ptrdiff_t)i;
        if (c == '"' && quoted && i + 1 < text.len && text.ptr[i + 1] == '"')
            i++;
        else if (c == '"')
            quoted = !quoted && begins;
        begins = !quoted && c == ',';
    }
    return reader->ended && i == text.len && !quoted ? (ptrdiff_t)i : NOT_FOUND;
}

/* ---- rows ---- */

/* A line that no row ends in. The rest of one that is longer than a row may be is skipped as it comes. */
static void skip_line(struct auth_import_reader *reader)
{
    for (;;) {
        struct busi_str text = unread(reader);
        const char *end = text.len > 0 ? memchr(text.ptr, '\n', text.len) : NULL;
        skip(reader, end ? (size_t)(end - text.ptr) + 1 : text.len);
        if (end || reader->ended)
            return;
    }
}

static const char *judge(struct busi_str text)
{
    if (text.len > AUTH_IMPORT_ROW_MOST_BYTES)
        return "is longer than 64 KiB";
    if (text.len > 0 && memchr(text.ptr, '\0', text.len))
        return "has a NUL byte";
    return busi_utf8_valid(text) ? NULL : "is not UTF-8";
}

bool auth_import_reader_next(struct auth_import_reader *reader, struct auth_import_record *record)
{
    for (;;) {
        struct busi_str text = unread(reader);
        if (reader->consumed == 0 && busi_str_starts(text, BUSI_STR("\xEF\xBB\xBF"))) {
            skip(reader, 3);
            continue;
        }
        if (text.len == 0 || reader->fault)
            return false;
        *record = (struct auth_import_record){.line = reader->line};
        ptrdiff_t end = reader->csv ? find_record_end(reader, text) : find_line_end(reader, text);
        if (end == NOT_FOUND) {
            bool line_fits = find_line_end(reader, text) != NOT_FOUND;
            record->refused = line_fits ? "a quote is not closed" : "is longer than 64 KiB";
            skip_line(reader);
            return true;
        }
        text.len = (size_t)end;
        skip(reader, text.len + (reader->at + text.len < reader->len));
        if (text.len > 0 && text.ptr[text.len - 1] == '\r')
            text.len--;
        if (text.len == 0)
            continue;
        record->text = text;
        record->refused = judge(text);
        return true;
    }
}
