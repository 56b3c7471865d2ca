/* What the process is made of, for main.c. */
#pragma once
#include "service/service.h"

extern const struct busi_service auth_service;
