#include "web/options.h"
#include <stdlib.h>

bool busi_web_text(CURL *curl, CURLoption option, struct busi_str text)
{
    if (!text.ptr)
        return true;
    char *copy = strndup(text.ptr, text.len);
    bool fine = copy && curl_easy_setopt(curl, option, copy) == CURLE_OK; /* copies it, too */
    if (copy)
        explicit_bzero(copy, text.len);
    free(copy);
    return fine;
}

bool busi_web_number(CURL *curl, CURLoption option, long number)
{
    return curl_easy_setopt(curl, option, number) == CURLE_OK;
}

bool busi_web_begin(CURL *curl, const char *protocols)
{
    return busi_web_number(curl, CURLOPT_NOSIGNAL, 1) &&   /* we are not the only thread */
           busi_web_number(curl, CURLOPT_QUICK_EXIT, 1) && /* a name server may be silent for half a minute */
           curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, protocols) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK && /* whatever the environment says */
           busi_web_number(curl, CURLOPT_NETRC, CURL_NETRC_IGNORED) &&
           busi_web_number(curl, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2) &&
           busi_web_number(curl, CURLOPT_SSL_VERIFYPEER, 1) &&
           busi_web_number(curl, CURLOPT_SSL_VERIFYHOST, 2);
}
