#include "rpc/certificate.h"
#include "rpc/curve.h"
#include "rpc/method_set.h"
#include <czmq.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { MAX_FILE = 16 * 1024, PATH_ROOM = 2048, KEY_TEXT = 40 };

/* ---- what is in a certificate file ----
 * czmq writes it and would read it, too: but then it leaks memory and prints to stdout when it does not like
 * what it reads, and without memory it is killed or loses a line, of which `methods` is one. */

enum field { PUBLIC_KEY, SECRET_KEY, NAME, METHODS, FIELDS };
struct file {
    struct busi_str section;        /* where the line is */
    struct busi_str fields[FIELDS]; /* absent: not there */
};

static bool name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

static size_t skip_blanks(struct busi_str line, size_t at)
{
    while (at < line.len && line.ptr[at] == ' ')
        at++;
    return at;
}

/* False: it is there already. */
static bool set_field(struct file *file, struct busi_str word, struct busi_str text)
{
    static const char *const rows[FIELDS][2] = {
        [PUBLIC_KEY] = {"curve", "public-key"},
        [SECRET_KEY] = {"curve", "secret-key"},
        [NAME] = {"metadata", "name"},
        [METHODS] = {"metadata", "methods"},
    };
    for (size_t i = 0; i < FIELDS; i++) {
        if (!busi_str_eq(file->section, busi_str_of(rows[i][0])) ||
            !busi_str_eq(word, busi_str_of(rows[i][1])))
            continue;
        bool fresh = !file->fields[i].ptr;
        file->fields[i] = text;
        return fresh;
    }
    return true;
}

/* The text in quotes that is the rest of a line. Absent: it is something else. */
static struct busi_str quoted(struct busi_str line, size_t at)
{
    size_t n = line.len - at;
    if (n < 2 || line.ptr[at] != '"' || line.ptr[line.len - 1] != '"' ||
        memchr(line.ptr + at + 1, '"', n - 2))
        return (struct busi_str){0};
    return (struct busi_str){line.ptr + at + 1, n - 2};
}

/* Nothing, # anything, word, or word = "text". A word at the margin is a section, and what belongs to it
 * stands four blanks from there. */
static bool take_line(struct file *file, struct busi_str line)
{
    for (size_t i = 0; i < line.len; i++)
        if (line.ptr[i] < ' ' || line.ptr[i] > '~')
            return false;
    size_t begin = skip_blanks(line, 0), at = begin;
    if (at == line.len || line.ptr[at] == '#')
        return true;
    while (at < line.len && name_byte(line.ptr[at]))
        at++;
    struct busi_str word = {line.ptr + begin, at - begin};
    if (word.len == 0 || begin % 4 != 0)
        return false;
    if (begin == 0)
        file->section = word;
    at = skip_blanks(line, at);
    if (at == line.len)
        return true;
    if (line.ptr[at] != '=')
        return false;
    struct busi_str text = quoted(line, skip_blanks(line, at + 1));
    return text.ptr && (begin != 4 || set_field(file, word, text));
}

static bool take_lines(struct file *file, struct busi_str bytes)
{
    bool fine = bytes.len > 0;
    for (size_t at = 0; fine && at < bytes.len;) {
        const char *end = memchr(bytes.ptr + at, '\n', bytes.len - at);
        size_t len = end ? (size_t)(end - bytes.ptr) - at : bytes.len - at;
        fine = take_line(file, (struct busi_str){bytes.ptr + at, len});
        at += len + 1;
    }
    return fine;
}

/* ---- reading ---- */

static bool valid_name(const char *name)
{
    size_t len = name ? strlen(name) : 0;
    for (size_t i = 0; i < len; i++)
        if (!name_byte(name[i]))
            return false;
    return len > 0 && len < BUSI_NAME_ROOM && name[0] != '.';
}

/* Of its text. */
static bool decode_key(uint8_t key[BUSI_KEY_BYTES], const char *text)
{
    return strlen(text) == KEY_TEXT && zmq_z85_decode(key, text);
}

static void copy_text(char text[KEY_TEXT + 1], struct busi_str field)
{
    size_t len = field.len <= KEY_TEXT ? field.len : 0;
    if (len > 0)
        memcpy(text, field.ptr, len);
    text[len] = '\0';
}

