/* auth-svc roles: what the RPC methods about roles do. */
#include "commands/operator.h"
#include <stdio.h>

enum { ROLES_MOST = 1000 };

struct wish {
    const char *words[2];        /* a role, a user */
    struct busi_str description; /* of a new role */
    bool json, revoke;
};

/* ---- list ---- */

static enum busi_code count_holders(struct auth *auth, struct busi_call *call, struct busi_str role,
                                    struct busi_str *out)
{
    struct busi_count_reply reply = {0};
    enum busi_code code =
        auth_count_user_roles(auth, call, &(struct busi_list_user_roles_request){.role = role}, &reply);
    *out = busi_arena_int(&call->arena, reply.count);
    return code;
}

static enum busi_code print(struct auth *auth, struct busi_call *call,
                            const struct busi_list_roles_reply *reply, int *exit)
{
    static const char *const heads[] = {"ROLE", "USERS", "DESCRIPTION"};
    struct busi_table table;
    struct busi_str holders;
    enum busi_code code = BUSI_OK;
    busi_table_init(&table, heads, sizeof(heads) / sizeof(heads[0]));
    for (size_t i = 0; i < reply->roles.n && code == BUSI_OK; i++) {
        code = count_holders(auth, call, reply->roles.items[i].name, &holders);
        busi_table_add(&table, reply->roles.items[i].name);
        busi_table_add(&table, holders);
        busi_table_add(&table, reply->roles.items[i].description);
    }
    if (code == BUSI_OK)
        *exit = operator_print_table(&table);
    else
        busi_table_fini(&table);
    return code;
}

static int list(struct auth *auth, void *arg)
{
    const struct wish *wish = arg;
    struct busi_call call;
    struct busi_list_roles_reply reply = {0};
    int exit = BUSI_EXIT_FINE;
    auth_command_begin(&call, OPERATOR_ARENA_BYTES, OPERATOR_CALL_MS);
    enum busi_code code =
        auth_list_roles(auth, &call, &(struct busi_list_roles_request){.limit = ROLES_MOST}, &reply);
    if (code == BUSI_OK && wish->json)
        exit = operator_print_lines(busi_desc_role(), reply.roles.items, reply.roles.n);
    else if (code == BUSI_OK)
        code = print(auth, &call, &reply, &exit);
    if (code != BUSI_OK)
        exit = auth_command_failed(&call, code);
    busi_call_fini(&call);
    return exit;
}

static int list_roles(const struct busi_settings *settings, int argc, char **argv)
{
    struct wish wish = {0};
    const struct operator_option options[] = {{"--json", OPERATOR_FLAG, &wish.json}};
    return operator_parse(argc, argv, options, 1, NULL, 0, 0)
               ? auth_command_run(settings, AUTH_COMMAND_DATABASE, list, &wish)
               : BUSI_EXIT_USAGE;
}

/* ---- making and deleting ---- */

static int create(struct auth *auth, void *arg)
{
    const struct wish *wish = arg;
    struct busi_call call;
    struct busi_empty reply;
    int exit = BUSI_EXIT_FINE;
    auth_command_begin(&call, OPERATOR_ARENA_BYTES, OPERATOR_CALL_MS);
    const struct busi_role role = {.name = busi_str_of(wish->words[0]), .description = wish->description};
    enum busi_code code = auth_create_role(auth, &call, &role, &reply);
    if (code == BUSI_OK)
        printf("the role %s is made\n", wish->words[0]);
    else
        exit = auth_command_failed(&call, code);
    busi_call_fini(&call);
    return fflush(stdout) == 0 ? exit : BUSI_EXIT_FAILED;
}

static int create_role(const struct busi_settings *settings, int argc, char **argv)
{
    struct wish wish = {0};
    const struct operator_option options[] = {{"--description", OPERATOR_TEXT, &wish.description}};
    return operator_parse(argc, argv, options, 1, wish.words, 1, 1)
               ? auth_command_run(settings, AUTH_COMMAND_ALL, create, &wish)
               : BUSI_EXIT_USAGE;
}

