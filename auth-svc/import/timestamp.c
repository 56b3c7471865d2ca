#include "import/timestamp.h"

enum { LEAST_YEAR = 1970, FRACTION_MOST = 6 };

static bool take(struct busi_str *rest, const char *any_of)
{
    if (rest->len == 0 || !*rest->ptr || !strchr(any_of, *rest->ptr))
        return false;
    rest->ptr++;
    rest->len--;
    return true;
}

/* Just so many digits, a number within bounds. */
static bool take_number(struct busi_str *rest, size_t digits, int least, int most, int *out)
{
    int number = 0;
    if (rest->len < digits)
        return false;
    for (size_t i = 0; i < digits; i++) {
        if (rest->ptr[i] < '0' || rest->ptr[i] > '9')
            return false;
        number = 10 * number + (rest->ptr[i] - '0');
    }
    rest->ptr += digits;
    rest->len -= digits;
    if (out)
        *out = number;
    return number >= least && number <= most;
}

static bool take_date(struct busi_str *rest)
{
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year, month, day;
    if (!take_number(rest, 4, LEAST_YEAR, 9999, &year) || !take(rest, "-") ||
        !take_number(rest, 2, 1, 12, &month) || !take(rest, "-") ||
        !take_number(rest, 2, 1, days[month - 1], &day))
        return false;
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month != 2 || day != 29 || leap;
}

static bool take_clock(struct busi_str *rest)
{
    size_t digits = 0;
    if (!take_number(rest, 2, 0, 23, NULL) || !take(rest, ":") || !take_number(rest, 2, 0, 59, NULL) ||
        !take(rest, ":") || !take_number(rest, 2, 0, 59, NULL))
        return false;
    if (!take(rest, "."))
        return true;
    while (take(rest, "0123456789"))
        digits++;
    return digits > 0 && digits <= FRACTION_MOST;
}

/* "Z", "+02:00", "+02", "+0200" */
static bool take_offset(struct busi_str *rest)
{
    if (take(rest, "Zz"))
        return true;
    if (!take(rest, "+-") || !take_number(rest, 2, 0, 14, NULL))
        return false;
    bool colon = take(rest, ":");
    return (!colon && rest->len == 0) || take_number(rest, 2, 0, 59, NULL);
}

bool auth_import_time(struct busi_arena *arena, struct busi_str text, struct busi_str *out)
{
    struct busi_str rest = text;
    if (!take_date(&rest) || !take(&rest, "Tt ") || !take_clock(&rest))
        return false;
    bool utc = rest.len == 0;
    if (!utc && (!take_offset(&rest) || rest.len > 0))
        return false;
    *out = utc ? busi_arena_printf(arena, "%.*sZ", BUSI_ARG(text)) : text;
    return out->ptr != NULL;
}
