/* What operators do by hand (auth-svc COMMAND): the code of the handlers, on a loop of its own for as long as
 * one piece of work takes. Main thread only. */
#pragma once
#include "core/auth.h"

enum auth_command_needs {
    AUTH_COMMAND_DATABASE, /* of auth only pg, settings and token_hash_key are there: Redis may be away */
    AUTH_COMMAND_ALL,      /* all; mails and events are written, and the service hands them over */
};
/* Runs work on a fiber when the stores are there, and returns what it returns; or says on stderr why not, and
 * returns the exit code for that. */
[[nodiscard]] int auth_command_run(const struct busi_settings *settings, enum auth_command_needs needs,
                                   int (*work)(struct auth *auth, void *arg), void *arg);

/* A call of the operator's own, to be ended with busi_call_fini(): its caller is "operator " and the name
 * that the system has for whoever runs this. */
void auth_command_begin(struct busi_call *call, size_t arena_bytes, int64_t lasts_ms);
/* Says on stderr why a call failed; the exit code for that. */
int auth_command_failed(const struct busi_call *call, enum busi_code code);
