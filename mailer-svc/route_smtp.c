#include "base/clock.h"
#include "route.h"
#include "smtp.h"
#include <stdio.h>
#include <stdlib.h>

/* A process that was stopped for longer between claim and delivery must not act on the claim. */
enum { BEGIN_MS = 5000, MOST_LANES = 64 };
enum { CONNECTION_LIFE_MS = 30000 };

struct smtp_route {
    struct mail_route route;
    atomic_bool leaving;
    struct smtp_session *sessions[MOST_LANES]; /* one of each lane; owned */
};

/* Marked as soon as it is sent: one mail in each delivery. */
static void deliver(struct mail_route *route, int lane, struct mail_parcel **parcels, size_t n)
{
    static const enum mail_fate fates[] = {[SMTP_SENT] = MAIL_DELIVERED,
                                           [SMTP_REFUSED] = MAIL_NEVER,
                                           [SMTP_DEFERRED] = MAIL_LATER,
                                           [SMTP_NO_RELAY] = MAIL_HELD,
                                           [SMTP_GIVEN_UP] = MAIL_HELD};
    struct smtp_route *self = (struct smtp_route *)route;
    struct smtp_report report;
    for (size_t i = 0; i < n; i++) {
        smtp_send(self->sessions[lane], parcels[i]->request.recipient,
                  (struct busi_str){parcels[i]->text.ptr, parcels[i]->text.len}, parcels[i]->until_ms,
                  &report);
        bool expired = report.outcome == SMTP_GIVEN_UP && busi_lease_ms() >= parcels[i]->expires_ms;
        parcels[i]->fate = expired ? MAIL_EXPIRED : fates[report.outcome];
        snprintf(parcels[i]->reason, sizeof(parcels[i]->reason), "%s", report.reason);
    }
}

static void rest(struct mail_route *route, int lane)
{
    smtp_session_rest(((struct smtp_route *)route)->sessions[lane]);
}

static void leave(struct mail_route *route)
{
    atomic_store(&((struct smtp_route *)route)->leaving, true);
}

static void free_route(struct mail_route **route)
{
    struct smtp_route *self = (struct smtp_route *)*route;
    for (int i = 0; self && i < MOST_LANES; i++)
        smtp_session_free(&self->sessions[i]);
    free(self);
    *route = NULL;
}

struct mail_route *mail_route_smtp(const struct busi_settings *settings, const struct mail_sender *from)
{
    struct smtp_route *self = calloc(1, sizeof(*self));
    if (!self)
        return NULL;
    struct mail_route *route = &self->route;
    *route = (struct mail_route){.name = "smtp_relay",
                                 .lanes = (int)settings->smtp_connections,
                                 .batch = 1,
                                 .begin_ms = BEGIN_MS,
                                 .take_ms = 2 * settings->smtp_timeout_ms, /* smtp_send() may try twice */
                                 .keep_trying_ms = settings->mail_retry_for_ms,
                                 .deliver = deliver,
                                 .rest = rest,
                                 .leave = leave,
                                 .free = free_route};
    const struct smtp_options options = {.url = settings->smtp_url,
                                         .user = settings->smtp_user,
                                         .password = settings->smtp_password,
                                         .ca_file = settings->smtp_ca_file,
                                         .certificate_file = settings->smtp_certificate_file,
                                         .key_file = settings->smtp_key_file,
                                         .helo = settings->smtp_helo,
                                         .sender = from->address,
                                         .tls_off = busi_str_eq(settings->smtp_tls, BUSI_STR("off")),
                                         .connect_timeout_ms = settings->smtp_connect_timeout_ms,
                                         .timeout_ms = settings->smtp_timeout_ms,
                                         .life_ms = CONNECTION_LIFE_MS};
    for (int i = 0; i < route->lanes; i++)
        if (!(self->sessions[i] = smtp_session_new(&options, &self->leaving))) {
            free_route(&route);
            break;
        }
    return route;
}
