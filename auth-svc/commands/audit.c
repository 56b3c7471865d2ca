#include "commands/audit.h"
#include "commands/command.h"
#include "loop/fiber.h"
#include "service/service.h"
#include "service/setting_type.h"
#include "wire/codec.h"
#include <getopt.h>
#include <stdio.h>
#include <time.h>

enum {
    PAGE = 200,
    USUAL = 50,
    ARENA_BYTES = 4 << 20,
    PAGE_MS = 30000, /* longest wait for one */
    FOLLOW_MS = 1000,
    FOLLOW_SINCE_MS = 60000, /* what came last stands above what comes */
    LINE_MOST_BYTES = 16 * 1024
};

const char auth_audit_details[] =
    "    Shows the newest 50, or all --since (so long ago: 90s, 15m, 24h, 30d); --follow goes on with what "
    "comes.\n"
    "    --user is about whom, --by who did it, --failed shows what failed. EVENT is one of\n"
#define AUDIT(event) "      " #event "\n"
#include "audit/audit.def"
#undef AUDIT
    ;

struct wish {
    struct busi_list_audit_request request;
    int64_t left; /* rows that may still be shown */
    bool json, follow;
};

/* ---- showing ---- */

static void print_heading(void)
{
    printf("%-19s  %-15s  %-7s  %8s  %8s  %-16s  %-10s  %-15s  %s\n", "TIME (UTC)", "EVENT", "OUTCOME",
           "USER", "BY USER", "ACTOR", "DOOR", "ADDRESS", "DETAIL");
}

static void print_id(struct busi_buf *line, int64_t id)
{
    if (id)
        busi_buf_printf(line, "%8lld  ", (long long)id);
    else
        busi_buf_printf(line, "%8s  ", "-");
}

static void print_row(struct busi_buf *line, const struct busi_audit_entry *entry)
{
    char at[32] = "";
    time_t s = (time_t)(entry->at / 1000000);
    struct tm tm;
    if (gmtime_r(&s, &tm))
        (void)strftime(at, sizeof(at), "%Y-%m-%d %H:%M:%S", &tm);
    busi_buf_printf(line, "%-19s  %-15.*s  %-7.*s  ", at, BUSI_ARG(entry->event), BUSI_ARG(entry->outcome));
    print_id(line, entry->user_id);
    print_id(line, entry->actor_id);
    busi_buf_printf(line, "%-16.*s  %-10.*s  %-15.*s  %.*s%s%.*s", BUSI_ARG(entry->actor),
                    BUSI_ARG(entry->door), BUSI_ARG(entry->remote_addr), BUSI_ARG(entry->detail),
                    entry->name_hash.ptr && entry->detail.ptr ? " " : "", BUSI_ARG(entry->name_hash));
    while (line->len > 0 && line->ptr[line->len - 1] == ' ')
        line->len--;
}

static bool print_entry(const struct busi_audit_entry *entry, bool json)
{
    struct busi_buf line;
    busi_buf_init(&line, LINE_MOST_BYTES);
    if (json)
        busi_json_message(&line, busi_desc_audit_entry(), entry);
    else
        print_row(&line, entry);
    busi_buf_char(&line, '\n');
    bool fine = !line.failed && fwrite(line.ptr, 1, line.len, stdout) == line.len;
    busi_buf_fini(&line);
    return fine;
}

/* ---- reading ---- */

static int show_page(struct auth *auth, struct wish *wish, bool *more)
{
    struct busi_call call;
    struct busi_list_audit_reply reply = {0};
    struct busi_list_audit_request *request = &wish->request;
    int exit = BUSI_EXIT_FINE;
    auth_command_begin(&call, ARENA_BYTES, PAGE_MS);
    request->limit = wish->left < PAGE ? wish->left : PAGE;
    enum busi_code code = auth_list_audit(auth, &call, request, &reply);
    if (code != BUSI_OK)
        exit = auth_command_failed(&call, code);
    const struct busi_audit_entry *entries = reply.entries.items;
    for (size_t i = 0; i < reply.entries.n && exit == BUSI_EXIT_FINE; i++) {
        exit = print_entry(&entries[i], wish->json) ? BUSI_EXIT_FINE : BUSI_EXIT_FAILED;
        *(request->oldest_first ? &request->after_id : &request->before_id) = entries[i].id;
    }
    wish->left -= wish->follow ? 0 : (int64_t)reply.entries.n;
    *more = reply.more && wish->left > 0;
    busi_call_fini(&call);
    return fflush(stdout) == 0 ? exit : BUSI_EXIT_FAILED;
}

