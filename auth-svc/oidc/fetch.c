#include "oidc/fetch.h"
#include "base/address.h"
#include "base/clock.h"
#include "web/options.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { BODY_MOST = 64 * 1024, CONNECT_MOST_MS = 3000 };

/* What is no host of the Internet: RFC 6890 and the registries it made, and IPv4 addresses in IPv6 clothes.
 */
static const char *const not_public[] = {
    "0.0.0.0/8",     "10.0.0.0/8",      "100.64.0.0/10",  "127.0.0.0/8",    "169.254.0.0/16",
    "172.16.0.0/12", "192.0.0.0/24",    "192.0.2.0/24",   "192.88.99.0/24", "192.168.0.0/16",
    "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3",    "::/96",
    "64:ff9b::/96",  "64:ff9b:1::/48",  "100::/64",       "2001::/23",      "2001:db8::/32",
    "2002::/16",     "fc00::/7",        "fe80::/10",      "fec0::/10",      "ff00::/8",
};

bool auth_oidc_web_begin(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK; /* is counted */
}

void auth_oidc_web_end(void)
{
    curl_global_cleanup();
}

static bool read_address(const struct sockaddr *from, struct busi_address *address)
{
    char text[BUSI_ADDRESS_TEXT];
    const void *bytes = from->sa_family == AF_INET
                            ? (const void *)&((const struct sockaddr_in *)(const void *)from)->sin_addr
                            : (const void *)&((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;
    return (from->sa_family == AF_INET || from->sa_family == AF_INET6) &&
           inet_ntop(from->sa_family, bytes, text, sizeof(text)) &&
           busi_address_read(busi_str_of(text), address);
}

bool auth_oidc_address_public(const struct sockaddr *from)
{
    struct busi_address address;
    struct busi_network network;
    if (!read_address(from, &address))
        return false;
    for (size_t i = 0; i < sizeof(not_public) / sizeof(not_public[0]); i++)
        if (!busi_network_read(busi_str_of(not_public[i]), &network) || busi_network_has(&network, &address))
            return false;
    return true;
}

/* ---- what libcurl calls ---- */

/* After the name was resolved: what the name is says nothing of where it leads. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    const struct auth_oidc_web *web = arg;
    if (purpose != CURLSOCKTYPE_IPCXN || (!web->anywhere && !auth_oidc_address_public(&address->addr)))
        return CURL_SOCKET_BAD;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t keep(char *bytes, size_t size, size_t n, void *arg)
{
    struct busi_buf *body = arg;
    busi_buf_add(body, bytes, size * n);
    return body->failed ? 0 : size * n;
}

/* ---- a request ---- */

static bool set_bounds(CURL *curl, const struct auth_oidc_web *web, int64_t left_ms)
{
    int64_t connect_ms = left_ms < CONNECT_MOST_MS ? left_ms : CONNECT_MOST_MS;
    return busi_web_begin(curl, web->anywhere ? "https,http" : "https") &&
           busi_web_number(curl, CURLOPT_TIMEOUT_MS, (long)left_ms) &&
           busi_web_number(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms) &&
           busi_web_number(curl, CURLOPT_FOLLOWLOCATION, 0) &&
           curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, web) == CURLE_OK &&
           busi_web_text(curl, CURLOPT_CAINFO, web->ca_file.len ? web->ca_file : (struct busi_str){0});
}

static bool set_request(CURL *curl, const struct auth_oidc_request *request)
{
    bool fine = busi_web_text(curl, CURLOPT_URL, request->url);
    if (request->form.ptr)
        fine = fine && busi_web_number(curl, CURLOPT_POSTFIELDSIZE, (long)request->form.len) &&
               curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->form.ptr) == CURLE_OK;
    if (request->user.ptr)
        fine = fine && busi_web_number(curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC) &&
               busi_web_text(curl, CURLOPT_USERNAME, request->user) &&
               busi_web_text(curl, CURLOPT_PASSWORD, request->password);
    if (request->bearer.ptr)
        fine = fine && busi_web_number(curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER) &&
               busi_web_text(curl, CURLOPT_XOAUTH2_BEARER, request->bearer);
    return fine;
}

static CURLcode perform(CURL *curl, struct curl_slist *headers, struct auth_oidc_answer *answer, char *words)
{
    long status = 0;
    if (curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, keep) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer->body) != CURLE_OK ||
        curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, words) != CURLE_OK)
        return CURLE_OUT_OF_MEMORY;
    CURLcode result = curl_easy_perform(curl);
    if (result == CURLE_OK && curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK)
        answer->status = (int)status;
    return result;
}

void auth_oidc_fetch(const struct auth_oidc_web *web, const struct auth_oidc_request *request,
                     struct auth_oidc_answer *answer)
{
    char words[CURL_ERROR_SIZE] = "";
    const char *fault = "out of memory";
    int64_t left_ms = request->until_ms - busi_now_ms();
    *answer = (struct auth_oidc_answer){0};
    busi_buf_init(&answer->body, BODY_MOST);
    CURL *curl = left_ms > 0 ? curl_easy_init() : NULL;
    struct curl_slist *headers = curl_slist_append(NULL, "Accept: application/json");
    if (left_ms <= 0)
        fault = "no time is left";
    else if (curl && headers && set_bounds(curl, web, left_ms) && set_request(curl, request)) {
        CURLcode result = perform(curl, headers, answer, words);
        fault = result == CURLE_OK ? "" : words[0] ? words : curl_easy_strerror(result);
    }
    snprintf(answer->fault, sizeof(answer->fault), "%.150s", fault);
    curl_slist_free_all(headers);
    if (curl)
        curl_easy_cleanup(curl);
}
