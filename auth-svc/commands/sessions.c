/* auth-svc sessions: what the RPC methods about a user's sessions do and tell. */
#include "commands/operator.h"
#include <stdio.h>

struct wish {
    const char *words[2]; /* the user, a session */
    bool json;
    int (*act)(struct auth *auth, struct busi_call *call, const struct wish *wish,
               const struct busi_account *account);
};

static int run(struct auth *auth, void *arg)
{
    const struct wish *wish = arg;
    struct busi_call call;
    struct busi_account account;
    auth_command_begin(&call, OPERATOR_ARENA_BYTES, OPERATOR_CALL_MS);
    enum busi_code code = operator_find(auth, &call, wish->words[0], &account);
    int exit = code == BUSI_OK ? wish->act(auth, &call, wish, &account) : operator_failed(&call, code);
    busi_call_fini(&call);
    return fflush(stdout) == 0 ? exit : BUSI_EXIT_FAILED;
}

/* ---- list ---- */

static int print(struct busi_call *call, const struct busi_list_sessions_reply *reply)
{
    static const char *const heads[] = {"SESSION", "DOOR", "BEGAN (UTC)", "ENDS (UTC)", "ADDRESS", "PROGRAM"};
    enum { COLUMNS = sizeof(heads) / sizeof(heads[0]) };
    struct busi_table table;
    busi_table_init(&table, heads, COLUMNS);
    for (size_t i = 0; i < reply->sessions.n; i++) {
        const struct busi_session_info *session = &reply->sessions.items[i];
        const struct busi_str cells[COLUMNS] = {session->session_id,
                                                session->door,
                                                operator_time(&call->arena, session->created_at),
                                                operator_time(&call->arena, session->expires_at),
                                                session->remote_addr,
                                                session->user_agent};
        for (size_t column = 0; column < COLUMNS; column++)
            busi_table_add(&table, cells[column]);
    }
    return operator_print_table(&table);
}

static int list(struct auth *auth, struct busi_call *call, const struct wish *wish,
                const struct busi_account *account)
{
    struct busi_list_sessions_reply reply = {0};
    enum busi_code code =
        auth_list_sessions(auth, call, &(struct busi_user_id_request){.user_id = account->user_id}, &reply);
    return code != BUSI_OK ? auth_command_failed(call, code)
           : wish->json
               ? operator_print_lines(busi_desc_session_info(), reply.sessions.items, reply.sessions.n)
               : print(call, &reply);
}

static int list_sessions(const struct busi_settings *settings, int argc, char **argv)
{
    struct wish wish = {.act = list};
    const struct operator_option options[] = {{"--json", OPERATOR_FLAG, &wish.json}};
    return operator_parse(argc, argv, options, 1, wish.words, 1, 1)
               ? auth_command_run(settings, AUTH_COMMAND_ALL, run, &wish)
               : BUSI_EXIT_USAGE;
}

/* ---- end ---- */

static int end_one(struct auth *auth, struct busi_call *call, const struct wish *wish,
                   const struct busi_account *account)
{
    struct busi_count_reply reply = {0};
    const struct busi_session_id_request request = {.user_id = account->user_id,
                                                    .session_id = busi_str_of(wish->words[1])};
    enum busi_code code = auth_end_session(auth, call, &request, &reply);
    struct busi_str name = operator_name(&call->arena, account);
    if (code != BUSI_OK)
        return auth_command_failed(call, code);
    if (reply.count == 0) {
        fprintf(stderr, "%.*s has no session '%s'; see sessions list %s\n", BUSI_ARG(name), wish->words[1],
                wish->words[0]);
        return BUSI_EXIT_FAILED;
    }
    printf("the session '%s' of %.*s has ended\n", wish->words[1], BUSI_ARG(name));
    return BUSI_EXIT_FINE;
}

static int end_session(const struct busi_settings *settings, int argc, char **argv)
{
    struct wish wish = {.act = end_one};
    return operator_parse(argc, argv, NULL, 0, wish.words, 2, 2)
               ? auth_command_run(settings, AUTH_COMMAND_ALL, run, &wish)
               : BUSI_EXIT_USAGE;
}

static int end_all(struct auth *auth, struct busi_call *call, const struct wish *wish,
                   const struct busi_account *account)
{
    struct busi_count_reply reply = {0};
    (void)wish;
    enum busi_code code =
        auth_end_sessions(auth, call, &(struct busi_user_id_request){.user_id = account->user_id}, &reply);
    struct busi_str name = operator_name(&call->arena, account);
    if (code != BUSI_OK)
        return auth_command_failed(call, code);
    printf("%lld session%s of %.*s ended\n", (long long)reply.count, reply.count == 1 ? "" : "s",
           BUSI_ARG(name));
    return BUSI_EXIT_FINE;
}

static int end_sessions(const struct busi_settings *settings, int argc, char **argv)
{
    struct wish wish = {.act = end_all};
    return operator_parse(argc, argv, NULL, 0, wish.words, 1, 1)
               ? auth_command_run(settings, AUTH_COMMAND_ALL, run, &wish)
               : BUSI_EXIT_USAGE;
}

const struct busi_command operator_sessions[OPERATOR_SESSIONS] = {
    {.name = "list",
     .arguments = "USER [--json]",
     .help = "list where somebody is signed in, the newest first",
     .run = list_sessions,
     .details = OPERATOR_NAMING},
    {.name = "end",
     .arguments = "USER SESSION",
     .help = "end one session: its tokens are worth nothing at once",
     .run = end_session,
     .details = OPERATOR_NAMING},
    {.name = "end-all",
     .arguments = "USER",
     .help = "end every session of an account",
     .run = end_sessions,
     .details = OPERATOR_NAMING},
};
