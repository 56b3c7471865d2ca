/* auth-svc users block, unblock, delete, confirm, set-password: what the RPC methods of these names do, with
 * all that follows for sessions, gateways, mails and the audit log. */
#include "commands/operator.h"
#include "service/ask.h"
#include <stdio.h>

struct errand {
    const char *named;
    enum busi_code (*handler)(struct auth *, struct busi_call *, const struct busi_user_id_request *,
                              struct busi_count_reply *);
    const char *done;         /* "is blocked; its sessions have ended" */
    bool yes;                 /* was said already, or need not be */
    struct busi_str password; /* the new one */
    struct busi_str file;     /* where it stands; absent: it is to be asked for */
    struct busi_arena arena;  /* of the password */
    struct busi_str name;     /* "bob (id 42)"; in the arena */
    bool nameless;            /* has no address that a mail could go to */
    int64_t user_id;          /* found */
};

/* First: who it is that things shall happen to, so that nobody types a password for somebody who is not
 * there. */
static int find(struct auth *auth, void *arg)
{
    struct errand *errand = arg;
    struct busi_call call;
    struct busi_account account;
    auth_command_begin(&call, OPERATOR_ARENA_BYTES, OPERATOR_CALL_MS);
    enum busi_code code = operator_find(auth, &call, errand->named, &account);
    int exit = code == BUSI_OK ? BUSI_EXIT_FINE : operator_failed(&call, code);
    errand->user_id = account.user_id;
    errand->nameless = !account.email.ptr;
    if (code == BUSI_OK)
        errand->name = operator_name(&errand->arena, &account);
    busi_call_fini(&call);
    return exit;
}

static int finish(const struct errand *errand, struct busi_call *call, enum busi_code code)
{
    int exit = BUSI_EXIT_FINE;
    if (code == BUSI_OK)
        printf("%.*s %s\n", BUSI_ARG(errand->name), errand->done);
    else
        exit = auth_command_failed(call, code);
    busi_call_fini(call);
    return fflush(stdout) == 0 ? exit : BUSI_EXIT_FAILED;
}

static int run_errand(const struct busi_settings *settings, struct errand *errand,
                      int (*work)(struct auth *auth, void *arg))
{
    busi_arena_init(&errand->arena, OPERATOR_ARENA_BYTES);
    int exit = auth_command_run(settings, AUTH_COMMAND_DATABASE, find, errand);
    if (exit == BUSI_EXIT_FINE && work)
        exit = auth_command_run(settings, AUTH_COMMAND_ALL, work, errand);
    return exit;
}

/* ---- by a handler that takes an id ---- */

static int handle(struct auth *auth, void *arg)
{
    struct errand *errand = arg;
    struct busi_call call;
    struct busi_count_reply reply = {0};
    auth_command_begin(&call, OPERATOR_ARENA_BYTES, OPERATOR_CALL_MS);
    enum busi_code code =
        errand->handler(auth, &call, &(struct busi_user_id_request){.user_id = errand->user_id}, &reply);
    if (code == BUSI_OK && reply.count == 0)
        code = busi_call_fail(&call, BUSI_NOT_FOUND, "there is no such user any more");
    return finish(errand, &call, code);
}

static int change(const struct busi_settings *settings, int argc, char **argv, struct errand errand)
{
    if (!operator_parse(argc, argv, NULL, 0, &errand.named, 1, 1))
        return BUSI_EXIT_USAGE;
    int exit = run_errand(settings, &errand, handle);
    busi_arena_fini(&errand.arena);
    return exit;
}

static int block(const struct busi_settings *settings, int argc, char **argv)
{
    return change(settings, argc, argv,
                  (struct errand){.handler = auth_block_user, .done = "is blocked; its sessions have ended"});
}

static int unblock(const struct busi_settings *settings, int argc, char **argv)
{
    return change(settings, argc, argv,
                  (struct errand){.handler = auth_unblock_user, .done = "is not blocked; it may sign in"});
}

static int confirm(const struct busi_settings *settings, int argc, char **argv)
{
    return change(settings, argc, argv,
                  (struct errand){.handler = auth_confirm_user, .done = "is confirmed"});
}

/* ---- deleting ---- */

static bool is_meant(const struct errand *errand)
{
    char question[512];
    if (errand->yes)
        return true;
    if (!busi_ask_possible()) {
        fprintf(stderr, "nobody can be asked whether %.*s shall be deleted; say --yes\n",
                BUSI_ARG(errand->name));
        return false;
    }
    snprintf(question, sizeof(question), "Delete %.*s for good?", BUSI_ARG(errand->name));
    return busi_ask_yes(question);
}

