/* Mail addresses: exactly one plain mailbox, nothing a mail program could read as two or as a header. Pure.
 */
#pragma once
#include "base/str.h"

/* local@domain in ASCII: dot-atoms as RFC 5322 has them, at most 64 bytes before the @ and 254 in all. */
bool mail_address_valid(struct busi_str address);

/* From: of every mail; borrows the text it was parsed from. */
struct mail_sender {
    struct busi_str name;    /* display name, UTF-8, or absent */
    struct busi_str address; /* valid */
    struct busi_str domain;  /* behind the @; Message-IDs end with it */
};
/* "name <local@domain>" or "local@domain". */
[[nodiscard]] bool mail_sender_parse(struct busi_str text, struct mail_sender *out);
