#include "service/setting_type.h"
#include "base/text.h"
#include "service/settings.h"
#include <assert.h>

enum { RATE_LEAST_MS = 1000, RATE_MOST_MS = 24 * 3600 * 1000 };

/* ---- texts ---- */

static bool parse_secret(struct busi_str text, void *field)
{
    if (memchr(text.ptr, 0, text.len))
        return false;
    *(struct busi_str *)field = text;
    return true;
}

static bool parse_text(struct busi_str text, void *field)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < 0x20 || text.ptr[i] == 0x7f)
            return false;
    return busi_utf8_valid(text) && parse_secret(text, field);
}

static int64_t measure_text(const void *field)
{
    return (int64_t)((const struct busi_str *)field)->len;
}

static void print_text(struct busi_buf *out, const void *field)
{
    busi_buf_str(out, *(const struct busi_str *)field);
}

static void print_secret(struct busi_buf *out, const void *field)
{
    if (((const struct busi_str *)field)->len > 0)
        busi_buf_str(out, BUSI_STR("***"));
}

/* ---- numbers, with or without a unit ---- */

struct unit {
    const char *suffix; /* behind the number */
    int64_t factor;     /* to the unit the setting is kept in */
};

/* Largest first: the first unit that divides a value prints it. */
static const struct unit count_units[] = {{"", 1}};
static const struct unit duration_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};
static const struct unit size_units[] = {{"G", 1 << 30}, {"M", 1 << 20}, {"K", 1 << 10}, {"", 1}};
#define UNITS(table) table, sizeof(table) / sizeof(table)[0]

static bool parse_number(struct busi_str text, const struct unit *units, size_t n_units, int64_t *out)
{
    size_t digits = 0;
    while (digits < text.len &&
           ((text.ptr[digits] >= '0' && text.ptr[digits] <= '9') || (digits == 0 && text.ptr[0] == '-')))
        digits++;
    struct busi_str suffix = {text.ptr + digits, text.len - digits};
    int64_t number = 0;
    if (!busi_str_int((struct busi_str){text.ptr, digits}, &number))
        return false;
    for (size_t i = 0; i < n_units; i++)
        if (busi_str_eq(suffix, busi_str_of(units[i].suffix)))
            return !__builtin_mul_overflow(number, units[i].factor, out);
    return false;
}

static void print_number(struct busi_buf *out, int64_t number, const struct unit *units, size_t n_units)
{
    size_t i = 0;
    if (number == 0)
        i = n_units - 1;
    while (number % units[i].factor != 0)
        i++; /* ends: the last factor is 1 */
    busi_buf_int(out, number / units[i].factor);
    busi_buf_str(out, busi_str_of(units[i].suffix));
}

static int64_t measure_number(const void *field)
{
    return *(const int64_t *)field;
}

/* The three functions of one number type. */
#define NUMBER_TYPE(name, units)                                                                             \
    static bool parse_##name(struct busi_str text, void *field)                                              \
    {                                                                                                        \
        return parse_number(text, UNITS(units), field);                                                      \
    }                                                                                                        \
    static void print_measure_##name(struct busi_buf *out, int64_t measure)                                  \
    {                                                                                                        \
        print_number(out, measure, UNITS(units));                                                            \
    }                                                                                                        \
    static void print_##name(struct busi_buf *out, const void *field)                                        \
    {                                                                                                        \
        print_measure_##name(out, measure_number(field));                                                    \
    }
NUMBER_TYPE(count, count_units)
NUMBER_TYPE(duration, duration_units)
NUMBER_TYPE(size, size_units)

/* ---- yes and no ---- */

static const struct {
    const char *word;
    bool value;
} flag_words[] = {{"true", true}, {"false", false}, {"1", true},  {"0", false},
                  {"yes", true},  {"no", false},    {"on", true}, {"off", false}};

