#include "core/username.h"
#include "core/email.h"
#include <unicode/uchar.h>
#include <unicode/unorm2.h>
#include <unicode/uspoof.h>
#include <unicode/ustring.h>

/* Room for the longest name in decomposed form; what takes more is none. Stacks are small here. */
enum { TYPED_MOST_BYTES = 8 * AUTH_USERNAME_MOST, UNITS_MOST = TYPED_MOST_BYTES, UNITS_OF_CHARACTER = 8 };

/* A name in UTF-16, as ICU reads it. */
struct units {
    UChar text[UNITS_MOST];
    int32_t len;
};

static bool is_alphanumeric(char c)
{
    return (busi_lower(c) >= 'a' && busi_lower(c) <= 'z') || (c >= '0' && c <= '9');
}

/* Of the ASCII characters only these, whatever others stand beside them. */
static bool is_ascii_fine(struct busi_str name)
{
    bool alphanumeric = false;
    for (size_t i = 0; i < name.len; i++) {
        bool ascii = (name.ptr[i] & 0x80) == 0;
        alphanumeric |= !ascii || is_alphanumeric(name.ptr[i]);
        if (ascii && !is_alphanumeric(name.ptr[i]) && (!name.ptr[i] || !strchr("._-", name.ptr[i])))
            return false;
    }
    return alphanumeric && name.ptr[0] != '.' && name.ptr[name.len - 1] != '.';
}

static bool is_ascii(struct busi_str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] & 0x80)
            return false;
    return true;
}

/* ---- names of other scripts ---- */

static bool read_units(struct busi_str typed, struct units *out)
{
    UErrorCode error = U_ZERO_ERROR;
    u_strFromUTF8(out->text, UNITS_MOST, &out->len, typed.ptr, (int32_t)typed.len, &error);
    return U_SUCCESS(error);
}

static bool compose(const struct units *in, struct units *out)
{
    UErrorCode error = U_ZERO_ERROR;
    const UNormalizer2 *nfc = unorm2_getNFCInstance(&error);
    out->len = unorm2_normalize(nfc, in->text, in->len, out->text, UNITS_MOST, &error);
    return U_SUCCESS(error);
}

/* A second code for a character: composing would make a plain K of the sign for kelvin. */
static bool is_double(UChar32 c)
{
    UChar other[UNITS_OF_CHARACTER];
    UErrorCode error = U_ZERO_ERROR;
    const UNormalizer2 *nfc = unorm2_getNFCInstance(&error);
    int32_t len = unorm2_getRawDecomposition(nfc, c, other, UNITS_OF_CHARACTER, &error);
    return U_FAILURE(error) || (len > 0 && u_countChar32(other, len) == 1);
}

/* Beyond ASCII only letters and what is written above or below them. No other digits: some look like letters.
 */
static bool has_letters_only(const struct units *name)
{
    for (int32_t i = 0; i < name->len;) {
        UChar32 c;
        U16_NEXT(name->text, i, name->len, c);
        if (c >= 0x80 && (!(U_MASK(u_charType(c)) & (U_GC_L_MASK | U_GC_M_MASK)) || is_double(c)))
            return false;
    }
    return true;
}

/* What Unicode's security mechanisms (UTS 39) say: recommended characters, one script (or those that
 * Japanese, Korean and Chinese write together), nothing invisible, no dot on an i that has one. */
static bool passes_checks(const USpoofChecker *checker, const struct units *name)
{
    UErrorCode error = U_ZERO_ERROR;
    int32_t failed = uspoof_check2(checker, name->text, name->len, NULL, &error);
    return U_SUCCESS(error) && failed == 0;
}

/* It would look like an ASCII name, which is another. */
static bool looks_ascii(const USpoofChecker *checker, const struct units *name)
{
    struct units skeleton;
    UErrorCode error = U_ZERO_ERROR;
    skeleton.len = uspoof_getSkeleton(checker, 0, name->text, name->len, skeleton.text, UNITS_MOST, &error);
    if (U_FAILURE(error))
        return true;
    for (int32_t i = 0; i < skeleton.len; i++)
        if (skeleton.text[i] >= 0x80)
            return false;
    return true;
}

static bool is_unambiguous(const struct units *name)
{
    UErrorCode error = U_ZERO_ERROR;
    USpoofChecker *checker = uspoof_open(&error);
    uspoof_setChecks(checker,
                     USPOOF_RESTRICTION_LEVEL | USPOOF_INVISIBLE | USPOOF_HIDDEN_OVERLAY | USPOOF_CHAR_LIMIT,
                     &error);
    uspoof_setRestrictionLevel(checker, USPOOF_SINGLE_SCRIPT_RESTRICTIVE);
    uspoof_setAllowedChars(checker, uspoof_getRecommendedSet(&error), &error);
    bool fine = U_SUCCESS(error) && passes_checks(checker, name) && !looks_ascii(checker, name);
    uspoof_close(checker);
    return fine;
}

/* Character by character and by no locale's rules: nothing becomes two letters, and none of another alphabet.
 */
static bool fold(const struct units *in, struct units *out)
{
    out->len = 0;
    for (int32_t i = 0; i < in->len;) {
        UChar32 c;
        U16_NEXT(in->text, i, in->len, c);
        c = u_foldCase(c, U_FOLD_CASE_DEFAULT);
        if (out->len + 2 > UNITS_MOST)
            return false;
        U16_APPEND_UNSAFE(out->text, out->len, c);
    }
    return true;
}

static struct busi_str write_units(struct busi_arena *arena, const struct units *name)
{
    UErrorCode error = U_ZERO_ERROR;
    int32_t len = 0;
    char *text = busi_arena_alloc(arena, (size_t)(3 * name->len) + 1);
    if (text)
        u_strToUTF8(text, 3 * name->len, &len, name->text, name->len, &error);
    return text && U_SUCCESS(error) ? (struct busi_str){text, (size_t)len} : (struct busi_str){0};
}

static bool read_unicode(struct busi_arena *arena, struct busi_str typed, struct auth_username *out)
{
    struct units name, other;
    if (!read_units(typed, &name) || !has_letters_only(&name) || !compose(&name, &other) ||
        !is_unambiguous(&other))
        return false;
    out->text = write_units(arena, &other);
    if (!fold(&other, &name) || !compose(&name, &other))
        return false;
    out->key = write_units(arena, &other);
    return out->text.ptr && out->key.ptr;
}

/* ---- any name ---- */

bool auth_username_prepare(void)
{
    struct busi_arena arena;
    struct auth_username name;
    busi_arena_init(&arena, 4096);
    bool fine = auth_username_read(&arena, BUSI_STR("J\xc3\xbcrgen"), &name) &&
                busi_str_eq(name.key, BUSI_STR("j\xc3\xbcrgen"));
    busi_arena_fini(&arena);
    return fine;
}

bool auth_username_read(struct busi_arena *arena, struct busi_str typed, struct auth_username *out)
{
    *out = (struct auth_username){0};
    if (!typed.ptr || typed.len == 0 || typed.len > TYPED_MOST_BYTES || !is_ascii_fine(typed))
        return false;
    if (!is_ascii(typed))
        return read_unicode(arena, typed, out);
    out->text = busi_arena_dup(arena, typed);
    out->key = auth_name_key(arena, typed);
    return out->text.ptr && out->key.ptr;
}

bool auth_username_reserved(struct busi_str key)
{
    static const struct busi_str names[] = {
#define RESERVED(name) {name, sizeof(name) - 1},
#include "core/reserved_names.def"
#undef RESERVED
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (busi_str_eq(key, names[i]))
            return true;
    return false;
}
