#include "oidc/rules.h"
#include "core/setting_words.h"

/* What stands at their place in the paths of other strategies. */
static const char *const taken_names[] = {"password", "confirm", "magic_link"};

static struct auth_oidc_rule *find(struct auth_oidc_rules *rules, struct busi_str name)
{
    for (size_t i = 0; i < rules->n; i++)
        if (busi_str_eq(rules->list[i].name, name))
            return &rules->list[i];
    return NULL;
}

static bool is_free(struct busi_str name)
{
    for (size_t i = 0; i < sizeof(taken_names) / sizeof(taken_names[0]); i++)
        if (busi_str_ieq(name, busi_str_of(taken_names[i])))
            return false;
    return true;
}

/* Printable, and nothing that could end a header or a query. */
static bool is_plain(struct busi_str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f)
            return false;
    return text.len > 0 && text.len <= AUTH_OIDC_TEXT_MOST;
}

/* Without query and fragment (OpenID Connect Discovery 1.0, section 2). */
static bool is_issuer(struct busi_str url)
{
    return (busi_str_starts(url, BUSI_STR("https://")) || busi_str_starts(url, BUSI_STR("http://"))) &&
           is_plain(url) && !memchr(url.ptr, '?', url.len) && !memchr(url.ptr, '#', url.len) &&
           !memchr(url.ptr, '@', url.len);
}

static const char *read_provider(struct auth_oidc_rules *rules, struct busi_str text)
{
    struct auth_oidc_rule rule = {0};
    struct busi_str rest = text;
    if (!auth_words_cut(auth_words_next(&rest, AUTH_BLANKS), &rule.name, &rule.issuer) ||
        !auth_words_name(rule.name, AUTH_OIDC_NAME_MOST))
        return "is not of the form name=https://issuer CLIENT_ID [known]";
    if (!is_free(rule.name))
        return "has a name that is a path of its own";
    if (!is_issuer(rule.issuer))
        return "must name its issuer as https://host/path, without query";
    rule.client_id = auth_words_next(&rest, AUTH_BLANKS);
    if (!rule.client_id.ptr || !is_plain(rule.client_id))
        return "lacks the client id behind the issuer";
    struct busi_str word = auth_words_next(&rest, AUTH_BLANKS);
    rule.known_only = busi_str_eq(word, BUSI_STR("known"));
    if ((word.ptr && !rule.known_only) || rest.len > 0)
        return "has a word behind the client id that is not 'known'";
    if (find(rules, rule.name))
        return "is there twice";
    if (rules->n == AUTH_OIDC_PROVIDERS_MOST)
        return "is one provider too many, there may be 8";
    rules->list[rules->n++] = rule;
    return NULL;
}

static const char *read_secret(struct auth_oidc_rules *rules, struct busi_str line, struct busi_str *culprit)
{
    struct busi_str rest = line, name = auth_words_next(&rest, " \t");
    struct auth_oidc_rule *rule = find(rules, name);
    *culprit = name;
    if (!rule) { /* it may be the secret itself */
        *culprit = BUSI_STR("BUSI_OIDC_SECRETS");
        return "has a line that does not begin with the name of a provider";
    }
    if (rule->secret.ptr)
        return "has two secrets";
    rule->secret = busi_str_trim(rest, AUTH_BLANKS);
    return is_plain(rule->secret) ? NULL : "has an empty secret, or one with blanks in it";
}

const char *auth_oidc_rules_read(struct auth_oidc_rules *rules, struct busi_str providers,
                                 struct busi_str secrets, struct busi_str *culprit)
{
    const char *fault = NULL;
    *rules = (struct auth_oidc_rules){0};
    while (!fault && (*culprit = auth_words_next(&providers, ";")).ptr)
        fault = culprit->len ? read_provider(rules, *culprit) : NULL;
    while (!fault && (*culprit = auth_words_next(&secrets, "\n")).ptr)
        fault = culprit->len ? read_secret(rules, *culprit, culprit) : NULL;
    return fault;
}
