#include "rpc/describe.h"

enum { MOST_MESSAGES = 512 };

/* As the rows name them. */
static const char *const kinds[] = {
    [BUSI_TEXT] = "TEXT", [BUSI_SECRET] = "SECRET", [BUSI_BYTES] = "BYTES", [BUSI_INT] = "INT",
    [BUSI_BOOL] = "BOOL", [BUSI_TIME] = "TIME",     [BUSI_LIST] = "LIST",   [BUSI_NESTED] = "NESTED"};

/* Each message once, in the order met. */
struct messages {
    const struct busi_desc *list[MOST_MESSAGES];
    size_t n; /* of list */
};

static void meet(struct messages *all, const struct busi_desc *desc)
{
    for (size_t i = 0; i < all->n; i++)
        if (all->list[i] == desc)
            return;
    if (all->n < MOST_MESSAGES)
        all->list[all->n++] = desc;
}

static void gather(struct messages *all, const struct busi_method *method)
{
    meet(all, method->request());
    meet(all, method->reply());
}

/* Also what those they have are made of. */
static void gather_parts(struct messages *all)
{
    for (size_t i = 0; i < all->n; i++) /* grows meanwhile */
        for (size_t k = 0; k < all->list[i]->n_fields; k++)
            if (all->list[i]->fields[k].sub)
                meet(all, all->list[i]->fields[k].sub());
}

static struct busi_field_info field_info(const struct busi_field *field)
{
    return (struct busi_field_info){.number = field->key,
                                    .name = busi_str_of(field->name),
                                    .type = busi_str_of(kinds[field->kind]),
                                    .required = field->need == BUSI_REQUIRED,
                                    .limit = field->limit,
                                    .message =
                                        field->sub ? busi_str_of(field->sub()->name) : (struct busi_str){0}};
}

static bool message_info(struct busi_arena *arena, const struct busi_desc *desc,
                         struct busi_message_info *out)
{
    out->name = busi_str_of(desc->name);
    out->fields.n = desc->n_fields;
    out->fields.items = busi_arena_array(arena, desc->n_fields + 1, sizeof *out->fields.items);
    for (size_t i = 0; out->fields.items && i < desc->n_fields; i++)
        out->fields.items[i] = field_info(&desc->fields[i]);
    return out->fields.items != NULL;
}

static struct busi_method_info method_info(const struct busi_method *method)
{
    return (struct busi_method_info){.method = busi_str_of(method->wire),
                                     .request = busi_str_of(method->request()->name),
                                     .reply = busi_str_of(method->reply()->name),
                                     .idempotent = method->retry == BUSI_IDEMPOTENT,
                                     .timeout_ms = method->timeout_ms};
}

bool busi_describe(const struct busi_endpoint *endpoints, size_t n, struct busi_arena *arena,
                   struct busi_describe_reply *out)
{
    struct messages all = {.n = 0};
    const struct busi_method *methods[BUSI_METHODS];
    size_t n_methods = 0;
    for (size_t i = 0; i < n && n_methods < BUSI_METHODS; i++)
        methods[n_methods++] = busi_method_get(endpoints[i].method);
    for (int id = 0; id < BUSI_METHODS && n_methods < BUSI_METHODS; id++)
        if (strcmp(busi_method_get((enum busi_method_id)id)->service, "rpc") == 0)
            methods[n_methods++] = busi_method_get((enum busi_method_id)id);
    for (size_t i = 0; i < n_methods; i++)
        gather(&all, methods[i]);
    meet(&all, busi_desc_violation());
    meet(&all, busi_desc_quota());
    gather_parts(&all);
    out->methods.items = busi_arena_array(arena, n_methods, sizeof *out->methods.items);
    out->messages.items = busi_arena_array(arena, all.n, sizeof *out->messages.items);
    bool fine = out->methods.items && out->messages.items;
    for (; fine && out->methods.n < n_methods; out->methods.n++)
        out->methods.items[out->methods.n] = method_info(methods[out->methods.n]);
    for (; fine && out->messages.n < all.n; out->messages.n++)
        fine = message_info(arena, all.list[out->messages.n], &out->messages.items[out->messages.n]);
    return fine;
}
