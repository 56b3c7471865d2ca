/* Any bytes as a request head, cut as CivetWeb cuts them. What is accepted must be the strict reading of the
 * raw bytes. */
#include "../unit/gateway_cut.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *expect_bytes(const char *at, const char *end, struct busi_str want)
{
    if ((size_t)(end - at) < want.len || memcmp(at, want.ptr, want.len) != 0)
        abort();
    return at + want.len;
}

static const char *skip_spaces(const char *at, const char *end)
{
    while (at < end && *at == ' ')
        at++;
    return at;
}

/* Writes the request down again and compares it with what was sent. */
static void compare(const struct http_request *request, const char *raw, const char *end)
{
    const char *at = memchr(raw, ' ', (size_t)(end - raw));
    if (!at)
        abort();
    at = expect_bytes(at + 1, end, request->path);
    if (request->query.ptr) {
        at = expect_bytes(at, end, BUSI_STR("?"));
        at = expect_bytes(at, end, request->query);
    }
    at = expect_bytes(at, end, BUSI_STR(" HTTP/1."));
    at += 1;
    /* the two bytes CivetWeb overwrites without looking which white space they were */
    if (end - at < 2 || !strchr("\r\n", at[0]) || !strchr("\r\n ", at[1]))
        abort();
    at += 2;
    for (size_t i = 0; i < request->n_headers; i++) {
        at = expect_bytes(at, end, request->headers[i].name);
        at = skip_spaces(expect_bytes(at, end, BUSI_STR(":")), end);
        at = skip_spaces(expect_bytes(at, end, request->headers[i].value), end);
        at = expect_bytes(at, end, BUSI_STR("\r\n"));
    }
    if (expect_bytes(at, end, BUSI_STR("\r\n")) != end)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct cut_room room;
    static struct http_request request;
    struct head_facts facts = {0};
    if (size > 8192)
        return 0;
    char *bytes = malloc(size + 1);
    if (!bytes)
        return 0;
    if (size > 0)
        memcpy(bytes, data, size);
    bytes[size] = 0;
    if (cut(bytes, (int)size, &room) && head_check(&room.head, &request, &facts).status == 200)
        compare(&request, (const char *)data, (const char *)data + room.head.len);
    free(bytes);
    return 0;
}
