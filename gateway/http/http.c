#include "http/http.h"
#include <assert.h>

const char *http_method_name(enum http_method method)
{
    static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if ((unsigned)method == 1u << i)
            return names[i];
    return "none"; /* refused before the request line was understood */
}

struct busi_str http_methods_text(struct busi_arena *arena, unsigned methods)
{
    struct busi_str text = BUSI_STR("");
    for (unsigned method = HTTP_GET; method <= HTTP_OPTIONS; method <<= 1)
        if (methods & method)
            text = busi_arena_printf(arena, "%.*s%s%s", BUSI_ARG(text), text.len ? ", " : "",
                                     http_method_name((enum http_method)method));
    return text;
}

const struct http_header *http_find_header(const struct http_request *request, struct busi_str name)
{
    for (size_t i = 0; i < request->n_headers; i++)
        if (busi_str_ieq(request->headers[i].name, name))
            return &request->headers[i];
    return NULL;
}

size_t http_count_header(const struct http_request *request, struct busi_str name)
{
    size_t n = 0;
    for (size_t i = 0; i < request->n_headers; i++)
        n += busi_str_ieq(request->headers[i].name, name);
    return n;
}

/* A header with a line break would be two: leave it out rather than trust everyone who makes a value. */
static bool is_one_line(struct busi_str value)
{
    for (size_t i = 0; i < value.len; i++)
        if ((unsigned char)value.ptr[i] < 0x20 || value.ptr[i] == 0x7F)
            return false;
    return true;
}

void http_add_header(struct http_response *response, const char *name, struct busi_str value)
{
    const size_t most = sizeof(response->headers) / sizeof(response->headers[0]);
    assert(response->n_headers < most);
    if (!value.ptr) /* there was no memory for it, and the answer is nothing without it */
        response->body.failed = true;
    if (!value.ptr || response->n_headers >= most || !is_one_line(value))
        return;
    response->headers[response->n_headers++] = (struct http_header){busi_str_of(name), value};
}
