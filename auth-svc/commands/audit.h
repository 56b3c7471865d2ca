/* auth-svc audit: the audit log, for people and programs. */
#pragma once
#include "service/settings.h"

/* For --help. */
#define AUTH_AUDIT_ARGUMENTS                                                                                 \
    "[--user ID|NAME] [--by ID] [--event EVENT] [--failed] [--since 24h] [--limit N] [--follow] [--json]"
extern const char auth_audit_details[];
int auth_audit_command(const struct busi_settings *settings, int argc, char **argv);
