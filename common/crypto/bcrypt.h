/* Imported bcrypt hashes ($2a$ $2b$ $2y$ of Phoenix/Comeonin databases), over libxcrypt. Never made anew. Any
 * thread. */
#pragma once
#include "base/str.h"

/* A bcrypt text of exactly 60 characters with a cost of 4..16. */
[[nodiscard]] bool busi_bcrypt_known(struct busi_str stored);
/* stored must be known. Only the first 72 bytes of the password count, as everywhere in bcrypt; one with a
 * NUL byte is refused, since bcrypt would ignore what follows it. */
[[nodiscard]] bool busi_bcrypt_verify(struct busi_str stored, struct busi_str password);
