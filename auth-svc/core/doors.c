#include "core/doors.h"

/* Clocks of two replicas may differ so much that a token of the one seems not to have begun to the other. */
enum { EARLY_S = 60 };

/* Up, so that a short lifetime never becomes 0, which is for ever. */
static int64_t seconds(int64_t ms)
{
    return (ms + 999) / 1000;
}

/* ---- what the words of a row say of the door ---- */

#define OF(setting_) settings->setting_
#define TEXT(literal_) BUSI_STR(literal_)
#define NONE ((struct busi_str){0})
#define JWT(algorithm_, keys_, issuer_, audience_, late_ms_, ...)                                            \
    .format = AUTH_TOKENS_JWT, .jwt = {.setting = #keys_,                                                    \
                                       .lines = settings->keys_,                                             \
                                       .pattern = {.algorithm = BUSI_JWT_##algorithm_,                       \
                                                   .issuer = issuer_,                                        \
                                                   .audience = audience_,                                    \
                                                   .early_s = EARLY_S,                                       \
                                                   .late_s = seconds(late_ms_)},                             \
                                       __VA_ARGS__}
#define CLAIMS(subject_, id_, begins_s_, kind_)                                                              \
    .subject = AUTH_SUBJECT_##subject_, .id = AUTH_TOKEN_ID_##id_, .begins_s = (begins_s_),                  \
    .kind = AUTH_KIND_##kind_
#define OPAQUE(access_ms_, session_ms_)                                                                      \
    .format = AUTH_TOKENS_OPAQUE, .access_s = seconds(settings->access_ms_),                                 \
    .session_s = seconds(settings->session_ms_)
#define SIGN_UP(password_, email_, asks_, mail_, role_)                                                      \
    .least_password = (password_), .least_email = (email_), .asks = AUTH_ASKS_##asks_,                       \
    .new_mail = AUTH_NEW_##mail_, .new_role = BUSI_STR(role_)
#define SIGN_IN(logins_) .logins = AUTH_LOGIN_##logins_

/* ---- keys ---- */

/* What may be missing from its tokens. */
static unsigned without(const struct auth_door *door)
{
    return (door->jwt.id == AUTH_TOKEN_ID_NONE ? BUSI_JWT_NO_JTI : 0U) |
           (door->jwt.subject == AUTH_SUBJECT_NAME ? BUSI_JWT_NO_SUB : 0U) |
           (door->jwt.kind == AUTH_KIND_typ ? 0U : BUSI_JWT_NO_TYP);
}

static void open_ring(struct auth_door *door, const struct auth_door *first)
{
    int line;
    if (door->jwt.lines.len > 0 || door == first)
        (void)auth_key_ring_read(&door->jwt.ring, &door->jwt.pattern, door->jwt.lines, &line);
    else
        auth_key_ring_derive(&door->jwt.ring, &door->jwt.pattern, &first->jwt.ring, door->name);
}

static void open_door(struct auth_door *door, const struct auth_door *first)
{
    if (door->format != AUTH_TOKENS_JWT)
        return;
    door->jwt.pattern.without = without(door);
    open_ring(door, first);
}

/* Sessions begin with a token of the profile that has the door's name. */
static void live(struct auth_door *door, const struct auth_profile *profile)
{
    if (profile->lifetime_s + door->jwt.pattern.late_s > door->longest_s)
        door->longest_s = profile->lifetime_s + door->jwt.pattern.late_s;
    if (strcmp(profile->name, door->name) != 0)
        return;
    door->profile = profile;
    door->access_s = profile->lifetime_s;
    door->session_s = profile->lifetime_s + door->jwt.pattern.late_s;
}

