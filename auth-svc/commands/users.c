/* auth-svc users list, users show */
#include "commands/operator.h"
#include <stdio.h>

enum { PAGE = 500, USUAL = 100 };

/* ---- list ---- */

struct wish {
    struct busi_list_users_request request;
    int64_t left; /* accounts that may still be shown */
    bool json;
    struct busi_table table;
    struct busi_arena arena; /* of the table's texts */
};

static struct busi_str state_of(const struct busi_account *account)
{
    return account->blocked           ? BUSI_STR("blocked")
           : account->email_confirmed ? BUSI_STR("active")
                                      : BUSI_STR("unconfirmed");
}

static void add(struct wish *wish, const struct busi_account *account)
{
    struct busi_arena *arena = &wish->arena;
    const struct busi_str cells[] = {busi_arena_int(arena, account->user_id),
                                     busi_arena_dup(arena, account->username),
                                     busi_arena_dup(arena, account->email),
                                     state_of(account),
                                     account->roles.len ? busi_arena_dup(arena, account->roles)
                                                        : (struct busi_str){0},
                                     operator_time(arena, account->created_at)};
    for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++)
        busi_table_add(&wish->table, cells[i]);
}

static int list_page(struct auth *auth, struct wish *wish, bool *more)
{
    struct busi_call call;
    struct busi_list_users_reply reply = {0};
    int exit = BUSI_EXIT_FINE;
    auth_command_begin(&call, OPERATOR_ARENA_BYTES, OPERATOR_CALL_MS);
    wish->request.limit = wish->left < PAGE ? wish->left : PAGE;
    enum busi_code code = auth_list_users(auth, &call, &wish->request, &reply);
    if (code != BUSI_OK)
        exit = auth_command_failed(&call, code);
    else if (wish->json)
        exit = operator_print_lines(busi_desc_account(), reply.users.items, reply.users.n);
    for (size_t i = 0; i < reply.users.n && !wish->json; i++)
        add(wish, &reply.users.items[i]);
    wish->request.offset += (int64_t)reply.users.n;
    wish->left -= (int64_t)reply.users.n;
    *more = reply.more;
    busi_call_fini(&call);
    return exit;
}

static int list(struct auth *auth, void *arg)
{
    struct wish *wish = arg;
    bool more = true;
    int exit = BUSI_EXIT_FINE;
    while (more && wish->left > 0 && exit == BUSI_EXIT_FINE)
        exit = list_page(auth, wish, &more);
    if (exit == BUSI_EXIT_FINE && !wish->json)
        exit = operator_print_table(&wish->table);
    if (exit == BUSI_EXIT_FINE && more)
        fprintf(stderr, "there are more; --limit %lld --offset %lld shows the next\n",
                (long long)wish->request.limit, (long long)wish->request.offset);
    return exit;
}

int operator_list_users(const struct busi_settings *settings, int argc, char **argv)
{
    static const char *const heads[] = {"ID", "USER NAME", "E-MAIL", "STATE", "ROLES", "CREATED (UTC)"};
    struct wish wish = {.left = USUAL};
    struct busi_list_users_request *request = &wish.request;
    const struct operator_option options[] = {{"--name", OPERATOR_TEXT, &request->username_like},
                                              {"--email", OPERATOR_TEXT, &request->email_like},
                                              {"--role", OPERATOR_TEXT, &request->role},
                                              {"--blocked", OPERATOR_FLAG, &request->blocked},
                                              {"--unconfirmed", OPERATOR_FLAG, &request->unconfirmed},
                                              {"--order", OPERATOR_TEXT, &request->order},
                                              {"--descending", OPERATOR_FLAG, &request->descending},
                                              {"--limit", OPERATOR_COUNT, &wish.left},
                                              {"--offset", OPERATOR_COUNT, &request->offset},
                                              {"--json", OPERATOR_FLAG, &wish.json}};
    if (!operator_parse(argc, argv, options, sizeof(options) / sizeof(options[0]), NULL, 0, 0))
        return BUSI_EXIT_USAGE;
    busi_table_init(&wish.table, heads, sizeof(heads) / sizeof(heads[0]));
    busi_arena_init(&wish.arena, SIZE_MAX);
    int exit = auth_command_run(settings, AUTH_COMMAND_DATABASE, list, &wish);
    busi_table_fini(&wish.table);
    busi_arena_fini(&wish.arena);
    return exit;
}

/* ---- show ---- */

struct view {
    const char *named;
    bool json;
};

static void add_line(struct busi_buf *out, const char *head, struct busi_str text)
{
    busi_buf_printf(out, "%-12s", head);
    busi_table_text(out, text.len ? text : BUSI_STR("-"));
    busi_buf_char(out, '\n');
}

static int print_account(struct busi_arena *arena, const struct busi_account *account)
{
    struct busi_buf out;
    busi_buf_init(&out, OPERATOR_ARENA_BYTES);
    const char *confirmed = !account->email.ptr        ? ""
                            : account->email_confirmed ? " (confirmed)"
                                                       : " (not confirmed)";
    add_line(&out, "id", busi_arena_int(arena, account->user_id));
    add_line(&out, "user name", account->username);
    add_line(&out, "e-mail", busi_arena_printf(arena, "%.*s%s", BUSI_ARG(account->email), confirmed));
    add_line(&out, "short name", account->user_code);
    add_line(&out, "state", state_of(account));
    add_line(&out, "roles", account->roles);
    add_line(&out, "created", operator_time(arena, account->created_at));
    add_line(&out, "changed", operator_time(arena, account->updated_at));
    add_line(&out, "data", account->meta);
    for (size_t i = 0; i < account->extras.n; i++)
        add_line(&out, i ? "" : "extras",
                 busi_arena_printf(arena, "%.*s = %.*s", BUSI_ARG(account->extras.items[i].type),
                                   BUSI_ARG(account->extras.items[i].value)));
    bool fine = !out.failed && fwrite(out.ptr, 1, out.len, stdout) == out.len && fflush(stdout) == 0;
    busi_buf_fini(&out);
    return fine ? BUSI_EXIT_FINE : BUSI_EXIT_FAILED;
}

static int show(struct auth *auth, void *arg)
{
    const struct view *view = arg;
    struct busi_call call;
    struct busi_account account;
    auth_command_begin(&call, OPERATOR_ARENA_BYTES, OPERATOR_CALL_MS);
    enum busi_code code = operator_find(auth, &call, view->named, &account);
    int exit = code != BUSI_OK ? operator_failed(&call, code)
               : view->json    ? operator_print_lines(busi_desc_account(), &account, 1)
                               : print_account(&call.arena, &account);
    busi_call_fini(&call);
    return exit;
}

int operator_show_user(const struct busi_settings *settings, int argc, char **argv)
{
    struct view view = {0};
    const struct operator_option options[] = {{"--json", OPERATOR_FLAG, &view.json}};
    return operator_parse(argc, argv, options, 1, &view.named, 1, 1)
               ? auth_command_run(settings, AUTH_COMMAND_DATABASE, show, &view)
               : BUSI_EXIT_USAGE;
}
