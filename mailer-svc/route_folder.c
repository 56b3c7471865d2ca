#include "mail_folder.h"
#include "route.h"
#include <stdio.h>
#include <stdlib.h>

/* Every mail of a delivery costs little beside the folder's own fsync: as many as there are. */
enum { BEGIN_MS = 45000, TAKE_MS = 15000 };
static const int64_t ten_years_ms = 10LL * 365 * 86400 * 1000;

struct folder_route {
    struct mail_route route;
    const char *folder; /* borrowed */
};

static void deliver(struct mail_route *route, int lane, struct mail_parcel **parcels, size_t n)
{
    const struct folder_route *self = (struct folder_route *)route;
    struct mail_file files[MAIL_BATCH];
    char names[MAIL_BATCH][MAIL_NAME_BYTES];
    (void)lane;
    for (size_t i = 0; i < n; i++) {
        mail_file_name(names[i], &parcels[i]->mail);
        files[i] =
            (struct mail_file){.name = names[i], .bytes = {parcels[i]->text.ptr, parcels[i]->text.len}};
    }
    mail_folder_write(self->folder, files, n);
    for (size_t i = 0; i < n; i++) {
        parcels[i]->fate = files[i].error == 0 ? MAIL_DELIVERED : MAIL_HELD;
        if (files[i].error != 0)
            snprintf(parcels[i]->reason, sizeof(parcels[i]->reason), "%s", strerror(files[i].error));
    }
}

static const char *probe(struct mail_route *route, bool first)
{
    const struct folder_route *self = (struct folder_route *)route;
    if (first)
        mail_folder_clean(self->folder);
    int error = mail_folder_probe(self->folder);
    return error != 0 ? strerror(error) : NULL;
}

static void leave(struct mail_route *route)
{
    (void)route; /* a write is short */
}

static void free_route(struct mail_route **route)
{
    free(*route);
    *route = NULL;
}

struct mail_route *mail_route_folder(const struct busi_settings *settings)
{
    struct folder_route *self = calloc(1, sizeof(*self));
    if (!self)
        return NULL;
    self->route =
        (struct mail_route){.name = "mail_folder",
                            .lanes = 1,
                            .batch = MAIL_BATCH,
                            .begin_ms = BEGIN_MS,
                            .take_ms = TAKE_MS,
                            .keep_trying_ms = ten_years_ms, /* a full disk is no reason to give up */
                            .deliver = deliver,
                            .probe = probe,
                            .leave = leave,
                            .free = free_route};
    self->folder = settings->mail_folder.ptr;
    return &self->route;
}