/* NULL or what is wrong. A secret key of zeros is none. */
static const char *take_keys(struct busi_certificate *certificate, const struct file *file)
{
    char public_text[KEY_TEXT + 1], text[KEY_TEXT + 1], half[KEY_TEXT + 1];
    const char *wrong = NULL;
    unsigned any = 0;
    copy_text(public_text, file->fields[PUBLIC_KEY]);
    copy_text(text, file->fields[SECRET_KEY]);
    if (!decode_key(certificate->public_key, public_text) ||
        (file->fields[SECRET_KEY].ptr && !decode_key(certificate->secret_key, text)))
        wrong = "not a CURVE certificate";
    for (int i = 0; i < BUSI_KEY_BYTES; i++)
        any |= certificate->secret_key[i];
    certificate->has_secret = any != 0;
    /* nobody would be let in with another's half, and nothing would say why */
    if (!wrong && any && (zmq_curve_public(half, text) != 0 || strcmp(half, public_text) != 0))
        wrong = "the CURVE key file's public and secret key are no pair";
    explicit_bzero(text, sizeof text);
    return wrong;
}

static bool take_name(struct busi_certificate *certificate, const struct file *file, const char *path)
{
    struct busi_str name = file->fields[NAME];
    if (!name.ptr) {
        const char *slash = strrchr(path, '/');
        const char *base = slash ? slash + 1 : path;
        name = (struct busi_str){base, strcspn(base, ".")};
    }
    if (name.len >= BUSI_NAME_ROOM)
        return false;
    memcpy(certificate->name, name.ptr, name.len);
    certificate->name[name.len] = 0;
    return valid_name(certificate->name);
}

static bool take_methods(struct busi_certificate *certificate, const struct file *file)
{
    struct busi_str methods = file->fields[METHODS];
    if (!methods.ptr)
        return true;
    if (methods.len >= BUSI_NAMES_ROOM)
        return false;
    certificate->limited = true;
    memcpy(certificate->methods, methods.ptr, methods.len);
    certificate->methods[methods.len] = 0;
    return true;
}

static const char *take(struct busi_certificate *certificate, struct busi_str bytes, const char *path)
{
    struct file file = {0};
    if (!take_lines(&file, bytes) || !take_name(certificate, &file, path) ||
        !take_methods(certificate, &file))
        return "not a CURVE certificate";
    return take_keys(certificate, &file);
}

/* All of a file; what is longer than room is as long. False: it cannot be read. */
static bool read_bytes(const char *path, char *bytes, size_t room, size_t *n)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t got = 0;
    for (*n = 0; *n < room; *n += (size_t)got) {
        got = read(fd, bytes + *n, room - *n);
        if (got <= 0)
            break;
    }
    close(fd);
    return got >= 0;
}

/* Kubernetes mounts a Secret as root's and lets its readers in by their group: 0440 is the least there. */
static mode_t shared_by_root(const struct stat *about)
{
    return about->st_uid == 0 && geteuid() != 0 ? S_IRGRP : 0;
}

bool busi_certificate_read(struct busi_certificate *certificate, const char *path, mode_t forbidden,
                           const char **error)
{
    struct stat about;
    char bytes[MAX_FILE + 1];
    size_t n;
    *certificate = (struct busi_certificate){0};
    *error = "the CURVE certificate cannot be read";
    if (stat(path, &about) != 0 || !S_ISREG(about.st_mode) || access(path, R_OK) != 0)
        return false;
    *error = "the CURVE key file can be read by others (chmod 600)";
    if (about.st_mode & forbidden & ~shared_by_root(&about))
        return false;
    *error = "the CURVE certificate cannot be read";
    if (read_bytes(path, bytes, sizeof bytes, &n))
        *error =
            n > MAX_FILE ? "not a CURVE certificate" : take(certificate, (struct busi_str){bytes, n}, path);
    explicit_bzero(bytes, sizeof bytes);
    if (*error)
        busi_certificate_wipe(certificate);
    return !*error;
}

bool busi_certificate_read_str(struct busi_certificate *certificate, struct busi_str path, mode_t forbidden,
                               const char **error)
{
    char text[PATH_ROOM];
    *certificate = (struct busi_certificate){0};
    *error = "the name of the CURVE certificate's file is empty or too long";
    if (path.len == 0 || path.len >= sizeof text)
        return false;
    memcpy(text, path.ptr, path.len);
    text[path.len] = 0;
    return busi_certificate_read(certificate, text, forbidden, error);
}

