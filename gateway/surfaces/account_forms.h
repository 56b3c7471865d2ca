/* The forms to come in: shown empty by their own routes, and with what was wrong by those they post to. What
 * was typed is shown again, but no password. */
#pragma once
#include "core/page_form.h"

struct account_form {
    struct busi_str return_to; /* where the reader is sent afterwards; absent: home */
    const char *alert;         /* above the form; NULL: nothing */
};

void account_forms_sign_in(struct exchange *x, int status, const struct account_form *form);
void account_forms_register(struct exchange *x, int status, const struct account_form *form);
/* page: ask_reset or ask_magic */
void account_forms_ask(struct exchange *x, int status, enum page_id page);
