/* A service from its settings to its exit code: the loop, its neighbours and the drain. Used by service.c
 * only. */
#pragma once
#include "service/service.h"

/* What every serving process needs besides its own check(); one line per fault. */
[[nodiscard]] bool busi_serve_check(const struct busi_service *service, const struct busi_settings *settings,
                                    struct busi_buf *errors);
/* Serves until SIGTERM or SIGINT; enum busi_exit. */
int busi_serve(const struct busi_service *service, const struct busi_settings *settings);
