/* mailer-svc: stores mails durably before it says so, and delivers each once. */
#pragma once
#include "service/service.h"

extern const struct busi_service mailer_service;
