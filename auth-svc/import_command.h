/* auth-svc import-users: accounts of another system, with the hashes of their passwords. */
#pragma once
#include "service/settings.h"

int auth_import_command(const struct busi_settings *settings, int argc, char **argv);
