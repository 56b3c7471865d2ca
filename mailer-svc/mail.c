#include "mail.h"
#include "base/template.h"
#include "mime.h"
#include <inttypes.h>
#include <stdio.h>

enum { MOST_ARGUMENTS = 16, SUBJECT_MAX_BYTES = 512, OWN_VALUES = 5 };

/* What templates may name. */
struct values {
    struct busi_template_value list[OWN_VALUES + MOST_ARGUMENTS + MAIL_KIND_ARGUMENTS];
    size_t n;
};

/* A mail while it is written. */
struct writing {
    struct busi_buf *out;
    const struct mail *mail;
    const struct mail_setup *setup;
    const struct mail_kind *kind;
    struct mail_parts parts;
    struct values values;
};

static bool has_value(const struct values *values, struct busi_str name)
{
    for (size_t i = 0; i < values->n; i++)
        if (busi_str_eq(values->list[i].name, name))
            return true;
    return false;
}

static void add_value(struct values *values, struct busi_str name, struct busi_str value)
{
    values->list[values->n++] = (struct busi_template_value){.name = name, .value = value};
}

/* A subject is not expanded like a body: control characters in it are no blanks but an attempt. */
static bool is_fit_for_header(struct busi_str value)
{
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)value.ptr[i] < ' ' || value.ptr[i] == 0x7f)
            return false;
    return true;
}

/* RFC 3986's unreserved characters: the same in a path, a query and a mail. */
static bool is_fit_for_link(struct busi_str secret)
{
    for (size_t i = 0; i < secret.len; i++) {
        char c = busi_lower(secret.ptr[i]);
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && (c == 0 || !strchr("-._~", c)))
            return false;
    }
    return secret.len > 0;
}

static const char *collect_argument(struct values *values, const struct busi_mail_argument *argument)
{
    if (has_value(values, argument->name))
        return "an argument is given twice";
    if (!is_fit_for_header(argument->value))
        return "an argument has control characters";
    if (busi_str_eq(argument->name, BUSI_STR("secret")) && !is_fit_for_link(argument->value))
        return "the secret is not fit for a link";
    add_value(values, argument->name, argument->value);
    return NULL;
}

static const char *collect(struct writing *writing)
{
    struct values *values = &writing->values;
    const struct busi_enqueue_mail_request *request = writing->mail->request;
    add_value(values, BUSI_STR("recipient"), request->recipient);
    add_value(values, BUSI_STR("base_url"), writing->setup->base_url);
    add_value(values, BUSI_STR("language"), busi_str_of(writing->parts.language));
    if (request->arguments.n > MOST_ARGUMENTS)
        return "too many arguments";
    for (size_t i = 0; i < request->arguments.n; i++) {
        const char *error = collect_argument(values, &request->arguments.items[i]);
        if (error)
            return error;
    }
    for (size_t i = 0; writing->kind->must[i]; i++)
        if (!has_value(values, busi_str_of(writing->kind->must[i])))
            return "an argument is missing";
    for (size_t i = 0; writing->kind->may[i]; i++)
        if (!has_value(values, busi_str_of(writing->kind->may[i])))
            add_value(values, busi_str_of(writing->kind->may[i]), BUSI_STR(""));
    return NULL;
}

static const char *expand(const struct writing *writing, struct busi_buf *out, struct busi_str text,
                          enum busi_template_escape escape)
{
    return busi_template_expand(out, text, writing->values.list, writing->values.n, escape);
}

/* ---- head ---- */

static const char *add_head(const struct writing *writing, struct busi_str subject)
{
    const struct mail_sender *from = &writing->setup->from;
    const struct mail *mail = writing->mail;
    struct busi_buf *out = writing->out;
    if (!mail_address_valid(mail->request->recipient))
        return "the recipient is not one mail address";
    if (!mime_mailbox(out, "From", from->name, from->address) ||
        !mime_mailbox(out, "To", (struct busi_str){0}, mail->request->recipient))
        return "an address is not fit for a header";
    if (!mime_header(out, "Subject", subject))
        return "the subject is not UTF-8";
    mime_date(out, mail->created_us);
    busi_buf_printf(out, "Message-ID: <mail-%" PRId64 "@%.*s>\r\n", mail->id, BUSI_ARG(from->domain));
    busi_buf_printf(out,
                    "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Language: %s\r\n"
                    "Content-Type: multipart/alternative; boundary=\"=_busi-%" PRId64 "\"\r\n\r\n",
                    writing->parts.language, mail->id);
    return NULL;
}

