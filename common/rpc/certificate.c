#include "rpc/certificate.h"
#include "rpc/curve.h"
#include "rpc/method_set.h"
#include <czmq.h>
#include <errno.h>
#include <unistd.h>

enum { MAX_FILE = 16 * 1024, PATH_ROOM = 2048 };

/* ---- what a certificate file looks like ---- */

static bool name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

static size_t skip_blanks(const char *line, size_t at, size_t len)
{
    while (at < len && line[at] == ' ')
        at++;
    return at;
}

/* Nothing, # anything, word, or word = "text". */
static bool line_fine(const char *line, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (line[i] < ' ' || line[i] > '~')
            return false;
    size_t at = skip_blanks(line, 0, len);
    if (at == len || line[at] == '#')
        return true;
    size_t word = at;
    while (at < len && name_byte(line[at]))
        at++;
    if (at == word)
        return false;
    at = skip_blanks(line, at, len);
    if (at == len)
        return true;
    if (line[at] != '=')
        return false;
    at = skip_blanks(line, at + 1, len);
    return len - at >= 2 && line[at] == '"' && line[len - 1] == '"' &&
           !memchr(line + at + 1, '"', len - at - 2);
}

/* czmq's reader leaks memory and prints to stdout when it does not like a file. */
static bool file_fine(const char *path)
{
    char bytes[MAX_FILE + 1];
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    size_t n = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    bool fine = n > 0 && n <= MAX_FILE;
    for (size_t at = 0; fine && at < n;) {
        const char *end = memchr(bytes + at, '\n', n - at);
        size_t len = end ? (size_t)(end - bytes) - at : n - at;
        fine = line_fine(bytes + at, len);
        at += len + 1;
    }
    explicit_bzero(bytes, sizeof bytes);
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

static void take_keys(struct busi_certificate *certificate, zcert_t *cert)
{
    memcpy(certificate->public_key, zcert_public_key(cert), BUSI_KEY_BYTES);
    memcpy(certificate->secret_key, zcert_secret_key(cert), BUSI_KEY_BYTES);
    unsigned any = 0;
    for (int i = 0; i < BUSI_KEY_BYTES; i++)
        any |= certificate->secret_key[i];
    certificate->has_secret = any != 0;
}

/* Nobody would be let in with another's half, and nothing would say why. */
static bool is_pair(zcert_t *cert)
{
    char public_key[41]; /* as Z85 text */
    return zmq_curve_public(public_key, zcert_secret_txt(cert)) == 0 &&
           strcmp(public_key, zcert_public_txt(cert)) == 0;
}

static bool take_name(struct busi_certificate *certificate, zcert_t *cert, const char *path)
{
    const char *meta = zcert_meta(cert, "name");
    const char *file = strrchr(path, '/');
    file = file ? file + 1 : path;
    size_t len = meta ? strlen(meta) : strcspn(file, ".");
    if (len >= BUSI_NAME_ROOM)
        return false;
    memcpy(certificate->name, meta ? meta : file, len);
    certificate->name[len] = 0;
    return valid_name(certificate->name);
}

static bool take_methods(struct busi_certificate *certificate, zcert_t *cert)
{
    const char *methods = zcert_meta(cert, "methods");
    if (!methods)
        return true;
    size_t len = strlen(methods);
    if (len >= BUSI_NAMES_ROOM)
        return false;
    certificate->limited = true;
    memcpy(certificate->methods, methods, len + 1);
    return true;
}

/* zcert_destroy() only frees. */
static void destroy(zcert_t **cert)
{
    if (!*cert)
        return;
    explicit_bzero((void *)(uintptr_t)zcert_secret_key(*cert), BUSI_KEY_BYTES);
    explicit_bzero((void *)(uintptr_t)zcert_secret_txt(*cert), strlen(zcert_secret_txt(*cert)));
    zcert_destroy(cert);
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
    *certificate = (struct busi_certificate){0};
    zsys_handler_set(NULL); /* czmq must never take SIGTERM from us */
    *error = "the CURVE certificate cannot be read";
    if (stat(path, &about) != 0 || !S_ISREG(about.st_mode) || access(path, R_OK) != 0)
        return false;
    *error = "the CURVE key file can be read by others (chmod 600)";
    if (about.st_mode & forbidden & ~shared_by_root(&about))
        return false;
    *error = "not a CURVE certificate";
    if (about.st_size > MAX_FILE || !file_fine(path))
        return false;
    zcert_t *cert = zcert_load(path);
    if (!cert)
        return false;
    take_keys(certificate, cert);
    bool fine = take_name(certificate, cert, path) && take_methods(certificate, cert);
    if (fine && certificate->has_secret && !is_pair(cert)) {
        *error = "the CURVE key file's public and secret key are no pair";
        fine = false;
    }
    destroy(&cert);
    if (fine)
        *error = NULL;
    else
        busi_certificate_wipe(certificate);
    return fine;
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
    *certificate = (struct busi_certificate){0};
    zcert_t *cert = zcert_new();
    if (!cert)
        return false;
    take_keys(certificate, cert);
    destroy(&cert);
    return true;
}

void busi_certificate_wipe(struct busi_certificate *certificate)
{
    explicit_bzero(certificate, sizeof *certificate);
}

/* ---- making files ---- */

/* Saved beside and linked into place: link() never overwrites. */
static bool save(zcert_t *cert, const char *path, bool with_secret)
{
    char draft[PATH_ROOM + 32];
    snprintf(draft, sizeof draft, "%s.%d.new", path, (int)getpid());
    bool fine = (with_secret ? zcert_save_secret(cert, draft) : zcert_save_public(cert, draft)) == 0 &&
                chmod(draft, with_secret ? 0600 : 0644) == 0 && link(draft, path) == 0;
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
    zsys_handler_set(NULL);
    zcert_t *cert = zcert_new();
    if (!cert)
        return complain(key, "out of memory");
    zcert_set_meta(cert, "name", "%s", name);
    if (methods)
        zcert_set_meta(cert, "methods", "%s", methods);
    bool fine = save(cert, key, true) && save(cert, pub, false);
    const char *why = fine ? "" : strerror(errno);
    destroy(&cert);
    return fine ? 0 : complain(key, why);
}
