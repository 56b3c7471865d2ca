/* auth-svc purge: what the sweeper does, now and to the end. */
#pragma once
#include "service/settings.h"

int auth_purge(const struct busi_settings *settings, int argc, char **argv);
