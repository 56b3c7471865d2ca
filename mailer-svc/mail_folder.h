/* The folder that receives mails as .eml files. A file appears whole and durable, or not at all. Blocking:
 * for busi_offload's threads. */
#pragma once
#include "base/str.h"

struct mail_file {
    const char *name;      /* without a folder */
    struct busi_str bytes; /* contents */
    int error;             /* out: errno, 0 when it is durably there */
};
/* Writes each under a temporary name, then renames it, over an older one of its name. A fault of the folder
 * itself is every file's. */
void mail_folder_write(const char *folder, struct mail_file *files, size_t n_files);
/* 0 if files can be made and renamed there, else errno. */
int mail_folder_probe(const char *folder);
/* Removes what writers that died left behind; looks at every file there. */
void mail_folder_clean(const char *folder);
