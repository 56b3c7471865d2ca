/* `mailer-svc mails`: what became of the mails, for a person or a program. */
#pragma once
#include "service/settings.h"

/* S: dead, queued or delivered. */
#define MAILER_MAILS_USAGE "[--state S] [--limit N] [--after ID] [--json], retry ID..., forget ID..."
int mailer_mails(const struct busi_settings *settings, int argc, char **argv);
