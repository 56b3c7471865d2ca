/* Names of requests: X-Request-Id and W3C trace context, the client's where they are well-formed. */
#include "http/chars.h"
#include "http/front_state.h"
#include <stdlib.h>
#include <sys/random.h>

/* Ids must differ, not be secret: xoshiro256** (Blackman and Vigna), seeded once per thread by the kernel. */
static uint64_t rotate(uint64_t x, int by)
{
    return (x << by) | (x >> (64 - by));
}

static uint64_t next_random(uint64_t s[4])
{
    uint64_t result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

static void seed(struct front_worker *worker)
{
    if (getrandom(worker->random, sizeof(worker->random), GRND_NONBLOCK) == sizeof(worker->random))
        return;
    /* no entropy yet (first second of a machine): still different per thread and time */
    worker->random[0] = (uint64_t)(uintptr_t)worker;
    worker->random[1] = (uint64_t)busi_now_us();
    worker->random[2] = (uint64_t)busi_wall_us();
    worker->random[3] = 1;
}

static struct busi_str own_id(struct front_worker *worker)
{
    static const char digits[] = "0123456789abcdef";
    if ((worker->random[0] | worker->random[1] | worker->random[2] | worker->random[3]) == 0)
        seed(worker);
    for (size_t half = 0; half < 2; half++) {
        uint64_t bits = next_random(worker->random);
        for (size_t i = 0; i < 16; i++, bits >>= 4)
            worker->request_id[half * 16 + i] = digits[bits & 15];
    }
    return (struct busi_str){worker->request_id, 32};
}

static bool is_id(struct busi_str id)
{
    for (size_t i = 0; i < id.len; i++) {
        if (!chars_is_alphanumeric(id.ptr[i]) && !chars_is_one_of(id.ptr[i], "._-"))
            return false;
    }
    return id.len > 0 && id.len <= 64;
}

/* "00-<32 hex>-<16 hex>-<2 hex>", lower case, ids not all zero (https://www.w3.org/TR/trace-context/). */
static bool is_traceparent(struct busi_str s)
{
    static const char pattern[] = "00-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx";
    if (s.len != sizeof(pattern) - 1)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
        if (pattern[i] == 'x' ? !hex : c != pattern[i])
            return false;
    }
    static const char zeros[] = "00000000000000000000000000000000";
    return memcmp(s.ptr + 3, zeros, 32) != 0 && memcmp(s.ptr + 36, zeros, 16) != 0;
}

void front_identify(struct front_worker *worker, struct http_request *request)
{
    struct busi_str id = {0}, trace = {0};
    size_t ids = 0, traces = 0;
    for (size_t i = 0; i < request->n_headers; i++) {
        const struct http_header *header = &request->headers[i];
        if (busi_str_ieq(header->name, BUSI_STR("x-request-id"))) {
            id = header->value;
            ids++;
        } else if (busi_str_ieq(header->name, BUSI_STR("traceparent"))) {
            trace = header->value;
            traces++;
        }
    }
    request->call.request_id = ids == 1 && is_id(id) ? id : own_id(worker);
    if (traces == 1 && is_traceparent(trace))
        request->call.traceparent = trace;
}
