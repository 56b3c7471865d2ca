/* The schema's command. */
#pragma once
#include "service/settings.h"

int auth_migrate(const struct busi_settings *settings, int argc, char **argv);
