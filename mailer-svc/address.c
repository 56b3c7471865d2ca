#include "address.h"
#include "base/text.h"

enum { LOCAL_MAX_BYTES = 64, LABEL_MAX_BYTES = 63, ADDRESS_MAX_BYTES = 254 };

/* RFC 5322's atext, without UTF-8: mailboxes that need SMTPUTF8 are not served. */
static bool is_atext(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != 0 && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool is_dot_atom(struct busi_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        bool inner_dot = s.ptr[i] == '.' && i > 0 && i + 1 < s.len && s.ptr[i - 1] != '.';
        if (!inner_dot && !is_atext(s.ptr[i]))
            return false;
    }
    return s.len > 0;
}

/* DNS knows no longer ones. */
static bool labels_fit(struct busi_str domain)
{
    size_t label = 0;
    for (size_t i = 0; i < domain.len; i++) {
        label = domain.ptr[i] == '.' ? 0 : label + 1;
        if (label > LABEL_MAX_BYTES)
            return false;
    }
    return true;
}

static bool is_domain(struct busi_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] != '.' && s.ptr[i] != '-' && !(s.ptr[i] >= '0' && s.ptr[i] <= '9') &&
            !(busi_lower(s.ptr[i]) >= 'a' && busi_lower(s.ptr[i]) <= 'z'))
            return false;
    return is_dot_atom(s) && s.ptr[0] != '-' && s.ptr[s.len - 1] != '-' && labels_fit(s);
}

bool mail_address_valid(struct busi_str address)
{
    if (!address.ptr || address.len > ADDRESS_MAX_BYTES)
        return false;
    const char *at = memchr(address.ptr, '@', address.len);
    if (!at)
        return false;
    struct busi_str local = {address.ptr, (size_t)(at - address.ptr)};
    struct busi_str domain = {at + 1, address.len - local.len - 1};
    return local.len <= LOCAL_MAX_BYTES && is_dot_atom(local) && is_domain(domain);
}

static bool is_name(struct busi_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < ' ' || s.ptr[i] == 0x7f || s.ptr[i] == '<' || s.ptr[i] == '>')
            return false;
    return busi_utf8_valid(s);
}

bool mail_sender_parse(struct busi_str text, struct mail_sender *out)
{
    struct mail_sender sender = {.address = busi_str_trim(text, " ")};
    const char *open = memchr(text.ptr, '<', text.len);
    if (open) {
        size_t before = (size_t)(open - text.ptr);
        struct busi_str rest = busi_str_trim((struct busi_str){open + 1, text.len - before - 1}, " ");
        if (rest.len == 0 || rest.ptr[rest.len - 1] != '>')
            return false;
        sender.name = busi_str_trim((struct busi_str){text.ptr, before}, " ");
        sender.address = (struct busi_str){rest.ptr, rest.len - 1};
    }
    if (!is_name(sender.name) || !mail_address_valid(sender.address))
        return false;
    const char *at = memchr(sender.address.ptr, '@', sender.address.len);
    size_t before = (size_t)(at - sender.address.ptr) + 1;
    sender.domain = (struct busi_str){at + 1, sender.address.len - before};
    *out = sender;
    return true;
}
