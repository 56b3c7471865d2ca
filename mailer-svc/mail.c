#include "mail.h"
#include "kind.h"
#include "mime.h"
#include "template.h"
#include <inttypes.h>
#include <stdio.h>

enum { MOST_ARGUMENTS = 16, SUBJECT_MAX_BYTES = 512 };

/* What templates may name. */
struct values {
    struct mail_value list[MOST_ARGUMENTS + 1];
    size_t n;
};

static bool has_value(const struct values *values, struct busi_str name)
{
    for (size_t i = 0; i < values->n; i++)
        if (busi_str_eq(values->list[i].name, name))
            return true;
    return false;
}

static const char *collect(struct values *values, const struct mail *mail, const struct mail_kind *kind)
{
    values->list[values->n++] = (struct mail_value){BUSI_STR("recipient"), mail->request->recipient};
    if (mail->request->arguments.n > MOST_ARGUMENTS)
        return "too many arguments";
    for (size_t i = 0; i < mail->request->arguments.n; i++) {
        const struct busi_mail_argument *argument = &mail->request->arguments.items[i];
        if (has_value(values, argument->name))
            return "an argument is given twice";
        values->list[values->n++] = (struct mail_value){argument->name, argument->value};
    }
    for (size_t i = 0; kind->arguments[i]; i++)
        if (!has_value(values, busi_str_of(kind->arguments[i])))
            return "an argument is missing";
    return NULL;
}

/* A subject is not expanded like a body: control characters in it are no blanks but an attempt. */
static bool is_fit_for_header(const struct values *values)
{
    for (size_t i = 0; i < values->n; i++)
        for (size_t j = 0; j < values->list[i].value.len; j++) {
            unsigned char c = (unsigned char)values->list[i].value.ptr[j];
            if (c < ' ' || c == 0x7f)
                return false;
        }
    return true;
}

static const char *add_subject(struct busi_buf *out, const struct mail_kind *kind,
                               const struct values *values)
{
    struct busi_buf subject;
    struct busi_str missing;
    const char *error = NULL;
    busi_buf_init(&subject, SUBJECT_MAX_BYTES);
    if (!is_fit_for_header(values))
        error = "an argument has control characters";
    else if (!mail_template_expand(&subject, busi_str_of(kind->subject), values->list, values->n, MAIL_TEXT,
                                   &missing))
        error = "the subject names an unknown argument";
    else if (subject.failed)
        error = "the subject is too long";
    else if (!mime_header(out, "Subject", (struct busi_str){subject.ptr, subject.len}))
        error = "the subject is not UTF-8";
    busi_buf_fini(&subject);
    return error;
}

static const char *add_head(struct busi_buf *out, const struct mail *mail, const struct mail_kind *kind,
                            const struct values *values, const struct mail_sender *from)
{
    if (!mail_address_valid(mail->request->recipient))
        return "the recipient is not one mail address";
    if (!mime_mailbox(out, "From", from->name, from->address) ||
        !mime_mailbox(out, "To", (struct busi_str){0}, mail->request->recipient))
        return "an address is not fit for a header";
    const char *error = add_subject(out, kind, values);
    if (error)
        return error;
    mime_date(out, mail->created_us);
    busi_buf_printf(out, "Message-ID: <mail-%" PRId64 "@%.*s>\r\n", mail->id, BUSI_ARG(from->domain));
    busi_buf_printf(out,
                    "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
                    "Content-Type: multipart/alternative; boundary=\"=_busi-%" PRId64 "\"\r\n\r\n",
                    mail->id);
    return NULL;
}

/* The boundary begins with "=_", which quoted-printable text cannot hold. */
static const char *add_part(struct busi_buf *out, const struct mail *mail, const char *type, const char *text,
                            const struct values *values, enum mail_escape escape)
{
    struct busi_buf body;
    struct busi_str missing;
    busi_buf_init(&body, MAIL_MAX_BYTES);
    busi_buf_printf(out,
                    "--=_busi-%" PRId64 "\r\nContent-Type: %s; charset=utf-8\r\n"
                    "Content-Transfer-Encoding: quoted-printable\r\n\r\n",
                    mail->id, type);
    bool fine = mail_template_expand(&body, busi_str_of(text), values->list, values->n, escape, &missing);
    mime_quoted_printable(out, (struct busi_str){body.ptr, body.len});
    bool fits = !body.failed;
    busi_buf_fini(&body);
    if (!fine)
        return "the template names an unknown argument";
    return fits ? NULL : "the mail is too long";
}

const char *mail_render(struct busi_buf *out, const struct mail *mail, const struct mail_sender *from)
{
    struct values values = {0};
    const struct mail_kind *kind = mail_kind_find(mail->request->kind);
    if (!kind)
        return "there is no such kind of mail";
    const char *error = collect(&values, mail, kind);
    if (!error)
        error = add_head(out, mail, kind, &values, from);
    if (!error)
        error = add_part(out, mail, "text/plain", kind->text, &values, MAIL_TEXT);
    if (!error)
        error = add_part(out, mail, "text/html", kind->html, &values, MAIL_HTML);
    if (!error)
        busi_buf_printf(out, "--=_busi-%" PRId64 "--\r\n", mail->id);
    if (!error && out->failed)
        error = "the mail is too long";
    return error;
}

void mail_file_name(char out[MAIL_NAME_BYTES], const struct mail *mail)
{
    snprintf(out, MAIL_NAME_BYTES, "%" PRId64 "-%.*s.eml", mail->id, BUSI_ARG(mail->request->kind));
}
