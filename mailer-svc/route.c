#include "route.h"
#include "smtp.h"
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

struct mail_route *mail_route_new(const struct busi_settings *settings, const struct mail_sender *from)
{
    return settings->smtp_url.len > 0 ? mail_route_smtp(settings, from) : mail_route_folder(settings);
}

/* ---- what is asked of the settings ---- */

static bool is_helo(struct busi_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = busi_lower(name.ptr[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && (c == 0 || !strchr("-.[]:", c)))
            return false;
    }
    return true;
}

static void check_readable(struct busi_str file, const char *name, struct busi_buf *errors)
{
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%.*s", BUSI_ARG(file));
    if (path[0] && access(path, R_OK) != 0)
        busi_buf_printf(errors, "%s: %s: %s\n", name, path, strerror(errno));
}

static void check_tls(const struct busi_settings *settings, struct busi_buf *errors)
{
    bool off = busi_str_eq(settings->smtp_tls, BUSI_STR("off"));
    if (!off && !busi_str_eq(settings->smtp_tls, BUSI_STR("required")))
        busi_buf_printf(errors, "BUSI_SMTP_TLS: '%.*s' is neither required nor off\n",
                        BUSI_ARG(settings->smtp_tls));
    if (off && settings->smtp_user.len > 0 && !busi_str_starts(settings->smtp_url, BUSI_STR("smtps://")))
        busi_buf_str(errors,
                     BUSI_STR("BUSI_SMTP_TLS: with 'off' the password would go in the clear; take away "
                              "BUSI_SMTP_USER or require TLS\n"));
    if ((settings->smtp_certificate_file.len > 0) != (settings->smtp_key_file.len > 0))
        busi_buf_str(errors,
                     BUSI_STR("BUSI_SMTP_KEY_FILE: a certificate needs its key, and a key a certificate\n"));
    check_readable(settings->smtp_ca_file, "BUSI_SMTP_CA_FILE", errors);
    check_readable(settings->smtp_certificate_file, "BUSI_SMTP_CERTIFICATE_FILE", errors);
    check_readable(settings->smtp_key_file, "BUSI_SMTP_KEY_FILE", errors);
}

static void check_smtp(const struct busi_settings *settings, struct busi_buf *errors)
{
    if (!smtp_url_valid(settings->smtp_url))
        busi_buf_printf(errors, "BUSI_SMTP_URL: '%.*s' is not like smtp://host:587 or smtps://host:465\n",
                        BUSI_ARG(settings->smtp_url));
    if (!is_helo(settings->smtp_helo))
        busi_buf_printf(errors, "BUSI_SMTP_HELO: '%.*s' is not a host name\n", BUSI_ARG(settings->smtp_helo));
    if ((settings->smtp_user.len > 0) != (settings->smtp_password.len > 0))
        busi_buf_str(errors,
                     BUSI_STR("BUSI_SMTP_PASSWORD: a user needs a password, and a password a user\n"));
    if (settings->smtp_connect_timeout_ms > settings->smtp_timeout_ms)
        busi_buf_str(errors, BUSI_STR("BUSI_SMTP_CONNECT_TIMEOUT: is longer than BUSI_SMTP_TIMEOUT, which "
                                      "includes it\n"));
    check_tls(settings, errors);
}

bool mail_route_check(const struct busi_settings *settings, struct busi_buf *errors)
{
    size_t before = errors->len;
    if (settings->smtp_url.len > 0)
        check_smtp(settings, errors);
    else if (settings->mail_folder.len == 0)
        busi_buf_str(errors,
                     BUSI_STR("BUSI_MAIL_FOLDER: is not set; name a folder for the mails, or a relay with "
                              "BUSI_SMTP_URL\n"));
    return errors->len == before;
}
