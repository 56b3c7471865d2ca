/* Messages over the wire: golden bytes of every message, and everything that must be refused. */
#include "wire/codec.h"
#include "wire/messages.h"
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

/* Fills every field with a fixed value made from its key, two items in a list. */
static void fill(const struct busi_desc *desc, void *message, struct busi_arena *arena)
{
    memset(message, 0, desc->size);
    for (size_t i = 0; i < desc->n_fields; i++) {
        const struct busi_field *field = &desc->fields[i];
        void *at = (char *)message + field->offset;
        switch (field->kind) {
        case BUSI_TEXT:
        case BUSI_SECRET:
        case BUSI_BYTES:
            *(struct busi_str *)at = busi_arena_printf(arena, "%s", field->name);
            if (((struct busi_str *)at)->len > field->limit)
                ((struct busi_str *)at)->len = field->limit;
            break;
        case BUSI_BOOL:
            *(bool *)at = true;
            break;
        case BUSI_LIST: {
            const struct busi_desc *sub = field->sub();
            struct busi_list *list = at;
            list->n = 2;
            list->items = busi_arena_array(arena, 2, sub->size);
            for (size_t k = 0; k < 2; k++)
                fill(sub, (char *)list->items + k * sub->size, arena);
            break;
        }
        case BUSI_NESTED:
            *(void **)at = busi_arena_alloc(arena, field->sub()->size);
            fill(field->sub(), *(void **)at, arena);
            break;
        default:
            *(int64_t *)at = field->key * 50;
        }
    }
}

typedef const struct busi_desc *describe(void);
static describe *const all[] = {
#define MESSAGE(name) busi_desc_##name,
#define FIELD(...)
#define LIST(...)
#define NESTED(...)
#define END(name)
#include "proto/messages.def"
};
enum { ALL = sizeof all / sizeof all[0] };

static struct busi_arena arena;

static struct busi_str encoded(const struct busi_desc *desc, const void *message)
{
    struct busi_buf buf;
    msgpack_packer pk;
    busi_buf_init(&buf, 1 << 20);
    busi_packer_init(&pk, &buf);
    busi_encode(&pk, &buf, desc, message);
    cr_assert(!buf.failed, "%s", desc->name);
    struct busi_str bytes = busi_arena_dup(&arena, (struct busi_str){buf.ptr, buf.len});
    busi_buf_fini(&buf);
    return bytes;
}

static struct busi_str filled(const struct busi_desc *desc)
{
    void *message = busi_arena_alloc(&arena, desc->size);
    fill(desc, message, &arena);
    return encoded(desc, message);
}

static bool decodes(const struct busi_desc *desc, struct busi_str bytes, void *message, const char **bad)
{
    struct busi_reader r;
    busi_reader_init(&r, bytes.ptr, bytes.len);
    return busi_decode(&r, desc, message, &arena, bad) && busi_reader_done(&r);
}

static void open_arena(void)
{
    busi_arena_init(&arena, 512 << 20);
}

static void close_arena(void)
{
    busi_arena_fini(&arena);
}

TestSuite(wire_codec, .init = open_arena, .fini = close_arena);

/* tests/wire/golden.txt: "name hex" lines. BUSI_TEST_GOLDEN=write makes the file anew: look at the difference
 * before committing it, other versions speak the old bytes. */
Test(wire_codec, golden_bytes_of_every_message)
{
    static char line[1 << 16], hex[1 << 16];
    char name[64];
    const char *mode = getenv("BUSI_TEST_GOLDEN");
    if (mode && strcmp(mode, "write") == 0) {
        FILE *out = fopen(BUSI_SOURCE "/tests/wire/golden.txt", "w");
        for (size_t i = 0; i < ALL; i++) {
            struct busi_str bytes = filled(all[i]());
            fprintf(out, "%s ", all[i]()->name);
            for (size_t k = 0; k < bytes.len; k++)
                fprintf(out, "%02x", (unsigned char)bytes.ptr[k]);
            fputc('\n', out);
        }
        fclose(out);
    }
    FILE *file = fopen(BUSI_SOURCE "/tests/wire/golden.txt", "r");
    cr_assert(file, "tests/wire/golden.txt is missing");
    for (size_t i = 0; i < ALL; i++) {
        cr_assert(fgets(line, sizeof line, file) && sscanf(line, "%63s %65535s", name, hex) == 2,
                  "no line for %s", all[i]()->name);
        cr_assert_str_eq(name, all[i]()->name);
        struct busi_str bytes = filled(all[i]());
        cr_assert_eq(strlen(hex), 2 * bytes.len, "%s", name);
        for (size_t k = 0; k < bytes.len; k++) {
            char two[3];
            snprintf(two, sizeof two, "%02x", (unsigned char)bytes.ptr[k]);
            cr_assert(memcmp(two, hex + 2 * k, 2) == 0, "%s differs at byte %zu", name, k);
        }
    }
    cr_assert_null(fgets(line, sizeof line, file), "a line for no message");
    fclose(file);
}

