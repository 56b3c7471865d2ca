/* How mails leave: into a folder, or to an SMTP relay. */
#pragma once
#include "mail.h"
#include "service/settings.h"

enum { MAIL_BATCH = 16, MAIL_REASON_BYTES = 200 };

enum mail_fate {
    MAIL_DELIVERED,
    MAIL_LATER,   /* not now: it waits longer each time, and others go on */
    MAIL_NEVER,   /* a dead letter at once */
    MAIL_EXPIRED, /* likewise: nobody could use it any more */
    MAIL_HELD     /* the route itself does not work: all wait for it */
};

/* A claimed mail on its way. */
struct mail_parcel {
    struct mail mail;
    struct busi_enqueue_mail_request request; /* decoded; points into the claim's result */
    int64_t attempts;                         /* the fencing token */
    const char *broken;   /* why it cannot be rendered (static): it goes nowhere. NULL: fine */
    struct busi_buf text; /* rendered */
    int64_t expires_ms;   /* by Postgres' clock, told on busi_lease_ms() scale; INT64_MAX: never */
    int64_t until_ms;     /* its text begins to leave before this or not at all: its own end, or the lease's;
                             busi_lease_ms() scale */
    enum mail_fate fate;  /* the rest is the route's to fill */
    char reason[MAIL_REASON_BYTES]; /* printable; "" when delivered */
};

struct mail_route {
    const char *name;       /* "mail_folder", for logs */
    int lanes;              /* deliveries at once */
    size_t batch;           /* mails in one delivery, at most MAIL_BATCH */
    int64_t begin_ms;       /* after its claim, a delivery begins within this time or never */
    int64_t take_ms;        /* and takes at most this long */
    int64_t keep_trying_ms; /* after its first attempt a mail that cannot be delivered is a dead letter */

    /* These block: for offload threads, one at a time of each lane. */
    void (*deliver)(struct mail_route *route, int lane, struct mail_parcel **parcels, size_t n);
    /* NULL, or why the route does not work (static or strerror's). first: at the process's start. Member
     * NULL: only a delivery can tell. */
    const char *(*probe)(struct mail_route *route, bool first);
    /* Lets go of what is kept between deliveries. Member NULL: nothing is. */
    void (*rest)(struct mail_route *route, int lane);

    /* Loop's thread. The process ends soon: what is not nearly done is to be given up. */
    void (*leave)(struct mail_route *route);
    /* When nothing runs any more. */
    void (*free)(struct mail_route **route);
};

/* The one the settings ask for; borrows them and the sender. NULL: out of memory. */
[[nodiscard]] struct mail_route *mail_route_new(const struct busi_settings *settings,
                                                const struct mail_sender *from);
[[nodiscard]] struct mail_route *mail_route_folder(const struct busi_settings *settings);
[[nodiscard]] struct mail_route *mail_route_smtp(const struct busi_settings *settings,
                                                 const struct mail_sender *from);
/* One line per fault, as busi_service.check. */
bool mail_route_check(const struct busi_settings *settings, struct busi_buf *errors);
