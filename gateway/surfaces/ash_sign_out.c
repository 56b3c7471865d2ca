/* The way out of the ash surface. */
#include "core/credential.h"
#include "core/gateway.h"
#include "surfaces/ash_outcome.h"

/* The session of the request's token ends. A token that is forged, or of a session that has ended, ends
 * nothing and is answered alike; of two tokens none is ended, which is not told as if it were. */
void on_ash_site_sign_out(struct exchange *x)
{
    const struct ash_activity activity = {.phase = BUSI_STR("sign_out")};
    struct busi_check_token_request request = {0};
    struct busi_empty nothing = {0};
    enum busi_code code = BUSI_OK;
    if (!ash_begin_by_link(x, &activity, (struct busi_str){0}))
        return;
    enum credential_verdict found = credential_find(x, x->surface->token_header, &request.token);
    if (found == CREDENTIAL_TWICE) {
        exchange_error(x, 400);
        return;
    }
    if (found == CREDENTIAL_FOUND)
        code = busi_rpc_auth_sign_out(x->gateway->rpc, &x->request->call, &request, &nothing);
    if (code == BUSI_OK || exchange_is_verdict(code))
        ash_answer(x, &activity, &(struct ash_outcome){.result = ASH_SIGNED_OUT});
    else
        exchange_fail(x, code);
}