Test(wire_codec, every_message_survives_the_round_trip)
{
    for (size_t i = 0; i < ALL; i++) {
        const struct busi_desc *desc = all[i]();
        const char *bad = NULL;
        void *back = busi_arena_alloc(&arena, desc->size);
        struct busi_str bytes = filled(desc);
        cr_assert(decodes(desc, bytes, back, &bad), "%s: %s", desc->name, bad ? bad : "bytes left");
        cr_assert(busi_str_eq(encoded(desc, back), bytes), "%s", desc->name);
    }
}

Test(wire_codec, truncated_and_flipped_bytes_never_crash)
{
    for (size_t i = 0; i < ALL; i++) {
        const struct busi_desc *desc = all[i]();
        const char *bad = NULL;
        void *back = busi_arena_alloc(&arena, desc->size);
        struct busi_str bytes = filled(desc);
        for (size_t n = 0; n < bytes.len; n++)
            cr_assert(!decodes(desc, (struct busi_str){bytes.ptr, n}, back, &bad), "%s cut to %zu bytes",
                      desc->name, n);
        char *mutable = (char *)bytes.ptr;
        for (size_t bit = 0; bit < 8 * bytes.len; bit++) {
            mutable[bit / 8] ^= (char)(1 << bit % 8);
            (void)!decodes(desc, bytes, back, &bad);
            mutable[bit / 8] ^= (char)(1 << bit % 8);
        }
        struct busi_str longer = busi_arena_printf(&arena, "%.*s!", BUSI_ARG(bytes));
        memcpy((char *)longer.ptr, bytes.ptr, bytes.len < longer.len ? bytes.len : longer.len);
        longer.len = bytes.len + 1 < longer.len ? bytes.len + 1 : longer.len;
        if (longer.len == bytes.len + 1)
            cr_assert(!decodes(desc, longer, back, &bad), "%s with a byte behind it", desc->name);
    }
}

/* What sign_in_request makes of these bytes. */
static void expect_refusal(const char *bytes, size_t n, const char *why)
{
    struct busi_sign_in_request in;
    const char *bad = NULL;
    cr_expect(!decodes(busi_desc_sign_in_request(), (struct busi_str){bytes, n}, &in, &bad));
    cr_expect(bad && strstr(bad, why), "'%s' instead of '%s'", bad ? bad : "nothing", why);
}
#define EXPECT_REFUSAL(literal, why) expect_refusal(literal, sizeof(literal) - 1, why)

Test(wire_codec, refusals_name_the_field)
{
    EXPECT_REFUSAL("\x82\x01\xa1"
                   "b\x02\xa1"
                   "x",
                   "sign_in_request.password: missing");
    EXPECT_REFUSAL("\x84\x01\xa1"
                   "b\x02\xa1"
                   "x\x02\xa1"
                   "y\x03\xa1"
                   "z",
                   "sign_in_request.login: given twice");
    EXPECT_REFUSAL("\x83\x01\xa1"
                   "b\x02\x05\x03\xa1"
                   "z",
                   "sign_in_request.login: not a text");
    EXPECT_REFUSAL("\x83\x01\xa1"
                   "b\x02\xa3"
                   "a\0b\x03\xa1"
                   "z",
                   "sign_in_request.login: holds a NUL");
    EXPECT_REFUSAL("\x83\x01\xa1"
                   "b\x02\xc0\x03\xa1"
                   "z",
                   "sign_in_request.login: not a text");
    EXPECT_REFUSAL("\x83\xa1"
                   "1\xa1"
                   "b\x02\xa1"
                   "x\x03\xa1"
                   "z",
                   "sign_in_request: a key is no integer");
    EXPECT_REFUSAL("\x93\x01\x02\x03", "sign_in_request: not a map");
    EXPECT_REFUSAL("\x83\x01\xd9\x21"
                   "123456789012345678901234567890123\x02\xa1"
                   "x\x03\xa1"
                   "z",
                   "sign_in_request.door: too long");
}

