/* auth-svc import-users: accounts of another system, with the hashes of their passwords. */
#pragma once
#include "service/settings.h"

/* For --help. */
#define AUTH_IMPORT_ARGUMENTS "[--dry-run] [--from-line N] [--csv] [--refused] [--allow-root] FILE|-"
extern const char auth_import_details[];
int auth_import_command(const struct busi_settings *settings, int argc, char **argv);
