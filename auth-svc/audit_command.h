/* auth-svc audit: the audit log, for people and programs. */
#pragma once
#include "service/settings.h"

int auth_audit_command(const struct busi_settings *settings, int argc, char **argv);
