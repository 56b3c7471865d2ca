/* A list on its way into an answer: page after page of a service, so that its memory is bounded, and never
 * cut without a link to the rest. */
#pragma once
#include "core/exchange.h"

struct magic_list {
    struct exchange *x;
    int64_t offset; /* of the next row */
    int64_t left;   /* rows that may still be written */
    bool first;     /* nothing is written yet */
    bool full;      /* the next row does not fit */
    bool more;      /* there are rows behind the last one written */
};

/* Asks for at most limit rows from list->offset, in a call of its own memory, and writes them by
 * magic_list_begin() and magic_list_end(); tells in *more whether there are others behind these. */
typedef enum busi_code magic_list_page(struct magic_list *list, struct busi_call *call, int64_t limit,
                                       bool *more);
/* Answers with the rows that limit and offset name. */
void magic_list_answer(struct exchange *x, magic_list_page *page);

/* False when there is no room for another row. */
[[nodiscard]] bool magic_list_begin(struct magic_list *list, size_t *mark);
/* False when the row written since did not fit, and is gone. */
[[nodiscard]] bool magic_list_end(struct magic_list *list, size_t mark);
