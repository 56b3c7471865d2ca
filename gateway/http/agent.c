#define _GNU_SOURCE /* memmem */
#include "http/agent.h"
#include "base/text.h"
#include <stdio.h>

struct word {
    const char *sign, *name;
};

/* Those that say to be others, too, come before these. */
static const struct word browsers[] = {
    {"Edg", "Edge"},        {"OPR/", "Opera"},     {"SamsungBrowser/", "Samsung Internet"},
    {"Firefox", "Firefox"}, {"FxiOS/", "Firefox"}, {"CriOS/", "Chrome"},
    {"Chrome/", "Chrome"},  {"Safari/", "Safari"}};
static const struct word systems[] = {{"Windows", "Windows"}, {"Android", "Android"}, {"iPhone", "iPhone"},
                                      {"iPad", "iPad"},       {"Mac OS X", "macOS"},  {"CrOS", "ChromeOS"},
                                      {"Linux", "Linux"}};

static const char *find(struct busi_str text, const struct word *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (memmem(text.ptr, text.len, words[i].sign, strlen(words[i].sign)))
            return words[i].name;
    return NULL;
}

/* Those that say Mozilla are browsers, also where their name is cut off. */
static void name_browser(char out[AGENT_NAME_BYTES], struct busi_str user_agent)
{
    const char *browser = find(user_agent, browsers, sizeof browsers / sizeof browsers[0]);
    const char *system = find(user_agent, systems, sizeof systems / sizeof systems[0]);
    snprintf(out, AGENT_NAME_BYTES, "%s%s%s", browser ? browser : "Browser", system ? ", " : "",
             system ? system : "");
}

void agent_name(char out[AGENT_NAME_BYTES], struct busi_str user_agent)
{
    out[0] = '\0';
    if (user_agent.len == 0)
        return;
    if (busi_str_starts(user_agent, BUSI_STR("Mozilla/"))) {
        name_browser(out, user_agent);
        return;
    }
    const char *blank = memchr(user_agent.ptr, ' ', user_agent.len);
    struct busi_str first = {user_agent.ptr, blank ? (size_t)(blank - user_agent.ptr) : user_agent.len};
    first = busi_utf8_cut(first, AGENT_NAME_BYTES - 1);
    memcpy(out, first.ptr, first.len);
    out[first.len] = '\0';
}
