#include "commands/operator.h"
#include "core/account.h"
#include "core/passwords.h"
#include "service/ask.h"
#include "service/small_file.h"
#include "wire/codec.h"
#include <stdio.h>
#include <time.h>

enum { OUTPUT_MOST_BYTES = 64 << 20, QUESTION_MOST_BYTES = 256 };

/* ---- the command line ---- */

static bool take_value(const struct operator_option *option, const char *value)
{
    if (!value) {
        fprintf(stderr, "%s: a value must follow\n", option->name);
        return false;
    }
    if (option->kind == OPERATOR_TEXT) {
        *(struct busi_str *)option->out = busi_str_of(value);
        return true;
    }
    if (busi_str_int(busi_str_of(value), option->out) && *(int64_t *)option->out > 0)
        return true;
    fprintf(stderr, "%s: '%s' is no number of 1 and more\n", option->name, value);
    return false;
}

/* How many arguments the option at argv[0] takes up; 0: said what is wrong. */
static int take_option(char **argv, const struct operator_option *options, size_t n_options)
{
    for (size_t i = 0; i < n_options; i++) {
        size_t len = strlen(options[i].name);
        bool joined = strncmp(argv[0], options[i].name, len) == 0 && argv[0][len] == '=';
        if (!joined && strcmp(argv[0], options[i].name) != 0)
            continue;
        if (options[i].kind != OPERATOR_FLAG)
            return take_value(&options[i], joined ? argv[0] + len + 1 : argv[1]) ? 2 - joined : 0;
        if (joined)
            break;
        *(bool *)options[i].out = true;
        return 1;
    }
    fprintf(stderr, "unknown option %s; see --help\n", argv[0]);
    return 0;
}

bool operator_parse(int argc, char **argv, const struct operator_option *options, size_t n_options,
                    const char **words, size_t least, size_t most)
{
    size_t n = 0;
    bool options_end = false;
    for (int i = 1; i < argc;) {
        if (!options_end && strcmp(argv[i], "--") == 0) {
            options_end = true;
            i++;
        } else if (!options_end && argv[i][0] == '-' && argv[i][1]) {
            int taken = take_option(argv + i, options, n_options);
            if (taken == 0)
                return false;
            i += taken;
        } else if (n == most) {
            fprintf(stderr, "too many arguments: '%s'; see --help\n", argv[i]);
            return false;
        } else {
            words[n++] = argv[i++];
        }
    }
    if (n < least)
        fputs("an argument is missing; see --help\n", stderr);
    return n >= least;
}

/* ---- accounts ---- */

static enum busi_code find_id(struct auth *auth, struct busi_call *call, struct busi_str named, int64_t *id)
{
    struct auth_account account = {0};
    struct auth_name_keys keys;
    if (busi_str_int(named, id))
        return BUSI_OK;
    if (busi_str_starts(named, BUSI_STR("id:")) &&
        busi_str_int((struct busi_str){named.ptr + 3, named.len - 3}, id))
        return BUSI_OK;
    if (busi_str_starts(named, BUSI_STR("name:")))
        named = (struct busi_str){named.ptr + 5, named.len - 5};
    if (!auth_name_keys(&call->arena, named, &keys))
        return busi_call_fail(call, BUSI_INTERNAL, "out of memory");
    enum busi_code code = keys.username.ptr
                              ? auth_account_find(auth, call, AUTH_FIND_BY_USERNAME, keys.username, &account)
                              : auth_account_find(auth, call, AUTH_FIND_BY_EMAIL, keys.email, &account);
    *id = account.id;
    return code;
}

enum busi_code operator_find(struct auth *auth, struct busi_call *call, const char *named,
                             struct busi_account *account)
{
    int64_t id = 0;
    enum busi_code code = find_id(auth, call, busi_str_of(named), &id);
    *account = (struct busi_account){0};
    if (code == BUSI_OK)
        code = auth_get_user(auth, call, &(struct busi_user_id_request){.user_id = id}, account);
    if (code == BUSI_NOT_FOUND)
        fprintf(stderr, "no such user: '%s'; users are called by id, user name or e-mail\n", named);
    return code;
}

int operator_failed(const struct busi_call *call, enum busi_code code)
{
    return code == BUSI_NOT_FOUND ? BUSI_EXIT_FAILED : auth_command_failed(call, code);
}

struct busi_str operator_name(struct busi_arena *arena, const struct busi_account *account)
{
    struct busi_str name = account->username.ptr ? account->username : account->email;
    return busi_arena_printf(arena, "%.*s (id %lld)", BUSI_ARG(name), (long long)account->user_id);
}

/* ---- passwords ---- */

static struct busi_str first_line(struct busi_str text)
{
    const char *end = text.len ? memchr(text.ptr, '\n', text.len) : NULL;
    if (end)
        text.len = (size_t)(end - text.ptr);
    if (text.len > 0 && text.ptr[text.len - 1] == '\r')
        text.len--;
    return text;
}

static bool ask_twice(struct busi_arena *arena, const char *whose, struct busi_str *password)
{
    char question[QUESTION_MOST_BYTES];
    struct busi_str again;
    snprintf(question, sizeof(question), "New password of %s: ", whose);
    if (!busi_ask_secret(question, arena, password) || !busi_ask_secret("The same again: ", arena, &again))
        return false;
    if (busi_str_eq(*password, again))
        return true;
    fputs("these are two different passwords; nothing was changed\n", stderr);
    return false;
}

bool operator_password(struct busi_arena *arena, struct busi_str file, const char *whose,
                       struct busi_str *password)
{
    if (!file.ptr && busi_ask_possible())
        return ask_twice(arena, whose, password);
    if (!file.ptr || busi_str_eq(file, BUSI_STR("-"))) {
        if (busi_read_line(arena, AUTH_PASSWORD_MOST_BYTES, password))
            return true;
        fputs("stdin has no password in its first line; give it there, in --password-file FILE, or at a "
              "terminal\n",
              stderr);
        return false;
    }
    const char *fault = busi_small_file_read(file.ptr, AUTH_PASSWORD_MOST_BYTES + 2, arena, password);
    if (fault)
        fprintf(stderr, "--password-file: %s: %s\n", file.ptr, fault);
    else
        *password = first_line(*password);
    return !fault;
}

/* ---- output ---- */

struct busi_str operator_time(struct busi_arena *arena, int64_t us)
{
    char text[32];
    time_t s = (time_t)(us / 1000000);
    struct tm tm;
    if (us == 0 || !gmtime_r(&s, &tm))
        return (struct busi_str){0};
    return busi_arena_dup(arena,
                          (struct busi_str){text, strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm)});
}

static int print(struct busi_buf *out)
{
    bool fine = !out->failed && fwrite(out->ptr ? out->ptr : "", 1, out->len, stdout) == out->len &&
                fflush(stdout) == 0;
    busi_buf_fini(out);
    return fine ? BUSI_EXIT_FINE : BUSI_EXIT_FAILED;
}

int operator_print_lines(const struct busi_desc *desc, const void *messages, size_t n)
{
    struct busi_buf out;
    busi_buf_init(&out, OUTPUT_MOST_BYTES);
    for (size_t i = 0; i < n; i++) {
        busi_json_message(&out, desc, (const char *)messages + i * desc->size);
        busi_buf_char(&out, '\n');
    }
    return print(&out);
}

int operator_print_table(struct busi_table *table)
{
    struct busi_buf out;
    busi_buf_init(&out, OUTPUT_MOST_BYTES);
    busi_table_write(table, &out);
    out.failed |= table->failed;
    busi_table_fini(table);
    return print(&out);
}
