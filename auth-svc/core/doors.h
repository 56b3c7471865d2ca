/* The rows of doors.def, with the settings they name. */
#pragma once
#include "base/buf.h"
#include "core/key_ring.h"
#include "service/settings.h"

enum {
#define DOOR(name, ...) AUTH_DOOR_##name,
#define PROFILE(...)
#include "core/doors.def"
#undef PROFILE
#undef DOOR
    AUTH_DOORS
};
enum {
#define DOOR(...)
#define PROFILE(name, ...) AUTH_PROFILE_##name,
#include "core/doors.def"
#undef PROFILE
#undef DOOR
    AUTH_PROFILES
};

enum auth_token_format { AUTH_TOKENS_JWT, AUTH_TOKENS_OPAQUE };
enum auth_token_use { AUTH_TOKEN_ACCESS = 1, AUTH_TOKEN_REFRESH = 2 };
enum auth_subject { AUTH_SUBJECT_ID, AUTH_SUBJECT_USER_QUERY, AUTH_SUBJECT_NAME };
enum auth_token_id { AUTH_TOKEN_ID_UUID, AUTH_TOKEN_ID_BASE32, AUTH_TOKEN_ID_NONE };
enum auth_kind_claim { AUTH_KIND_typ, AUTH_KIND_purpose, AUTH_KIND_none };
enum auth_renewal { AUTH_RENEWAL_REPLACES, AUTH_RENEWAL_KEEPS };
enum auth_logins { AUTH_LOGIN_EMAIL, AUTH_LOGIN_EMAIL_OR_USERNAME };
enum auth_asks { AUTH_ASKS_NOTHING, AUTH_ASKS_USERNAME, AUTH_ASKS_CONFIRMATION, AUTH_ASKS_BOTH }; /* bits */
enum auth_new_mail { AUTH_NEW_GREETING, AUTH_NEW_CONFIRMATION };

struct auth_profile;

struct auth_door {
    const char *name;                   /* "busi" */
    enum auth_token_format format;      /* what it hands out */
    const struct auth_profile *profile; /* of a session's first JWT; NULL: it hands out none */
    struct {                            /* of its JWTs */
        const char *setting;            /* that has the keys, as in proto/settings.def */
        struct busi_str lines;          /* its value */
        struct busi_jwt_key pattern;    /* all of a key but secret and header */
        struct auth_key_ring ring;
        enum auth_subject subject;
        enum auth_token_id id;
        int64_t begins_s; /* nbf before iat */
        enum auth_kind_claim kind;
    } jwt;
    int64_t access_s;            /* lifetime of its access tokens, in seconds */
    int64_t session_s;           /* of its sessions; 0: until somebody ends them */
    int64_t longest_s;           /* from now: no session with JWTs ends later, however often it is renewed */
    size_t least_password;       /* characters of a new password */
    enum auth_logins logins;     /* what names an account at sign-in */
    enum auth_asks asks;         /* of a sign-up, besides e-mail and password */
    size_t least_email;          /* characters that clients know a text for; 0: none */
    enum auth_new_mail new_mail; /* to a new account */
    struct busi_str new_role;    /* of a new account; "": none */
};

struct auth_profile {
    const char *name;             /* "guardian_refresh" */
    const struct auth_door *door; /* whose tokens they are */
    enum auth_token_use use;
    int64_t lifetime_s;
    struct busi_str says;      /* in the door's claim for the kind; "": it has none */
    enum auth_renewal renewal; /* of one of its tokens */
};

/* Both stay where they are: they point to each other. Keys that auth_doors_check() refuses are none. */
void auth_doors_init(struct auth_door doors[AUTH_DOORS], struct auth_profile profiles[AUTH_PROFILES],
                     const struct busi_settings *settings);
/* A line to errors for each setting that gives no good keys; false when there is any. */
bool auth_doors_check(const struct busi_settings *settings, struct busi_buf *errors);
/* NULL: there is no such door. */
const struct auth_door *auth_door_find(const struct auth_door doors[AUTH_DOORS], struct busi_str name);
/* NULL: there is no such profile. */
const struct auth_profile *auth_profile_find(const struct auth_profile profiles[AUTH_PROFILES],
                                             struct busi_str name);
/* What a JWT of this door is whose claim for the kind says so; NULL: nothing of ours. */
const struct auth_profile *auth_profile_of(const struct auth_profile profiles[AUTH_PROFILES],
                                           const struct auth_door *door, struct busi_str says);
