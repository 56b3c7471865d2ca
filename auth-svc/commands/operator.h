/* What the commands of operators about accounts, roles and sessions have in common. Main thread only;
 * functions that take an auth run on its fiber. */
#pragma once
#include "base/table.h"
#include "commands/command.h"
#include "service/service.h"

enum { OPERATOR_ARENA_BYTES = 16 << 20, OPERATOR_CALL_MS = 30000 };
/* What new passwords given by operators must be like: that door's. */
#define OPERATOR_DOOR BUSI_STR("magic")

/* ---- the command line ---- */

/* An option of a command: what it fills, by which reader. */
struct operator_option {
    const char *name; /* "--role" */
    enum { OPERATOR_FLAG, OPERATOR_TEXT, OPERATOR_COUNT } kind;
    void *out; /* bool, struct busi_str or int64_t (1 and more) */
};
/* Options may stand anywhere; the other words are gathered in words[0..at most `most`). False, said on
 * stderr: an unknown option, a value that is none, fewer words than `least` or too many. */
[[nodiscard]] bool operator_parse(int argc, char **argv, const struct operator_option *options,
                                  size_t n_options, const char **words, size_t least, size_t most);

/* ---- accounts ---- */

/* By what an operator calls it: 42, id:42, a user name, an e-mail, or name:42 for a user name of digits.
 * NOT_FOUND has been said on stderr. */
[[nodiscard]] enum busi_code operator_find(struct auth *auth, struct busi_call *call, const char *named,
                                           struct busi_account *account);
/* Says on stderr why it failed, if nobody did; the exit code. */
int operator_failed(const struct busi_call *call, enum busi_code code);
/* "bob (id 42)" */
struct busi_str operator_name(struct busi_arena *arena, const struct busi_account *account);

/* A new password: from a file, from stdin when that is no terminal, or asked for twice. Not when it is none,
 * said on stderr. whose: "bob". */
[[nodiscard]] bool operator_password(struct busi_arena *arena, struct busi_str file, const char *whose,
                                     struct busi_str *password);

/* ---- output ---- */

/* "2026-11-21 16:49:31" in UTC; absent for 0. */
struct busi_str operator_time(struct busi_arena *arena, int64_t us);
/* Messages as lines of JSON. */
int operator_print_lines(const struct busi_desc *desc, const void *messages, size_t n);
/* Writes out and releases the table. */
int operator_print_table(struct busi_table *table);

/* For --help: how USER is meant. */
#define OPERATOR_NAMING "    USER is an id, a user name or an e-mail; a user name of digits is name:123.\n"

/* ---- the commands: parts of `auth-svc users`, `roles`, `sessions`, and create-root ---- */
#define OPERATOR_USERS 7
#define OPERATOR_ROLES 5
#define OPERATOR_SESSIONS 3
extern const struct busi_command operator_users[OPERATOR_USERS];
extern const struct busi_command operator_roles[OPERATOR_ROLES];
extern const struct busi_command operator_sessions[OPERATOR_SESSIONS];
#define OPERATOR_CREATE_ROOT_DETAILS                                                                         \
    "    The password is asked for twice, or is the first line of the file F, or of stdin when that is no\n" \
    "    terminal or F is -. It has at least 12 characters. --grant gives the role root to an account that " \
    "is\n"                                                                                                   \
    "    there and leaves it as it is otherwise.\n"
int operator_create_root(const struct busi_settings *settings, int argc, char **argv);
/* Of operator_users: in users.c and users_change.c. */
int operator_list_users(const struct busi_settings *settings, int argc, char **argv);
int operator_show_user(const struct busi_settings *settings, int argc, char **argv);
