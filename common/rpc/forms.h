/* What the short texts of an envelope may look like. Lengths are the envelope's; none may be empty. Pure. */
#pragma once
#include "base/str.h"

/* [A-Za-z0-9._-]: may go into logs and headers as it is. */
bool busi_form_id(struct busi_str s);
/* Visible ASCII and spaces. */
bool busi_form_visible(struct busi_str s);
/* https://www.w3.org/TR/trace-context: 00-<32 hex, not 0>-<16 hex, not 0>-<2 hex>. */
bool busi_form_trace(struct busi_str s);
/* [0-9A-Fa-f.:]: the characters of an address; that it is one is for whoever reads it. */
bool busi_form_address(struct busi_str s);
/* [A-Za-z0-9-]: the characters of a language tag. */
bool busi_form_language(struct busi_str s);
