/* The parts of a mail's format (RFC 5322, 2045, 2047) that need care. Nothing that is written here can end a
 * header or begin another. Lines end with CRLF and have at most 76 characters. Pure. */
#pragma once
#include "base/buf.h"

/* "Name: text", folded and encoded as needed. False, and nothing written: text has control characters or is
 * no UTF-8. name is static. */
[[nodiscard]] bool mime_header(struct busi_buf *out, const char *name, struct busi_str text);
/* "Name: display name <address>"; name absent or empty: only the address, which must be valid. */
[[nodiscard]] bool mime_mailbox(struct busi_buf *out, const char *header, struct busi_str name,
                                struct busi_str address);
/* "Date: Fri, 21 Nov 2025 09:36:00 +0000"; microseconds since 1970. */
void mime_date(struct busi_buf *out, int64_t wall_us);
/* text (lines ended by LF or CRLF) as quoted-printable, ended by CRLF. */
void mime_quoted_printable(struct busi_buf *out, struct busi_str text);