/* ---- bodies ---- */

/* The boundary begins with "=_", which quoted-printable text cannot hold. */
static const char *add_part(const struct writing *writing, const char *type, const struct busi_buf *body)
{
    busi_buf_printf(writing->out,
                    "--=_busi-%" PRId64 "\r\nContent-Type: %s; charset=utf-8\r\n"
                    "Content-Transfer-Encoding: quoted-printable\r\n\r\n",
                    writing->mail->id, type);
    mime_quoted_printable(writing->out, (struct busi_str){body->ptr, body->len});
    return body->failed ? "the mail is too long" : NULL;
}

static const char *add_text(const struct writing *writing)
{
    struct busi_buf body;
    busi_buf_init(&body, MAIL_MAX_BYTES);
    const char *error = expand(writing, &body, writing->parts.text, BUSI_TEMPLATE_TEXT);
    if (!error)
        error = add_part(writing, "text/plain", &body);
    busi_buf_fini(&body);
    return error;
}

static const char *add_framed(struct writing *writing, const struct busi_buf *content)
{
    struct busi_buf page;
    size_t n = writing->values.n;
    busi_buf_init(&page, MAIL_MAX_BYTES);
    writing->values.list[writing->values.n++] = (struct busi_template_value){
        .name = BUSI_STR("content"),
        .value = busi_str_trim((struct busi_str){content->ptr, content->len}, "\r\n"),
        .markup = true};
    const char *error = expand(writing, &page, writing->parts.frame, BUSI_TEMPLATE_HTML);
    if (!error)
        error = add_part(writing, "text/html", &page);
    busi_buf_fini(&page);
    writing->values.n = n;
    return error;
}

static const char *add_html(struct writing *writing, struct busi_str subject)
{
    struct busi_buf body;
    busi_buf_init(&body, MAIL_MAX_BYTES);
    add_value(&writing->values, BUSI_STR("subject"), subject);
    const char *error = expand(writing, &body, writing->parts.html, BUSI_TEMPLATE_HTML);
    if (!error && body.failed)
        error = "the mail is too long";
    if (!error)
        error = writing->parts.frame.ptr ? add_framed(writing, &body) : add_part(writing, "text/html", &body);
    busi_buf_fini(&body);
    return error;
}

/* ---- the whole ---- */

static const char *write_mail(struct writing *writing, struct busi_buf *subject)
{
    const char *error = collect(writing);
    if (!error)
        error = expand(writing, subject, writing->parts.subject, BUSI_TEMPLATE_TEXT);
    if (!error && subject->failed)
        error = "the subject is too long";
    struct busi_str line = {subject->ptr, subject->len};
    if (!error)
        error = add_head(writing, line);
    if (!error)
        error = add_text(writing);
    if (!error)
        error = add_html(writing, line);
    return error;
}

const char *mail_render(struct busi_buf *out, const struct mail *mail, const struct mail_setup *setup)
{
    struct busi_buf subject;
    struct writing writing = {
        .out = out, .mail = mail, .setup = setup, .kind = mail_kind_find(mail->request->kind)};
    if (!writing.kind)
        return "there is no such kind of mail";
    mail_templates_find(setup->templates, writing.kind, mail->request->language, &writing.parts);
    busi_buf_init(&subject, SUBJECT_MAX_BYTES);
    const char *error = write_mail(&writing, &subject);
    busi_buf_fini(&subject);
    if (!error)
        busi_buf_printf(out, "--=_busi-%" PRId64 "--\r\n", mail->id);
    return !error && out->failed ? "the mail is too long" : error;
}

void mail_file_name(char out[MAIL_NAME_BYTES], const struct mail *mail)
{
    snprintf(out, MAIL_NAME_BYTES, "%" PRId64 "-%.*s.eml", mail->id, BUSI_ARG(mail->request->kind));
}
