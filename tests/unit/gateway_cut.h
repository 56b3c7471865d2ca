/* CivetWeb 1.15's way of cutting a request head in place, leniencies included: what the strict check is
 * given. */
#pragma once
#include "http/head_check.h"
#include <ctype.h>
#include <string.h>

struct cut_room {
    struct cut_head head;
    struct cut_header headers[HTTP_MAX_HEADERS];
};

/* Length of the head with the empty line; 0: not complete, -1: a control byte in it. */
static inline int cut_find_end(const char *bytes, int len)
{
    for (int i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c < 128 && c != '\r' && c != '\n' && !isprint(c))
            return -1;
        if (i < len - 1 && bytes[i] == '\n' && bytes[i + 1] == '\n')
            return i + 2;
        if (i < len - 3 && memcmp(bytes + i, "\r\n\r\n", 4) == 0)
            return i + 4;
    }
    return 0;
}

static inline bool cut_word(char **at, bool line_end)
{
    while (isgraph((unsigned char)**at))
        ++*at;
    if (line_end ? (**at != '\r' && **at != '\n') : **at != ' ')
        return false;
    do
        *(*at)++ = 0;
    while (isspace((unsigned char)**at));
    return line_end || isgraph((unsigned char)**at);
}

static inline bool cut_headers(char **at, struct cut_room *out)
{
    for (size_t i = 0; i < HTTP_MAX_HEADERS; i++) {
        char *p = *at;
        while (*p != ':' && *p >= 33 && *p <= 126)
            p++;
        if (p == *at)
            return true;
        while (*p == ' ')
            *p++ = 0;
        if (*p != ':')
            return false;
        *p = 0;
        out->headers[i].name = *at;
        do
            p++;
        while (*p == ' ' || *p == '\t');
        out->headers[i].value = p;
        while (*p && *p != '\r' && *p != '\n')
            p++;
        if (*p == '\r') {
            *p++ = 0;
            if (*p != '\n')
                return false;
        }
        out->head.n_headers = i + 1;
        if (!*p) {
            *at = p;
            return true;
        }
        *p++ = 0;
        *at = p;
        if (*p == '\r' || *p == '\n')
            return true;
    }
    return true;
}

/* Cuts bytes[0..len), which has a NUL behind it. False: CivetWeb itself would refuse (or wait for more). */
static inline bool cut(char *bytes, int len, struct cut_room *out)
{
    char *at = bytes;
    *out = (struct cut_room){.head = {.bytes = bytes, .headers = out->headers}};
    int received = cut_find_end(bytes, len); /* what the front takes for the head's length */
    while (len > 0 && isspace((unsigned char)*at)) {
        at++;
        len--;
    }
    int end = len > 0 ? cut_find_end(at, len) : 0;
    if (end <= 0 || received <= 0)
        return false;
    out->head.len = (size_t)received;
    at[end - 1] = 0;
    if (*at == 0 || *at == '\r' || *at == '\n')
        return false;
    out->head.method = at;
    if (!cut_word(&at, false))
        return false;
    out->head.target = at;
    if (!cut_word(&at, false))
        return false;
    out->head.version = at;
    if (!cut_word(&at, true) || strncmp(out->head.version, "HTTP/", 5) != 0)
        return false;
    out->head.version += 5;
    if (!cut_headers(&at, out) ||
        (strcmp(out->head.version, "1.0") != 0 && strcmp(out->head.version, "1.1") != 0))
        return false;
    char *question = strchr(out->head.target, '?');
    if (question) {
        *question = 0;
        out->head.query = question + 1;
    }
    return true;
}