static int delete (struct auth *auth, void *arg)
{
    const struct wish *wish = arg;
    struct busi_call call;
    struct busi_count_reply reply = {0};
    int exit = BUSI_EXIT_FINE;
    auth_command_begin(&call, OPERATOR_ARENA_BYTES, OPERATOR_CALL_MS);
    enum busi_code code = auth_delete_role(
        auth, &call, &(struct busi_role_name_request){.name = busi_str_of(wish->words[0])}, &reply);
    if (code == BUSI_OK && reply.count == 0)
        code = busi_call_fail(&call, BUSI_NOT_FOUND, "there is no such role");
    if (code == BUSI_OK)
        printf("the role %s is deleted; nobody has it any more\n", wish->words[0]);
    else
        exit = auth_command_failed(&call, code);
    busi_call_fini(&call);
    return fflush(stdout) == 0 ? exit : BUSI_EXIT_FAILED;
}

static int delete_role(const struct busi_settings *settings, int argc, char **argv)
{
    struct wish wish = {0};
    return operator_parse(argc, argv, NULL, 0, wish.words, 1, 1)
               ? auth_command_run(settings, AUTH_COMMAND_ALL, delete, &wish)
               : BUSI_EXIT_USAGE;
}

/* ---- granting and revoking ---- */

/* Whoever has it already, or has it no more, is no failure to grant it, but one to revoke it. */
static enum busi_code grant_or_revoke(struct auth *auth, struct busi_call *call, const struct wish *wish,
                                      const struct busi_account *account)
{
    struct busi_count_reply reply = {0};
    const struct busi_user_role_request request = {.role = busi_str_of(wish->words[0]),
                                                   .user_id = account->user_id};
    struct busi_str name = operator_name(&call->arena, account);
    enum busi_code code = wish->revoke ? auth_revoke_role(auth, call, &request, &reply)
                                       : auth_grant_role(auth, call, &request, &reply);
    if (wish->revoke && code == BUSI_OK && reply.count == 0)
        return busi_call_fail(call, BUSI_NOT_FOUND, "the user does not have this role");
    if (code == BUSI_OK || (!wish->revoke && code == BUSI_ALREADY_EXISTS))
        printf("%.*s has the role %s%s\n", BUSI_ARG(name), wish->words[0],
               wish->revoke      ? " no more"
               : code == BUSI_OK ? ""
                                 : " already");
    return code == BUSI_ALREADY_EXISTS ? BUSI_OK : code;
}

static int work(struct auth *auth, void *arg)
{
    struct busi_call call;
    struct busi_account account;
    const struct wish *wish = arg;
    auth_command_begin(&call, OPERATOR_ARENA_BYTES, OPERATOR_CALL_MS);
    enum busi_code code = operator_find(auth, &call, wish->words[1], &account);
    int exit = code == BUSI_OK ? BUSI_EXIT_FINE : operator_failed(&call, code);
    if (code == BUSI_OK) {
        code = grant_or_revoke(auth, &call, wish, &account);
        exit = code == BUSI_OK ? BUSI_EXIT_FINE : auth_command_failed(&call, code);
    }
    busi_call_fini(&call);
    return fflush(stdout) == 0 ? exit : BUSI_EXIT_FAILED;
}

static int change(const struct busi_settings *settings, int argc, char **argv, bool revoke)
{
    struct wish wish = {.revoke = revoke};
    return operator_parse(argc, argv, NULL, 0, wish.words, 2, 2)
               ? auth_command_run(settings, AUTH_COMMAND_ALL, work, &wish)
               : BUSI_EXIT_USAGE;
}

static int grant_role(const struct busi_settings *settings, int argc, char **argv)
{
    return change(settings, argc, argv, false);
}

static int revoke_role(const struct busi_settings *settings, int argc, char **argv)
{
    return change(settings, argc, argv, true);
}

#define AT_ONCE "    It is in force at once, in sessions that are open, too.\n" OPERATOR_NAMING

const struct busi_command operator_roles[OPERATOR_ROLES] = {
    {.name = "list",
     .arguments = "[--json]",
     .help = "list the roles there are, and how many have each",
     .run = list_roles,
     .details = "    Who has one: auth-svc users list --role ROLE\n"},
    {.name = "create",
     .arguments = "ROLE [--description TEXT]",
     .help = "make a role",
     .run = create_role,
     .details = "    ROLE is up to 64 of A-Z a-z 0-9 - _, told apart regardless of case.\n"},
    {.name = "delete",
     .arguments = "ROLE",
     .help = "delete a role: nobody has it any more",
     .run = delete_role},
    {.name = "grant",
     .arguments = "ROLE USER",
     .help = "give somebody a role",
     .run = grant_role,
     .details = AT_ONCE},
    {.name = "revoke",
     .arguments = "ROLE USER",
     .help = "take a role from somebody",
     .run = revoke_role,
     .details = AT_ONCE},
};
