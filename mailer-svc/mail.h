/* One mail as the text that is sent. Rendering is a function of the mail and of this installation: a repeat
 * has the same Message-ID always, and the same bytes unless templates or settings have changed meanwhile. */
#pragma once
#include "address.h"
#include "base/buf.h"
#include "templates.h"
#include "wire/messages.h"

enum { MAIL_MAX_BYTES = 1024 * 1024, MAIL_NAME_BYTES = 64 };

struct mail {
    int64_t id;         /* names the mail: in its Message-ID, its boundary and its file */
    int64_t created_us; /* when it was asked for: its Date */
    const struct busi_enqueue_mail_request *request;
};

/* What the mails of this installation have in common. */
struct mail_setup {
    struct mail_sender from;
    struct busi_str base_url; /* of links, without a slash at its end */
    struct mail_templates *templates;
};

/* NULL, or why this mail cannot be (static text): unknown kind, wrong address, an argument that is missing,
 * given twice or not fit for a header or link. out is then incomplete. */
[[nodiscard]] const char *mail_render(struct busi_buf *out, const struct mail *mail,
                                      const struct mail_setup *setup);
/* "<id>-<kind>.eml", of a mail that was rendered. */
void mail_file_name(char out[MAIL_NAME_BYTES], const struct mail *mail);
