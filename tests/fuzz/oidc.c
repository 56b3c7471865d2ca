/* What comes back from an OpenID provider and from a browser that was there: ID tokens, cookies, settings.
 * The first byte chooses. */
#include "crypto/secret.h"
#include "oidc/rules.h"
#include "oidc/state.h"
#include "oidc/token.h"
#include <stdlib.h>

/* RFC 7515, appendix A.3: a key of P-256. */
static const char keys[] =
    "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_token(struct busi_arena *arena, struct busi_str text, struct busi_str jwks)
{
    struct auth_oidc_identity identity;
    const char *why;
    const struct auth_oidc_expected expected = {BUSI_STR("https://id"), BUSI_STR("busi"), BUSI_STR("n"),
                                                1800000000};
    if (auth_oidc_token_read(arena, text, jwks, &expected, &identity, &why) == AUTH_OIDC_GOOD)
        abort(); /* nobody has the key */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct busi_arena arena;
    struct auth_oidc_state state;
    struct auth_oidc_identity identity;
    struct auth_oidc_rules rules;
    struct busi_str culprit;
    if (size < 1 || !busi_crypto_init())
        return 0;
    const struct busi_str text = {(const char *)data + 1, size - 1};
    busi_arena_init(&arena, 1 << 22);
    switch (data[0] % 5) {
    case 0:
        read_token(&arena, text, BUSI_STR(keys));
        break;
    case 1:
        read_token(&arena, BUSI_STR("eyJhbGciOiJFUzI1NiJ9.e30.AAAA"), text);
        break;
    case 2:
        if (auth_oidc_state_read(&arena, BUSI_STR("0123456789abcdef0123456789abcdef"), BUSI_STR("corp"), text,
                                 BUSI_STR("0123456789012345678901234567890123456789012"), 1800000000, &state))
            abort();
        break;
    case 3:
        if (auth_oidc_user_info_read(&arena, text, &identity) && identity.subject.len == 0)
            abort();
        break;
    default:
        if (!auth_oidc_rules_read(&rules, text, text, &culprit) && rules.n > AUTH_OIDC_PROVIDERS_MOST)
            abort();
    }
    busi_arena_fini(&arena);
    return 0;
}
