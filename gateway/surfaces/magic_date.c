#include "surfaces/magic_date.h"
#include <time.h>

#define SECOND_US INT64_C(1000000)

struct reader {
    const char *at, *end;
    bool failed;
};

static bool take(struct reader *in, char c)
{
    if (in->at == in->end || *in->at != c)
        return false;
    in->at++;
    return true;
}

static void expect(struct reader *in, char c)
{
    in->failed = !take(in, c) || in->failed;
}

/* Exactly so many digits, within least..most. */
static int64_t number(struct reader *in, int digits, int64_t least, int64_t most)
{
    int64_t n = 0;
    for (int i = 0; i < digits; i++) {
        if (in->at == in->end || *in->at < '0' || *in->at > '9') {
            in->failed = true;
            return least;
        }
        n = n * 10 + (*in->at++ - '0');
    }
    in->failed = in->failed || n < least || n > most;
    return in->failed ? least : n;
}

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* Since 1970. */
static int64_t read_days(struct reader *in)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t year = number(in, 4, 1970, 9999);
    expect(in, '-');
    int64_t month = number(in, 2, 1, 12);
    expect(in, '-');
    int64_t day = number(in, 2, 1, lengths[month - 1] + (month == 2 && is_leap(year)));
    int64_t days = day - 1;
    for (int64_t m = 1; m < month; m++)
        days += lengths[m - 1] + (m == 2 && is_leap(year));
    for (int64_t y = 1970; y < year; y++)
        days += is_leap(y) ? 366 : 365;
    return days;
}

/* Of the digits behind a point; past microseconds they say nothing. */
static int64_t read_fraction_us(struct reader *in)
{
    int64_t us = 0, unit = SECOND_US / 10;
    const char *begin = in->at;
    for (; in->at < in->end && *in->at >= '0' && *in->at <= '9' && in->at - begin < 9; in->at++, unit /= 10)
        us += (*in->at - '0') * unit;
    in->failed = in->failed || in->at == begin;
    return us;
}

static int64_t read_time_us(struct reader *in)
{
    int64_t seconds = number(in, 2, 0, 23) * 3600, us = 0;
    expect(in, ':');
    seconds += number(in, 2, 0, 59) * 60;
    if (take(in, ':')) {
        seconds += number(in, 2, 0, 59);
        us = take(in, '.') ? read_fraction_us(in) : 0;
    }
    return seconds * SECOND_US + us;
}

static int64_t read_zone_us(struct reader *in)
{
    if (in->at == in->end || take(in, 'Z'))
        return 0;
    int64_t sign = take(in, '-') ? -1 : 1;
    if (sign > 0 && !take(in, ' ')) /* what "+" is in a query */
        expect(in, '+');
    int64_t seconds = number(in, 2, 0, 14) * 3600;
    expect(in, ':');
    return sign * (seconds + number(in, 2, 0, 59) * 60) * SECOND_US;
}

bool magic_date_read(struct busi_str text, int64_t *us)
{
    if (text.len == 0)
        return false;
    struct reader in = {.at = text.ptr, .end = text.ptr + text.len};
    *us = read_days(&in) * 86400 * SECOND_US;
    if (take(&in, 'T') || take(&in, ' ')) {
        *us += read_time_us(&in);
        *us -= read_zone_us(&in);
    }
    return !in.failed && in.at == in.end && *us >= 0;
}

void magic_date_write(struct busi_buf *out, int64_t us)
{
    time_t s = (time_t)(us / SECOND_US);
    struct tm utc;
    char text[32] = "";
    if (gmtime_r(&s, &utc))
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    busi_buf_printf(out, "\"%s.%06dZ\"", text, (int)(us % SECOND_US));
}