Test(wire_codec, unknown_keys_and_nil_options_are_fine)
{
    struct busi_sign_in_request in;
    const char *bad = NULL;
    struct busi_str bytes = BUSI_STR("\x86\x7f\x92\x01\xc0\x01\xa1"
                                     "b\x02\xa1"
                                     "x\x05\xc0\x03\xa1"
                                     "z\xcd\x03\xe8\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00");
    cr_assert(decodes(busi_desc_sign_in_request(), bytes, &in, &bad), "%s", bad ? bad : "");
    cr_assert(busi_str_eq(in.password, BUSI_STR("z")) && !in.user_agent.ptr);
}

Test(wire_codec, limits_of_numbers_and_lists)
{
    struct busi_list_businesses_request list;
    const char *bad = NULL;
    cr_assert(decodes(busi_desc_list_businesses_request(), BUSI_STR("\x81\x02\xcd\x03\xe8"), &list, &bad));
    cr_assert(!decodes(busi_desc_list_businesses_request(), BUSI_STR("\x81\x02\xcd\x03\xe9"), &list, &bad));
    cr_assert(strstr(bad, "limit: out of range"));
    struct busi_enqueue_mail_request mail;
    cr_assert(!decodes(
        busi_desc_enqueue_mail_request(),
        BUSI_STR("\x81\x04\xdc\x00\x11\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0\xc0"),
        &mail, &bad));
    cr_assert(strstr(bad, "arguments: too many items"));
}

Test(wire_codec, encoding_refuses_what_would_be_refused)
{
    struct busi_buf buf;
    msgpack_packer pk;
    struct busi_business_id_request fine = {.id = 0};
    struct busi_sign_in_request incomplete = {.door = BUSI_STR("busi")};
    busi_buf_init(&buf, 1000);
    busi_packer_init(&pk, &buf);
    busi_encode(&pk, &buf, busi_desc_business_id_request(), &fine);
    cr_assert(!buf.failed, "a required number may be zero");
    busi_encode(&pk, &buf, busi_desc_sign_in_request(), &incomplete);
    cr_assert(buf.failed, "a required text must be there");
    busi_buf_fini(&buf);
}

static void expect_text(void (*write)(struct busi_buf *, const struct busi_desc *, const void *),
                        const struct busi_desc *desc, const void *message, const char *wanted)
{
    struct busi_buf out;
    busi_buf_init(&out, 10000);
    write(&out, desc, message);
    cr_expect(busi_str_eq((struct busi_str){out.ptr, out.len}, busi_str_of(wanted)), "%.*s", (int)out.len,
              out.ptr);
    busi_buf_fini(&out);
}

Test(wire_codec, json_and_masked_dumps)
{
    struct busi_sign_in_request in = {
        .door = BUSI_STR("busi"), .login = BUSI_STR("a\"b"), .password = BUSI_STR("secret")};
    expect_text(busi_json_message, busi_desc_sign_in_request(), &in,
                "{\"door\":\"busi\",\"login\":\"a\\\"b\",\"password\":\"secret\"}");
    expect_text(busi_dump_message, busi_desc_sign_in_request(), &in,
                "{\"door\":\"busi\",\"login\":\"a\\\"b\",\"password\":\"***\"}");
    struct busi_empty nothing = {0};
    expect_text(busi_json_message, busi_desc_empty(), &nothing, "{}");
    struct busi_list_businesses_reply none = {0};
    expect_text(busi_json_message, busi_desc_list_businesses_reply(), &none, "{\"businesses\":[]}");
}
