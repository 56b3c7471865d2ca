/* The reader of opaque tokens. First byte even: the rest is a token as it came. Odd: the rest is what a token
 * says, which is sealed, then changed at the place and by the bits that the next two bytes name. */
#include "crypto/sealed.h"
#include "crypto/secret.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
    if (!truth)
        abort();
}

static bool same(const struct busi_sealed *a, const struct busi_sealed *b)
{
    return memcmp(a->locator, b->locator, sizeof(a->locator)) == 0 && a->time_s == b->time_s &&
           a->kind == b->kind && a->salt == b->salt;
}

/* What was taken has this one text and no other. */
static bool check_text(struct busi_sealer *sealer, struct busi_str text, struct busi_sealed *content)
{
    char again[BUSI_SEALED_CHARS];
    if (!busi_unseal(sealer, text, content))
        return false;
    require(content->kind < BUSI_SEALED_KINDS && text.len == sizeof(again));
    require(busi_seal(sealer, content, again) && memcmp(again, text.ptr, sizeof(again)) == 0);
    return true;
}

static void check_change(struct busi_sealer *sealer, const uint8_t *data, size_t size)
{
    struct busi_sealed content = {0}, read;
    char text[BUSI_SEALED_CHARS];
    if (size < 2 + sizeof(content))
        return;
    memcpy(&content, data + 2, sizeof(content));
    content.kind %= BUSI_SEALED_KINDS;
    require(busi_seal(sealer, &content, text));
    require(check_text(sealer, (struct busi_str){text, sizeof(text)}, &read) && same(&content, &read));
    text[data[0] % sizeof(text)] ^= (char)data[1];
    if (data[1] && check_text(sealer, (struct busi_str){text, sizeof(text)}, &read))
        require(!same(&content, &read));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct busi_sealer *sealer;
    static const uint8_t key[32] = {7};
    struct busi_sealed content;
    if (!sealer)
        sealer = busi_sealer_new(key);
    require(sealer);
    if (size == 0)
        return 0;
    if (data[0] % 2)
        check_change(sealer, data + 1, size - 1);
    else
        check_text(sealer, (struct busi_str){(const char *)data + 1, size - 1}, &content);
    return 0;
}