static int show(struct auth *auth, void *arg)
{
    struct wish *wish = arg;
    bool more = true;
    if (!wish->json)
        print_heading();
    while (more) {
        int exit = show_page(auth, wish, &more);
        if (exit != BUSI_EXIT_FINE)
            return exit;
        if (!more && wish->follow) {
            busi_fiber_sleep(FOLLOW_MS);
            more = true;
        }
    }
    return BUSI_EXIT_FINE;
}

/* ---- what is asked for ---- */

static bool read_since(const char *text, int64_t *from)
{
    int64_t ms;
    if (!busi_setting_type(BUSI_SETTING_MS)->parse(busi_str_of(text), &ms) || ms <= 0 ||
        ms > INT64_MAX / 1000) {
        fprintf(stderr, "--since: '%s' is no time, as 90s, 15m, 24h or 30d\n", text);
        return false;
    }
    *from = busi_wall_us() - ms * 1000;
    return true;
}

static bool read_count(const char *text, int64_t *out)
{
    return busi_str_int(busi_str_of(text), out) && *out > 0;
}

static bool need_count(const char *option, const char *text, int64_t *out)
{
    if (read_count(text, out))
        return true;
    fprintf(stderr, "%s: '%s' is no number of 1 and more\n", option, text);
    return false;
}

/* A slip of the pen would look as if nothing had happened. */
static bool read_event(const char *text, struct busi_str *out)
{
    static const char *const events[] = {
#define AUDIT(event) #event,
#include "audit/audit.def"
#undef AUDIT
    };
    *out = busi_str_of(text);
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
        if (busi_str_eq(*out, busi_str_of(events[i])))
            return true;
    fprintf(stderr, "no such event: %s; audit --help lists them\n", text);
    return false;
}

static bool read_option(struct wish *wish, int option, const char *value)
{
    struct busi_list_audit_request *request = &wish->request;
    switch (option) {
    case 'u':
        if (!read_count(value, &request->user_id))
            request->name = busi_str_of(value);
        return true;
    case 'b':
        return need_count("--by", value, &request->actor_id);
    case 'e':
        return read_event(value, &request->event);
    case 'x':
        request->outcome = BUSI_STR("failed");
        return true;
    case 's':
        return read_since(value, &request->from);
    case 'n':
        return need_count("--limit", value, &wish->left);
    case 'f':
        return wish->follow = true;
    case 'j':
        return wish->json = true;
    default:
        return false;
    }
}

static bool read_wish(struct wish *wish, int argc, char **argv)
{
    static const struct option options[] = {{"user", required_argument, NULL, 'u'},
                                            {"by", required_argument, NULL, 'b'},
                                            {"event", required_argument, NULL, 'e'},
                                            {"failed", no_argument, NULL, 'x'},
                                            {"since", required_argument, NULL, 's'},
                                            {"limit", required_argument, NULL, 'n'},
                                            {"follow", no_argument, NULL, 'f'},
                                            {"json", no_argument, NULL, 'j'},
                                            {0}};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        if (!read_option(wish, option, optarg))
            return false;
    if (wish->follow && !wish->request.from)
        wish->request.from = busi_wall_us() - FOLLOW_SINCE_MS * 1000;
    if (wish->left == 0)
        wish->left = wish->request.from ? INT64_MAX : USUAL;
    wish->request.oldest_first = wish->follow;
    return optind == argc;
}

int auth_audit_command(const struct busi_settings *settings, int argc, char **argv)
{
    struct wish wish = {0};
    if (!read_wish(&wish, argc, argv)) {
        fputs("usage: audit " AUTH_AUDIT_ARGUMENTS "\n", stderr);
        return BUSI_EXIT_USAGE;
    }
    return auth_command_run(settings, AUTH_COMMAND_DATABASE, show, &wish);
}
