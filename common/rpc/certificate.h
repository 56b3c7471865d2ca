/* CURVE key pairs in czmq's certificate files: reading them strictly and with no memory but the stack, wiping
 * them, making them. */
#pragma once
#include "base/str.h"
#include <sys/stat.h>

enum { BUSI_KEY_BYTES = 32, BUSI_NAME_ROOM = 64, BUSI_NAMES_ROOM = 2048 };

struct busi_certificate {
    uint8_t public_key[BUSI_KEY_BYTES];
    uint8_t secret_key[BUSI_KEY_BYTES]; /* zeros: the file has none */
    bool has_secret;                    /* secret_key is one */
    char name[BUSI_NAME_ROOM];          /* of the metadata, else of the file; [A-Za-z0-9._-] */
    bool limited;                       /* the metadata say which methods its owner may call: */
    char methods[BUSI_NAMES_ROOM];      /* method_set.h */
};

/* Reads a file whose mode has none of the forbidden bits (root's may be read by its group, too). False and
 * *error (static): not a certificate; errno when it is the system that does not let it be read. */
[[nodiscard]] bool busi_certificate_read(struct busi_certificate *certificate, const char *path,
                                         mode_t forbidden, const char **error);
/* The same with a path that is not NUL-terminated. */
[[nodiscard]] bool busi_certificate_read_str(struct busi_certificate *certificate, struct busi_str path,
                                             mode_t forbidden, const char **error);
/* A new pair that is in no file. */
[[nodiscard]] bool busi_certificate_make(struct busi_certificate *certificate);
void busi_certificate_wipe(struct busi_certificate *certificate);
