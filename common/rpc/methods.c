#include "rpc/methods.h"
#include <assert.h>

static const struct busi_method methods[BUSI_METHODS] = {
#define METHOD(service, name, wire, request, reply, retry, timeout)                                          \
    [BUSI_METHOD_##service##_##                                                                              \
        name] = {#service, wire, busi_desc_##request, busi_desc_##reply, BUSI_##retry, timeout},
#include "proto/methods.def"
};

const struct busi_method *busi_method_get(enum busi_method_id id)
{
    assert((unsigned)id < BUSI_METHODS);
    return &methods[id];
}
