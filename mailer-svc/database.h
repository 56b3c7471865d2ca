/* `mailer-svc migrate [--status]`. */
#pragma once
#include "service/settings.h"

int mailer_migrate(const struct busi_settings *settings, int argc, char **argv);
