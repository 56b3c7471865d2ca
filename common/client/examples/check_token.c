/* Whose token is it?
 *
 *     cc -std=gnu2x check_token.c $(pkg-config --cflags --libs busi) -o check_token
 *     echo "$TOKEN" | ./check_token auth.internal:5001 auth-svc.pub billing.key
 */
#include <busi.h>
#include <stdio.h>
#include <string.h>

static int check(struct busi_client *client, const char *token)
{
    struct busi_call call;
    struct busi_principal who = {0};
    const struct busi_check_token_request request = {.token = busi_str_of(token)};
    busi_call_init(&call, 1 << 20); /* memory for the answer, wiped at the end */
    call.until_ms = busi_now_ms() + 1000;
    call.request_id = BUSI_STR("example-1"); /* found again in the services' logs */
    enum busi_code code = busi_rpc_auth_check_token(busi_client_rpc(client), &call, &request, &who);
    if (code == BUSI_OK)
        printf("user %lld, %.*s, roles: %.*s\n", (long long)who.user_id, BUSI_ARG(who.email),
               BUSI_ARG(who.roles));
    else if (code == BUSI_UNAUTHENTICATED)
        printf("nobody's\n");
    else /* says nothing of the token: try again later */
        fprintf(stderr, "%s: %.*s\n", busi_code_name(code), BUSI_ARG(call.message));
    busi_call_fini(&call);
    return code == BUSI_OK ? 0 : code == BUSI_UNAUTHENTICATED ? 1 : 2;
}

int main(int argc, char **argv)
{
    char token[8192] = "", error[BUSI_CLIENT_ERROR];
    if (argc != 4 || !fgets(token, sizeof token, stdin)) {
        fprintf(stderr, "usage: echo TOKEN | check_token HOST:PORT SERVICE.pub OWN.key\n");
        return 2;
    }
    token[strcspn(token, "\n")] = '\0';
    struct busi_client *client = busi_client_open(
        &(struct busi_client_options){.auth = {argv[1], argv[2]}, .key_file = argv[3]}, error);
    if (!client) {
        fprintf(stderr, "%s\n", error);
        return 2;
    }
    int result = 2;
    if (busi_client_wait(client, 3000))
        result = check(client, token);
    else
        fprintf(stderr, "no worker at %s lets us in\n", argv[1]);
    busi_client_close(&client);
    return result;
}
