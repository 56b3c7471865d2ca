/* An account as its row says, and how it is found. */
#pragma once
#include "core/auth.h"

struct auth_account {
    int64_t id;               /* 0: there is none */
    struct busi_str email;    /* as typed at sign-up */
    struct busi_str username; /* as typed but for its Unicode form, or absent */
    struct busi_str code;     /* its short name on the accesspass surface, 6 characters a-z and 1-9 */
    struct busi_str meta;     /* a JSON object, as given at sign-up */
    struct busi_str hash;     /* of the password; absent: signs in by other means */
    int64_t epoch;            /* counts what ends all sessions: a change of password, a ban */
    bool confirmed;           /* the e-mail address was */
    bool blocked;
    struct busi_str roles; /* base/roles.h */
    int64_t roles_version; /* counts the changes of the roles */
};

/* Of ACCOUNT; what a statement selects besides stands behind them. */
enum { AUTH_ACCOUNT_COLUMNS = 11 };

/* Row 0 of a result with the columns of statements.def's ACCOUNT; texts are copied to the arena. id 0 without
 * a row. False: out of memory. */
[[nodiscard]] bool auth_account_read(struct busi_arena *arena, const struct busi_pg_result *result,
                                     struct auth_account *account);
/* By one of the FIND statements. */
[[nodiscard]] enum busi_code auth_account_find(struct auth *self, struct busi_call *call,
                                               enum auth_statement statement, struct busi_str key,
                                               struct auth_account *account);
[[nodiscard]] enum busi_code auth_account_find_by_id(struct auth *self, struct busi_call *call, int64_t id,
                                                     struct auth_account *account);
/* By one of its secrets, while that is good; id 0 also when the account is blocked. hash:
 * auth_one_time_hash()'s. */
[[nodiscard]] enum busi_code auth_account_find_by_secret(struct auth *self, struct busi_call *call,
                                                         enum auth_one_time_kind kind, struct busi_str hash,
                                                         struct auth_account *account);

/* What an account is found by; each may be absent. */
struct auth_account_keys {
    struct busi_str email, username;
};
/* By CREATE_USER or CREATE_MANAGED_USER. INVALID_ARGUMENT with a violation for each name that is taken. */
[[nodiscard]] enum busi_code auth_account_insert(struct auth *self, struct busi_call *call,
                                                 enum auth_statement statement, const struct busi_str *params,
                                                 const struct auth_account_keys *keys,
                                                 struct auth_account *account);
/* That answer: another account than user_id (0: any) has a name, and the constraint says which of two. */
[[nodiscard]] enum busi_code auth_account_refuse_taken(struct auth *self, struct busi_call *call,
                                                       const struct auth_account_keys *keys, int64_t user_id,
                                                       const char *constraint);

/* A name somebody typed: what has an '@' is an e-mail, for no user name has one. Just one of the keys is
 * set; "" if the name can be nobody's. */
struct auth_name_keys {
    struct busi_str email;    /* or absent */
    struct busi_str username; /* or absent */
};
/* False: out of memory. */
[[nodiscard]] bool auth_name_keys(struct busi_arena *arena, struct busi_str name,
                                  struct auth_name_keys *keys);
/* What all spellings of a name that find one account have in common; names that find none keep apart. ptr
 * NULL: out of memory. */
[[nodiscard]] struct busi_str auth_name_fold(struct busi_arena *arena, struct busi_str name);