bool busi_certificate_make(struct busi_certificate *certificate)
{
    char public_text[KEY_TEXT + 1], text[KEY_TEXT + 1];
    *certificate = (struct busi_certificate){0};
    certificate->has_secret = zmq_curve_keypair(public_text, text) == 0 &&
                              decode_key(certificate->public_key, public_text) &&
                              decode_key(certificate->secret_key, text);
    explicit_bzero(text, sizeof text);
    return certificate->has_secret;
}

void busi_certificate_wipe(struct busi_certificate *certificate)
{
    explicit_bzero(certificate, sizeof *certificate);
}

/* ---- making files ---- */

/* zcert_destroy() only frees. */
static void destroy(zcert_t **cert)
{
    if (!*cert)
        return;
    explicit_bzero((void *)(uintptr_t)zcert_secret_key(*cert), BUSI_KEY_BYTES);
    explicit_bzero((void *)(uintptr_t)zcert_secret_txt(*cert), strlen(zcert_secret_txt(*cert)));
    zcert_destroy(cert);
}

/* czmq says nothing of a disk that is full. The keys are the last lines: what has them is whole. */
static bool saved(zcert_t *cert, const char *draft, bool with_secret)
{
    struct busi_certificate read;
    const char *why;
    if ((with_secret ? zcert_save_secret(cert, draft) : zcert_save_public(cert, draft)) != 0)
        return false;
    bool fine = busi_certificate_read(&read, draft, 0, &why) && read.has_secret == with_secret &&
                memcmp(read.public_key, zcert_public_key(cert), BUSI_KEY_BYTES) == 0;
    busi_certificate_wipe(&read);
    if (!fine)
        errno = ENOSPC;
    return fine;
}

/* Saved beside and linked into place: link() never overwrites. */
static bool save(zcert_t *cert, const char *path, bool with_secret)
{
    char draft[PATH_ROOM + 32];
    snprintf(draft, sizeof draft, "%s.%d.new", path, (int)getpid());
    bool fine = saved(cert, draft, with_secret) && chmod(draft, with_secret ? 0600 : 0644) == 0 &&
                link(draft, path) == 0;
    int why = errno;
    unlink(draft);
    errno = why;
    return fine;
}

static int complain(const char *path, const char *why)
{
    fprintf(stderr, "%s: %s\n", path, why);
    return 1;
}

int busi_curve_generate(const char *folder, const char *name, const char *methods)
{
    char key[PATH_ROOM], pub[PATH_ROOM];
    struct busi_method_set set;
    struct busi_str unknown;
    if (!valid_name(name))
        return complain(name ? name : "", "a name is 1 to 63 of A-Z a-z 0-9 . _ -");
    busi_method_set_read(&set, busi_str_of(methods ? methods : ""), &unknown);
    if (unknown.ptr || (methods && strlen(methods) >= BUSI_NAMES_ROOM))
        return complain(methods, "must be names of methods, as 'auth.CheckToken, directory.*'");
    if (snprintf(key, sizeof key, "%s/%s.key", folder, name) >= (int)sizeof key ||
        snprintf(pub, sizeof pub, "%s/%s.pub", folder, name) >= (int)sizeof pub)
        return complain(folder, "too long");
    if (access(key, F_OK) == 0 || access(pub, F_OK) == 0)
        return complain(access(key, F_OK) == 0 ? key : pub, "exists, not overwritten");
    zsys_handler_set(NULL); /* czmq must never take SIGTERM from us */
    zcert_t *cert = zcert_new();
    if (!cert)
        return complain(key, "out of memory");
    zcert_set_meta(cert, "name", "%s", name);
    if (methods)
        zcert_set_meta(cert, "methods", "%s", methods);
    bool has_key = save(cert, key, true), fine = has_key && save(cert, pub, false);
    const char *why = fine ? "" : strerror(errno);
    if (has_key && !fine)
        unlink(key); /* alone it would only keep the next try from making both */
    destroy(&cert);
    return fine ? 0 : complain(has_key ? pub : key, why);
}