static int delete (const struct busi_settings *settings, int argc, char **argv)
{
    struct errand errand = {.handler = auth_delete_user, .done = "is deleted; its sessions have ended"};
    const struct operator_option options[] = {{"--yes", OPERATOR_FLAG, &errand.yes}};
    if (!operator_parse(argc, argv, options, 1, &errand.named, 1, 1))
        return BUSI_EXIT_USAGE;
    int exit = run_errand(settings, &errand, NULL);
    if (exit == BUSI_EXIT_FINE && !is_meant(&errand)) {
        fputs("nothing was deleted\n", stderr);
        exit = BUSI_EXIT_FAILED;
    }
    if (exit == BUSI_EXIT_FINE)
        exit = auth_command_run(settings, AUTH_COMMAND_ALL, handle, &errand);
    busi_arena_fini(&errand.arena);
    return exit;
}

/* ---- passwords ---- */

static int set_password(struct auth *auth, void *arg)
{
    struct errand *errand = arg;
    struct busi_call call;
    struct busi_account account = {0};
    auth_command_begin(&call, OPERATOR_ARENA_BYTES, OPERATOR_CALL_MS);
    const struct busi_update_user_request request = {
        .door = OPERATOR_DOOR, .user_id = errand->user_id, .password = errand->password};
    enum busi_code code = auth_update_user(auth, &call, &request, &account);
    return finish(errand, &call, code);
}

static int change_password(const struct busi_settings *settings, int argc, char **argv)
{
    struct errand errand = {0};
    const struct operator_option options[] = {{"--password-file", OPERATOR_TEXT, &errand.file}};
    if (!operator_parse(argc, argv, options, 1, &errand.named, 1, 1))
        return BUSI_EXIT_USAGE;
    int exit = run_errand(settings, &errand, NULL);
    errand.done = errand.nameless ? "has the new password; its sessions have ended"
                                  : "has the new password; its sessions have ended and a mail tells of it";
    if (exit == BUSI_EXIT_FINE) {
        struct busi_str name = busi_arena_printf(&errand.arena, "%.*s", BUSI_ARG(errand.name));
        bool given =
            operator_password(&errand.arena, errand.file, name.ptr ? name.ptr : "", &errand.password);
        exit = given ? auth_command_run(settings, AUTH_COMMAND_ALL, set_password, &errand) : BUSI_EXIT_FAILED;
    }
    busi_arena_fini(&errand.arena);
    return exit;
}

const struct busi_command operator_users[OPERATOR_USERS] = {
    {.name = "list",
     .arguments = "[FILTER...] [--order COLUMN] [--descending] [--limit N] [--offset N] [--json]",
     .help = "list accounts, those whom every filter lets pass",
     .run = operator_list_users,
     .details = "    --name PATTERN   of the user name: % for any characters, _ for one, regardless of case\n"
                "    --email PATTERN  of the e-mail address, as --email '%@example.com'\n"
                "    --role ROLE      who has it\n"
                "    --blocked        who may not sign in\n"
                "    --unconfirmed    whose address is not confirmed\n"
                "    --order COLUMN   user_id, username, email or created_at\n"
                "    --limit N        so many, 100 when not given; --offset N leaves out the first\n"
                "    --json           one object a line\n"},
    {.name = "show",
     .arguments = "USER [--json]",
     .help = "show all that is known of an account",
     .run = operator_show_user,
     .details = OPERATOR_NAMING},
    {.name = "block",
     .arguments = "USER",
     .help = "let it sign in no more, and end its sessions",
     .run = block,
     .details = OPERATOR_NAMING},
    {.name = "unblock",
     .arguments = "USER",
     .help = "let it sign in again, after wrong passwords as well",
     .run = unblock,
     .details = OPERATOR_NAMING},
    {.name = "delete",
     .arguments = "USER [--yes]",
     .help = "delete it for good, and end its sessions",
     .run = delete,
     .details = OPERATOR_NAMING "    Asks at a terminal; elsewhere --yes must be said.\n"},
    {.name = "set-password",
     .arguments = "USER [--password-file FILE]",
     .help = "give it a password, end its sessions and mail it a notice",
     .run = change_password,
     .details = OPERATOR_NAMING
     "    The password is asked for twice, or is the first line of FILE, or of stdin when that is no\n"
     "    terminal or FILE is -. It has at least 12 characters.\n"},
    {.name = "confirm",
     .arguments = "USER",
     .help = "take its e-mail address for confirmed",
     .run = confirm,
     .details = OPERATOR_NAMING},
};