void auth_doors_init(struct auth_door doors[AUTH_DOORS], struct auth_profile profiles[AUTH_PROFILES],
                     const struct busi_settings *settings)
{
#define PROFILE(...)
#define DOOR(row, ...) doors[AUTH_DOOR_##row] = (struct auth_door){.name = #row, __VA_ARGS__};
#include "core/doors.def"
#undef DOOR
#undef PROFILE
#define DOOR(...)
#define PROFILE(row, door_, use_, lifetime_ms_, says_, renewal_)                                             \
    profiles[AUTH_PROFILE_##row] = (struct auth_profile){.name = #row,                                       \
                                                         .door = &doors[AUTH_DOOR_##door_],                  \
                                                         .use = AUTH_TOKEN_##use_,                           \
                                                         .lifetime_s = seconds(settings->lifetime_ms_),      \
                                                         .says = BUSI_STR(says_),                            \
                                                         .renewal = AUTH_RENEWAL_##renewal_};
#include "core/doors.def"
#undef PROFILE
#undef DOOR
    for (size_t i = 0; i < AUTH_DOORS; i++)
        open_door(&doors[i], &doors[AUTH_DOOR_busi]);
    for (size_t i = 0; i < AUTH_PROFILES; i++)
        live(&doors[profiles[i].door - doors], &profiles[i]);
}

/* A setting's name as its environment variable, and a fault of line (0: of all). */
static bool say(struct busi_buf *errors, const struct auth_door *door, int line, const char *fault)
{
    busi_buf_str(errors, BUSI_STR("BUSI_"));
    for (const char *c = door->jwt.setting; *c; c++)
        busi_buf_char(errors, *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c);
    if (line > 0)
        busi_buf_printf(errors, ": line %d", line);
    else
        busi_buf_char(errors, ':');
    busi_buf_printf(errors, " %s; make a key with 'auth-svc gen-secret'\n", fault);
    return false;
}

static bool check_ring(const struct auth_door *door, struct busi_buf *errors)
{
    struct auth_key_ring ring;
    int line;
    const char *fault = auth_key_ring_read(&ring, &door->jwt.pattern, door->jwt.lines, &line);
    if (fault)
        return say(errors, door, line, fault);
    return ring.n > 0 || door->jwt.lines.len == 0 || say(errors, door, 0, "has no key");
}

/* A token says through its key which door it is of. */
static bool check_shared(const struct auth_door doors[AUTH_DOORS], size_t at, struct busi_buf *errors)
{
    for (size_t i = 0; i < at; i++)
        if (auth_key_rings_share(&doors[at].jwt.ring, &doors[i].jwt.ring))
            return say(errors, &doors[at], 0, "has a key that another door has, too");
    return true;
}

bool auth_doors_check(const struct busi_settings *settings, struct busi_buf *errors)
{
    struct auth_door doors[AUTH_DOORS];
    struct auth_profile profiles[AUTH_PROFILES];
    auth_doors_init(doors, profiles, settings);
    bool fine = doors[AUTH_DOOR_busi].jwt.lines.len > 0 ||
                say(errors, &doors[AUTH_DOOR_busi], 0, "is not set; it must have at least 64 bytes");
    for (size_t i = 0; i < AUTH_DOORS; i++)
        if (doors[i].format == AUTH_TOKENS_JWT)
            fine &= check_ring(&doors[i], errors) && check_shared(doors, i, errors);
    return fine;
}

/* ---- finding ---- */

const struct auth_door *auth_door_find(const struct auth_door doors[AUTH_DOORS], struct busi_str name)
{
    for (size_t i = 0; i < AUTH_DOORS; i++)
        if (busi_str_eq(name, busi_str_of(doors[i].name)))
            return &doors[i];
    return NULL;
}

const struct auth_profile *auth_profile_find(const struct auth_profile profiles[AUTH_PROFILES],
                                             struct busi_str name)
{
    for (size_t i = 0; i < AUTH_PROFILES; i++)
        if (busi_str_eq(name, busi_str_of(profiles[i].name)))
            return &profiles[i];
    return NULL;
}

const struct auth_profile *auth_profile_of(const struct auth_profile profiles[AUTH_PROFILES],
                                           const struct auth_door *door, struct busi_str says)
{
    for (size_t i = 0; i < AUTH_PROFILES; i++)
        if (profiles[i].door == door && busi_str_eq(profiles[i].says, says))
            return &profiles[i];
    return NULL;
}
