/* The schema's commands. */
#pragma once
#include "service/settings.h"

int directory_migrate(const struct busi_settings *settings, int argc, char **argv);
int directory_seed(const struct busi_settings *settings, int argc, char **argv);
