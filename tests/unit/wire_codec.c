/* Messages over the wire: golden bytes of every message, and everything that must be refused. */
#include "every_message.h"
#include "wire/codec.h"
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
    bool fine = busi_decode(&r, desc, message, &arena, bad);
    if (fine && !busi_reader_done(&r))
        *bad = "bytes left";
    return fine && busi_reader_done(&r);
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
        for (size_t i = 0; i < EVERY_MESSAGE; i++) {
            struct busi_str bytes = filled(every_message[i]());
            fprintf(out, "%s ", every_message[i]()->name);
            for (size_t k = 0; k < bytes.len; k++)
                fprintf(out, "%02x", (unsigned char)bytes.ptr[k]);
            fputc('\n', out);
        }
        fclose(out);
    }
    FILE *file = fopen(BUSI_SOURCE "/tests/wire/golden.txt", "r");
    cr_assert(file, "tests/wire/golden.txt is missing");
    for (size_t i = 0; i < EVERY_MESSAGE; i++) {
        cr_assert(fgets(line, sizeof line, file) && sscanf(line, "%63s %65535s", name, hex) == 2,
                  "no line for %s", every_message[i]()->name);
        cr_assert_str_eq(name, every_message[i]()->name);
        struct busi_str bytes = filled(every_message[i]());
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
    for (size_t i = 0; i < EVERY_MESSAGE; i++) {
        const struct busi_desc *desc = every_message[i]();
        const char *bad = NULL;
        void *back = busi_arena_alloc(&arena, desc->size);
        struct busi_str bytes = filled(desc);
        cr_assert(decodes(desc, bytes, back, &bad), "%s: %s", desc->name, bad ? bad : "bytes left");
        cr_assert(busi_str_eq(encoded(desc, back), bytes), "%s", desc->name);
    }
}

/* The bytes in a block of just their size and `more`, where AddressSanitizer sees a byte read too far. */
static char *exact(struct busi_str bytes, size_t more)
{
    char *copy = malloc(bytes.len + more ? bytes.len + more : 1);
    cr_assert_not_null(copy);
    memset(copy + bytes.len, 0xC0, more);
    return memcpy(copy, bytes.ptr, bytes.len);
}

Test(wire_codec, no_prefix_of_a_message_is_a_message) /* M-07 */
{
    for (size_t i = 0; i < EVERY_MESSAGE; i++) {
        const struct busi_desc *desc = every_message[i]();
        const char *bad = NULL;
        void *back = busi_arena_alloc(&arena, desc->size);
        struct busi_str bytes = filled(desc);
        for (size_t n = 0; n < bytes.len; n++) {
            char *copy = exact((struct busi_str){bytes.ptr, n}, 0);
            cr_expect(!decodes(desc, (struct busi_str){copy, n}, back, &bad) && bad, "%s cut to %zu bytes",
                      desc->name, n);
            free(copy);
        }
    }
}

Test(wire_codec, a_message_with_a_byte_behind_it_is_none) /* M-08 */
{
    for (size_t i = 0; i < EVERY_MESSAGE; i++) {
        const struct busi_desc *desc = every_message[i]();
        const char *bad = NULL;
        void *back = busi_arena_alloc(&arena, desc->size);
        struct busi_str bytes = filled(desc);
        char *copy = exact(bytes, 1);
        cr_expect(!decodes(desc, (struct busi_str){copy, bytes.len + 1}, back, &bad), "%s", desc->name);
        free(copy);
    }
}

/* What is accepted can be sent on, and means the same when it is read again. */
static void expect_harmless(const struct busi_desc *desc, struct busi_str bytes)
{
    const char *bad = NULL;
    void *first = busi_arena_alloc(&arena, desc->size), *second = busi_arena_alloc(&arena, desc->size);
    if (!decodes(desc, bytes, first, &bad)) {
        cr_expect_not_null(bad, "%s: refused without a reason", desc->name);
        return;
    }
    struct busi_str again = encoded(desc, first);
    cr_expect(decodes(desc, again, second, &bad) && busi_str_eq(encoded(desc, second), again), "%s",
              desc->name);
}

