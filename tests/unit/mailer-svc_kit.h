/* mailer-svc within the test's process: mailers on one loop, calls as a client makes them. */
#pragma once
#include "mailer-svc_house.h"
#include "service/service.h"

enum { PATIENCE_MS = 15000, MAILERS = 2 };

extern PGconn *admin;
extern char folder[64];               /* of mails */
extern struct busi_settings settings; /* change them before start_mailers() */

void begin(void); /* .init and .fini of a suite */
void end(void);
extern void *mailers[MAILERS];
void start_mailers(int n);
/* Runs the loop until done() or ms have passed. */
bool within(int64_t ms, bool (*done)(void));
#define WAIT_FOR(done) cr_assert(within(PATIENCE_MS, done), "waited in vain for " #done)
bool all_ready(void);
bool all_idle(void);
bool nothing_queued(void);

struct asked {
    int mailer;
    char key[32], recipient[64];
    const char *kind, *login;
    int64_t expires_at; /* microseconds since 1970; 0: never */
    enum busi_code code;
    struct busi_enqueue_mail_reply reply;
    char message[64];
    bool done;
};
struct asked mail_to(const char *recipient, const char *key);
/* All at once, on a fiber each. */
void ask_all(struct asked *asked, size_t n);
/* The process the mailers are in, to start one by hand. */
extern struct busi_process process;