static bool parse_flag(struct busi_str text, void *field)
{
    for (size_t i = 0; i < sizeof(flag_words) / sizeof(flag_words)[0]; i++) {
        if (!busi_str_ieq(text, busi_str_of(flag_words[i].word)))
            continue;
        *(bool *)field = flag_words[i].value;
        return true;
    }
    return false;
}

static void print_flag(struct busi_buf *out, const void *field)
{
    busi_buf_str(out, *(const bool *)field ? BUSI_STR("true") : BUSI_STR("false"));
}

/* ---- rates ---- */

/* "3/10s" */
static bool parse_rate(struct busi_str text, struct busi_rate *rate)
{
    const char *slash = memchr(text.ptr, '/', text.len);
    if (!slash)
        return false;
    struct busi_str count = {text.ptr, (size_t)(slash - text.ptr)};
    struct busi_str window = {slash + 1, text.len - count.len - 1};
    return parse_number(count, UNITS(count_units), &rate->count) &&
           parse_number(window, UNITS(duration_units), &rate->window_ms) && rate->count >= 1 &&
           rate->count <= BUSI_RATE_MOST_COUNT && rate->window_ms >= RATE_LEAST_MS &&
           rate->window_ms <= RATE_MOST_MS;
}

static bool parse_rates(struct busi_str text, void *field)
{
    struct busi_rates rates = {0};
    if (busi_str_ieq(text, BUSI_STR("off"))) {
        *(struct busi_rates *)field = rates;
        return true;
    }
    while (rates.n < BUSI_RATES_MOST) {
        const char *blank = text.len ? memchr(text.ptr, ' ', text.len) : NULL;
        struct busi_str first = {text.ptr, blank ? (size_t)(blank - text.ptr) : text.len};
        if (first.len == 0 || !parse_rate(first, &rates.rate[rates.n++]))
            return false;
        if (!blank) {
            *(struct busi_rates *)field = rates;
            return true;
        }
        text = (struct busi_str){blank + 1, text.len - first.len - 1};
    }
    return false;
}

static void print_rates(struct busi_buf *out, const void *field)
{
    const struct busi_rates *rates = field;
    if (rates->n == 0)
        busi_buf_str(out, BUSI_STR("off"));
    for (size_t i = 0; i < rates->n; i++) {
        if (i > 0)
            busi_buf_char(out, ' ');
        busi_buf_int(out, rates->rate[i].count);
        busi_buf_char(out, '/');
        print_measure_duration(out, rates->rate[i].window_ms);
    }
}

static const struct busi_setting_type types[] = {
    [BUSI_SETTING_TEXT] = {"UTF-8 text without control characters", false, parse_text, measure_text,
                           "its length in bytes, ", print_measure_count, print_text},
    [BUSI_SETTING_PATH] = {"a path without control characters", false, parse_text, measure_text,
                           "its length in bytes, ", print_measure_count, print_text},
    [BUSI_SETTING_SECRET] = {"free of NUL bytes", true, parse_secret, measure_text, "its length in bytes, ",
                             print_measure_count, print_secret},
    [BUSI_SETTING_COUNT] = {"a whole number", false, parse_count, measure_number, "", print_measure_count,
                            print_count},
    [BUSI_SETTING_MS] = {"a duration with its unit, like 250ms, 5s, 2m, 1h or 28d", false, parse_duration,
                         measure_number, "", print_measure_duration, print_duration},
    [BUSI_SETTING_BYTES] = {"a size in bytes, like 512, 64K or 1M", false, parse_size, measure_number, "",
                            print_measure_size, print_size},
    [BUSI_SETTING_FLAG] = {"true or false", false, parse_flag, NULL, "", NULL, print_flag},
    [BUSI_SETTING_RATES] = {"'off' or up to 4 rates of 1 to 1000000 in 1s to 1d, like 3/10s or 5/10m 10/15m",
                            false, parse_rates, NULL, "", NULL, print_rates},
};

const struct busi_setting_type *busi_setting_type(enum busi_setting_kind kind)
{
    assert(kind < sizeof(types) / sizeof(types)[0]);
    return &types[kind];
}
