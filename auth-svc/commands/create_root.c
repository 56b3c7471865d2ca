/* auth-svc create-root: the first account that may do everything; there is none by default, and no default
 * password.
 */
#include "base/roles.h"
#include "commands/operator.h"
#include "core/account.h"
#include <stdio.h>

struct wish {
    const char *username;
    struct busi_str email, file, password;
    bool grant;               /* to an account that is there */
    struct busi_account root; /* it; its texts are in the arena */
    struct busi_arena arena;
};

/* An account of that name, if there is one. */
static int look(struct auth *auth, void *arg)
{
    struct wish *wish = arg;
    struct busi_call call;
    struct auth_account account = {0};
    struct auth_name_keys keys;
    auth_command_begin(&call, OPERATOR_ARENA_BYTES, OPERATOR_CALL_MS);
    enum busi_code code = BUSI_INTERNAL;
    if (auth_name_keys(&call.arena, busi_str_of(wish->username), &keys))
        code = keys.username.ptr
                   ? auth_account_find(auth, &call, AUTH_FIND_BY_USERNAME, keys.username, &account)
                   : auth_account_find(auth, &call, AUTH_FIND_BY_EMAIL, keys.email, &account);
    wish->root.user_id = account.id;
    wish->root.username = busi_arena_dup(&wish->arena, account.username);
    wish->root.email = busi_arena_dup(&wish->arena, account.email);
    int exit = code == BUSI_OK ? BUSI_EXIT_FINE : auth_command_failed(&call, code);
    busi_call_fini(&call);
    return exit;
}

/* Whether what was found fits what was asked for. */
static bool fits(const struct wish *wish)
{
    if (wish->root.user_id == 0 && wish->grant)
        fprintf(stderr, "no such user: '%s'; without --grant an account of this name is made\n",
                wish->username);
    else if (wish->root.user_id != 0 && !wish->grant)
        fprintf(stderr,
                "'%s' is taken (id %lld); to let that account do everything, run: auth-svc create-root '%s' "
                "--grant\n",
                wish->username, (long long)wish->root.user_id, wish->username);
    else
        return true;
    return false;
}

static enum busi_code create(struct auth *auth, struct busi_call *call, struct wish *wish)
{
    const struct busi_create_user_request request = {.door = OPERATOR_DOOR,
                                                     .username = busi_str_of(wish->username),
                                                     .email = wish->email,
                                                     .password = wish->password};
    return auth_create_user(auth, call, &request, &wish->root);
}

static int run(struct auth *auth, void *arg)
{
    struct wish *wish = arg;
    struct busi_call call;
    struct busi_count_reply reply = {0};
    int exit = BUSI_EXIT_FINE;
    auth_command_begin(&call, OPERATOR_ARENA_BYTES, OPERATOR_CALL_MS);
    enum busi_code code = wish->grant ? BUSI_OK : create(auth, &call, wish);
    const struct busi_user_role_request grant = {.role = BUSI_ROLE_ROOT, .user_id = wish->root.user_id};
    if (code == BUSI_OK) {
        code = auth_grant_role(auth, &call, &grant, &reply);
        if (code == BUSI_ALREADY_EXISTS)
            code = BUSI_OK;
        else if (code != BUSI_OK && !wish->grant)
            fprintf(stderr,
                    "the account is made but is not root yet; run: auth-svc create-root '%s' --grant\n",
                    wish->username);
    }
    struct busi_str name = operator_name(&call.arena, &wish->root);
    if (code == BUSI_OK)
        printf("%.*s %s\n", BUSI_ARG(name),
               wish->grant ? "has the role root" : "is made and has the role root");
    else
        exit = auth_command_failed(&call, code);
    busi_call_fini(&call);
    return fflush(stdout) == 0 ? exit : BUSI_EXIT_FAILED;
}

int operator_create_root(const struct busi_settings *settings, int argc, char **argv)
{
    struct wish wish = {0};
    const struct operator_option options[] = {{"--email", OPERATOR_TEXT, &wish.email},
                                              {"--password-file", OPERATOR_TEXT, &wish.file},
                                              {"--grant", OPERATOR_FLAG, &wish.grant}};
    if (!operator_parse(argc, argv, options, sizeof(options) / sizeof(options[0]), &wish.username, 1, 1))
        return BUSI_EXIT_USAGE;
    if (wish.grant && (wish.email.ptr || wish.file.ptr)) {
        fputs("--grant leaves an account as it is: no --email, no --password-file\n", stderr);
        return BUSI_EXIT_USAGE;
    }
    busi_arena_init(&wish.arena, OPERATOR_ARENA_BYTES);
    int exit = auth_command_run(settings, AUTH_COMMAND_DATABASE, look, &wish);
    if (exit == BUSI_EXIT_FINE && !fits(&wish))
        exit = BUSI_EXIT_FAILED;
    if (exit == BUSI_EXIT_FINE && !wish.grant &&
        !operator_password(&wish.arena, wish.file, wish.username, &wish.password))
        exit = BUSI_EXIT_FAILED;
    if (exit == BUSI_EXIT_FINE)
        exit = auth_command_run(settings, AUTH_COMMAND_ALL, run, &wish);
    busi_arena_fini(&wish.arena);
    return exit;
}
