#include "http/language.h"
#include "rpc/forms.h"

enum { MOST_WEIGHT = 1000 };

/* One "de-DE;q=0.8" of the list. */
struct range {
    struct busi_str tag;
    int weight; /* 0..1000 */
};

static struct busi_str cut(struct busi_str *rest, char separator)
{
    const char *stop = memchr(rest->ptr, separator, rest->len);
    struct busi_str part = {rest->ptr, stop ? (size_t)(stop - rest->ptr) : rest->len};
    size_t taken = part.len + (stop ? 1 : 0);
    *rest = (struct busi_str){rest->ptr + taken, rest->len - taken};
    return busi_str_trim(part, " \t");
}

/* "q=0.8" is 800; what is no weight counts for nothing. */
static int read_weight(struct busi_str parameter)
{
    int weight = 0, digit = 100;
    if (parameter.len < 3 || busi_lower(parameter.ptr[0]) != 'q' || parameter.ptr[1] != '=')
        return 0;
    if (parameter.ptr[2] == '1')
        return MOST_WEIGHT;
    for (size_t i = 4; i < parameter.len && digit > 0; i++, digit /= 10) {
        if (parameter.ptr[i] < '0' || parameter.ptr[i] > '9')
            return 0;
        weight += (parameter.ptr[i] - '0') * digit;
    }
    return weight;
}

/* The next range that names a language; false at the end. */
static bool next_range(struct busi_str *rest, struct range *out)
{
    while (rest->len > 0) {
        struct busi_str parameter = cut(rest, ',');
        *out = (struct range){.weight = MOST_WEIGHT};
        if (parameter.len == 0)
            continue;
        out->tag = cut(&parameter, ';');
        if (parameter.len > 0)
            out->weight = read_weight(cut(&parameter, ';'));
        if (out->tag.len <= LANGUAGE_MOST_BYTES && busi_form_language(out->tag) && out->weight > 0)
            return true;
    }
    return false;
}

struct busi_str language_first(struct busi_str header)
{
    struct range range, best = {0};
    while (next_range(&header, &range))
        if (range.weight > best.weight)
            best = range;
    return best.tag;
}

/* "de" is offered to who asks for "de-AT". */
static bool covers(const char *offered, struct busi_str tag)
{
    struct busi_str primary = busi_str_of(offered);
    return tag.len >= primary.len && busi_str_ieq((struct busi_str){tag.ptr, primary.len}, primary) &&
           (tag.len == primary.len || tag.ptr[primary.len] == '-');
}

size_t language_choose(struct busi_str header, const char *const offered[], size_t n)
{
    struct range range;
    size_t best = 0;
    int weight = 0;
    while (next_range(&header, &range))
        for (size_t i = 0; i < n; i++)
            if (range.weight > weight && covers(offered[i], range.tag)) {
                best = i;
                weight = range.weight;
            }
    return best;
}