Test(wire_codec, every_flipped_bit_is_refused_or_harmless) /* M-14 */
{
    for (size_t i = 0; i < EVERY_MESSAGE; i++) {
        struct busi_str bytes = filled(every_message[i]());
        char *copy = exact(bytes, 0);
        for (size_t bit = 0; bit < 8 * bytes.len; bit++) {
            copy[bit / 8] ^= (char)(1 << bit % 8);
            expect_harmless(every_message[i](), (struct busi_str){copy, bytes.len});
            copy[bit / 8] ^= (char)(1 << bit % 8);
        }
        free(copy);
    }
}

Test(wire_codec, a_message_read_as_another_is_refused_or_harmless) /* M-15 */
{
    for (size_t i = 0; i < EVERY_MESSAGE; i++) {
        struct busi_str bytes = filled(every_message[i]());
        char *copy = exact(bytes, 0);
        for (size_t k = 0; k < EVERY_MESSAGE; k++)
            expect_harmless(every_message[k](), (struct busi_str){copy, bytes.len});
        free(copy);
    }
}

/* How many levels of maps and arrays a message has. */
static unsigned levels(const struct busi_desc *desc)
{
    unsigned deepest = 0;
    for (size_t i = 0; i < desc->n_fields; i++) {
        const struct busi_field *field = &desc->fields[i];
        unsigned inside = field->sub ? levels(field->sub()) + (field->kind == BUSI_LIST) : 0;
        deepest = inside > deepest ? inside : deepest;
    }
    return 1 + deepest;
}

