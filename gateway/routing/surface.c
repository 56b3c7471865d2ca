#include "routing/surface.h"
#include <assert.h>

const struct surface *surface_get(enum surface_id id)
{
    static const struct surface *const all[SURFACES] = {
#define SURFACE(name) [SURFACE_##name] = &surface_##name,
#include "routing/surfaces.def"
#undef SURFACE
    };
    assert(id >= 0 && id < SURFACES);
    return all[id];
}