Test(wire_codec, rows_are_sound)
{
    for (size_t i = 0; i < EVERY_MESSAGE; i++) {
        const struct busi_desc *desc = every_message[i]();
        cr_expect_lt(levels(desc), BUSI_MSGPACK_DEPTH, "%s leaves no level for the envelope", desc->name);
        for (size_t k = 0; k < desc->n_fields; k++) {
            const struct busi_field *field = &desc->fields[k];
            bool sized = field->kind <= BUSI_BYTES || field->kind == BUSI_LIST;
            cr_expect(field->key >= 1 && field->key <= 127, "%s.%s: key", desc->name, field->name);
            cr_expect(!sized || field->limit > 0, "%s.%s: no limit", desc->name, field->name);
            cr_expect_lt(field->offset, desc->size, "%s.%s", desc->name, field->name);
            for (size_t m = 0; m < k; m++)
                cr_expect(desc->fields[m].key != field->key && strcmp(desc->fields[m].name, field->name) != 0,
                          "%s.%s: the same twice", desc->name, field->name);
        }
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

Test(wire_codec, unknown_keys_and_nil_options_are_fine) /* M-20 */
{
    struct busi_sign_up_request in;
    const char *bad = NULL;
    struct busi_str bytes = BUSI_STR("\x86\x7f\x92\x01\xc0\x01\xa1"
                                     "b\x02\xa1"
                                     "x\x05\xc0\x03\xa1"
                                     "z\xcd\x03\xe8\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00");
    cr_assert(decodes(busi_desc_sign_up_request(), bytes, &in, &bad), "%s", bad ? bad : "");
    cr_assert(busi_str_eq(in.password, BUSI_STR("z")) && !in.password_confirm.ptr);
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

static bool encodable(const struct busi_desc *desc, const void *message, size_t max_bytes)
{
    struct busi_buf buf;
    msgpack_packer pk;
    busi_buf_init(&buf, max_bytes);
    busi_packer_init(&pk, &buf);
    busi_encode(&pk, &buf, desc, message);
    bool fine = !buf.failed;
    busi_buf_fini(&buf);
    return fine;
}

Test(wire_codec, encoding_refuses_what_would_be_refused)
{
    struct busi_business_id_request zero = {.id = 0};
    struct busi_sign_in_request incomplete = {.door = BUSI_STR("busi")};
    struct busi_check_token_request token = {.token = BUSI_STR("x")};
    static char longest[8193];
    cr_expect(encodable(busi_desc_business_id_request(), &zero, 1000), "a required number may be zero");
    cr_expect(!encodable(busi_desc_sign_in_request(), &incomplete, 1000), "a required text must be there");
    memset(longest, 'x', sizeof longest);
    token.token = (struct busi_str){longest, 8192};
    cr_expect(encodable(busi_desc_check_token_request(), &token, 10000));
    token.token.len = 8193;
    cr_expect(!encodable(busi_desc_check_token_request(), &token, 10000), "a text over its limit");
    struct busi_list_businesses_request list = {.limit = 1000};
    cr_expect(encodable(busi_desc_list_businesses_request(), &list, 1000));
    list.limit = -1001;
    cr_expect(!encodable(busi_desc_list_businesses_request(), &list, 1000), "a number over its limit");
    struct busi_mail_argument arguments[17] = {0};
    struct busi_enqueue_mail_request mail = {.kind = BUSI_STR("k"), .recipient = BUSI_STR("r")};
    for (size_t i = 0; i < 17; i++)
        arguments[i] = (struct busi_mail_argument){.name = BUSI_STR("n"), .value = BUSI_STR("v")};
    mail.arguments.items = arguments;
    mail.arguments.n = 16;
    cr_expect(encodable(busi_desc_enqueue_mail_request(), &mail, 1000));
    mail.arguments.n = 17;
    cr_expect(!encodable(busi_desc_enqueue_mail_request(), &mail, 1000), "too many items");
}

Test(wire_codec, a_message_larger_than_its_buffer_is_no_message)
{
    struct busi_check_token_request token = {.token = BUSI_STR("0123456789")};
    cr_expect(encodable(busi_desc_check_token_request(), &token, 13));
    for (size_t n = 0; n < 13; n++)
        cr_expect(!encodable(busi_desc_check_token_request(), &token, n), "%zu bytes", n);
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

Test(wire_codec, dumps_hide_secrets_and_cut_texts_between_code_points)
{
    struct busi_mail_argument argument = {.name = BUSI_STR("link"), .value = BUSI_STR("hidden")};
    struct busi_enqueue_mail_request mail = {.kind = BUSI_STR("welcome"),
                                             .recipient = BUSI_STR("a\x1b[2J\n\"b\x7f\xE2\x80\xA8")};
    mail.arguments.items = &argument;
    mail.arguments.n = 1;
    expect_text(busi_dump_message, busi_desc_enqueue_mail_request(), &mail,
                "{\"kind\":\"welcome\",\"recipient\":\"a\\u001b[2J\\n\\\"b\\u007f\\u2028\","
                "\"arguments\":[{\"name\":\"link\",\"value\":\"***\"}]}");
    struct busi_sign_in_request in = {.password = BUSI_STR("")};
    in.door = BUSI_STR("0123456789012345678901234567890123456789012345678901234567890123");
    in.login = BUSI_STR("012345678901234567890123456789012345678901234567890123456789012\xC3\xA9 and more");
    expect_text(busi_dump_message, busi_desc_sign_in_request(), &in,
                "{\"door\":\"0123456789012345678901234567890123456789012345678901234567890123\","
                "\"login\":\"012345678901234567890123456789012345678901234567890123456789012...\","
                "\"password\":\"***\"}");
}

Test(wire_codec, json_of_lists)
{
    struct busi_business rows[2] = {{.id = 1,
                                     .name = BUSI_STR("A"),
                                     .description = BUSI_STR(""),
                                     .tag = BUSI_STR("t"),
                                     .date = BUSI_STR("d")},
                                    {.id = -2,
                                     .name = BUSI_STR("\xC3\x89"),
                                     .description = BUSI_STR("\n"),
                                     .tag = BUSI_STR("t"),
                                     .date = BUSI_STR("d"),
                                     .created_by = 7}};
    struct busi_list_businesses_reply reply = {.next_after_id = 9};
    reply.businesses.items = rows;
    reply.businesses.n = 2;
    expect_text(
        busi_json_message, busi_desc_list_businesses_reply(), &reply,
        "{\"businesses\":[{\"id\":1,\"name\":\"A\",\"description\":\"\",\"tag\":\"t\",\"date\":\"d\"},"
        "{\"id\":-2,\"name\":\"\xC3\x89\",\"description\":\"\\n\",\"tag\":\"t\",\"date\":\"d\","
        "\"created_by\":7}],\"next_after_id\":9}");
}
