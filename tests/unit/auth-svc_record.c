#include "crypto/secret.h"
#include "sessions/record.h"
#include <criterion/criterion.h>

#define KEY BUSI_STR("0123456789abcdef0123456789abcdef")

static struct auth self;
static struct busi_arena arena;
static struct auth_session session;

static void set_up(void)
{
    cr_assert(busi_crypto_init());
    busi_arena_init(&arena, 16 << 20);
    self.token_hash_key = KEY;
    auth_doors_init(self.doors, self.profiles, &(struct busi_settings){0});
    session = (struct auth_session){.id = BUSI_STR("AAAAAAAAAAAAAAAAAAAAAA"),
                                    .token_id = BUSI_STR("6f1c2b70-8e3f-4b7a-9f0a-1d2e3c4b5a69"),
                                    .user_id = 7,
                                    .door = &self.doors[AUTH_DOOR_busi],
                                    .created_s = 1700000000,
                                    .expires_s = 1702419200,
                                    .epoch = 3,
                                    .email = BUSI_STR("ada@example.com"),
                                    .username = BUSI_STR("ada"),
                                    .user_code = BUSI_STR("ab1c2d"),
                                    .meta = BUSI_STR("{\"role\":\"admin\"}"),
                                    .confirmed = true,
                                    .remote_addr = BUSI_STR("192.0.2.1"),
                                    .user_agent = BUSI_STR("curl/7.88.1")};
}

static void tear_down(void)
{
    busi_arena_fini(&arena);
}

TestSuite(record, .init = set_up, .fini = tear_down);

static struct busi_str write_record(const struct auth_session *from)
{
    struct busi_str record = auth_record_write(&arena, from, KEY);
    cr_assert(record.ptr);
    return record;
}

static bool read_as(struct busi_str record, struct busi_str id, struct busi_str token_id,
                    struct auth_session *out)
{
    *out = (struct auth_session){.id = id, .token_id = token_id};
    return auth_record_read(&self, record, out);
}

static void expect_same(const struct auth_session *a, const struct auth_session *b)
{
    cr_assert(a->user_id == b->user_id && a->door == b->door && a->created_s == b->created_s &&
              a->expires_s == b->expires_s && a->epoch == b->epoch && a->confirmed == b->confirmed);
    cr_assert(busi_str_eq(a->email, b->email) && busi_str_eq(a->username, b->username) &&
              busi_str_eq(a->user_code, b->user_code) && busi_str_eq(a->meta, b->meta) &&
              busi_str_eq(a->remote_addr, b->remote_addr) && busi_str_eq(a->user_agent, b->user_agent));
}

Test(record, says_what_was_written)
{
    struct auth_session read;
    cr_assert(read_as(write_record(&session), session.id, session.token_id, &read));
    expect_same(&read, &session);
    cr_assert(read_as(write_record(&session), session.id, (struct busi_str){0}, &read));
    expect_same(&read, &session);
}

Test(record, absent_texts_stay_absent)
{
    struct auth_session read, bare = {.id = BUSI_STR("AAAAAAAAAAAA"),
                                      .user_id = INT64_MAX,
                                      .door = &self.doors[AUTH_DOOR_accesspass],
                                      .created_s = 1};
    cr_assert(read_as(write_record(&bare), bare.id, bare.token_id, &read));
    expect_same(&read, &bare);
    cr_assert(!read.email.ptr && !read.username.ptr && !read.meta.ptr && !read.user_agent.ptr);
    cr_assert_eq(read.expires_s, 0);
}

/* The bytes themselves: replicas of two releases share one Redis. */
Test(record, layout_is_fixed)
{
    struct busi_str record = write_record(&session);
    static const char head[] =
        "\2\1\0\0\0\0\0\0\0\7\0\0\0\0\x65\x53\xf1\0\0\0\0\0\x65\x78\xdb\0\0\0\0\0\0\0\0\3"
        "\4busi\17ada@example.com\3ada\6ab1c2d\t192.0.2.1\13curl/7.88.1"
        "\0\0\0\x10{\"role\":\"admin\"}\0\0\0\0\x10";
    cr_assert_eq(record.len, sizeof(head) - 1 + 16 + 16);
    cr_assert_arr_eq(record.ptr, head, sizeof(head) - 1);
}

/* Who never had a role costs nothing; who has none any more still says which change was the last. */
Test(record, roles_stand_only_where_there_were_any)
{
    struct auth_session read, with = session;
    struct busi_str without = write_record(&session);
    with.roles = BUSI_STR("admin,guest");
    with.roles_version = 7;
    struct busi_str record = write_record(&with);
    cr_assert_eq(record.len, without.len + 4 + 2 + with.roles.len);
    cr_assert(read_as(record, session.id, session.token_id, &read));
    expect_same(&read, &session);
    cr_assert(read.roles_version == 7 && busi_str_eq(read.roles, with.roles));
    with.roles = BUSI_STR("");
    cr_assert(read_as(write_record(&with), session.id, session.token_id, &read));
    cr_assert(read.roles_version == 7 && read.roles.len == 0);
    cr_assert(read_as(without, session.id, session.token_id, &read));
    cr_assert(read.roles_version == 0 && read.roles.len == 0);
}

/* A record that was read without its token is as good for it when it is written again. */
Test(record, written_again_it_is_bound_as_before)
{
    struct auth_session read, again;
    cr_assert(read_as(write_record(&session), session.id, (struct busi_str){0}, &read));
    read.roles = BUSI_STR("admin");
    read.roles_version = 1;
    struct busi_str record = write_record(&read);
    cr_assert(read_as(record, session.id, session.token_id, &again));
    cr_assert(busi_str_eq(again.roles, read.roles));
    cr_assert_not(read_as(record, session.id, BUSI_STR("another"), &again));
}

static void expect_no_record(struct busi_str record, struct busi_str id, struct busi_str token_id)
{
    struct auth_session read, untouched = {.id = id, .token_id = token_id};
    cr_assert_not(read_as(record, id, token_id, &read));
    cr_assert_arr_eq(&read, &untouched, sizeof(read));
}

Test(record, every_bit_and_every_byte_matter) /* D-03 */
{
    struct busi_str record = write_record(&session);
    for (size_t bit = 0; bit < record.len * 8; bit++) {
        struct busi_str bad = busi_arena_dup(&arena, record);
        ((char *)bad.ptr)[bit / 8] ^= (char)(1 << bit % 8);
        expect_no_record(bad, session.id, session.token_id);
        expect_no_record(bad, session.id, (struct busi_str){0});
    }
    for (size_t len = 0; len < record.len; len++)
        expect_no_record((struct busi_str){record.ptr, len}, session.id, session.token_id);
    struct busi_str longer = busi_arena_printf(&arena, "%.*s", 1, "");
    longer = (struct busi_str){busi_arena_alloc(&arena, record.len + 1), record.len + 1};
    memcpy((char *)longer.ptr, record.ptr, record.len);
    expect_no_record(longer, session.id, session.token_id);
}

Test(record, belongs_to_one_session_one_token_and_one_key)
{
    struct busi_str record = write_record(&session);
    expect_no_record(record, BUSI_STR("AAAAAAAAAAAAAAAAAAAAAB"), session.token_id);
    expect_no_record(record, session.id, BUSI_STR("6f1c2b70-8e3f-4b7a-9f0a-1d2e3c4b5a68"));
    /* The border between two texts matters, too. */
    expect_no_record(record, BUSI_STR("AAAAAAAAAAAAAAAAAAAAAA6"),
                     BUSI_STR("f1c2b70-8e3f-4b7a-9f0a-1d2e3c4b5a69"));
    expect_no_record(auth_record_write(&arena, &session, BUSI_STR("0123456789abcdef0123456789abcdeg")),
                     session.id, session.token_id);
    struct auth_session unbound = session;
    unbound.token_id = (struct busi_str){0};
    expect_no_record(write_record(&unbound), session.id, session.token_id);
}

/* As the release before wrote it: its sessions live on. */
Test(record, version_1_is_still_read)
{
    static const char head[] = "\1\0\0\0\0\0\0\0\7\0\0\0\0\x65\x53\xf1\0\0\0\0\0\x65\x78\xdb\0\4busi";
    uint8_t tag[32];
    const struct busi_str hashed[] = {BUSI_STR("busi session\0"), BUSI_STR("\x16"), session.id,
                                      BUSI_STR("\x24"),           session.token_id, {head, sizeof(head) - 1}};
    busi_keyed_hash_parts(tag, KEY, hashed, 6);
    char bytes[sizeof(head) - 1 + 32];
    memcpy(bytes, head, sizeof(head) - 1);
    memcpy(bytes + sizeof(head) - 1, tag, 32);
    struct auth_session read;
    struct busi_str record = {bytes, sizeof(bytes)};
    cr_assert(read_as(record, session.id, session.token_id, &read));
    cr_assert(read.user_id == 7 && read.door == session.door && read.created_s == 1700000000 &&
              read.expires_s == 1702419200 && read.epoch == 0 && !read.email.ptr && !read.confirmed);
    for (size_t bit = 0; bit < sizeof(bytes) * 8; bit++) {
        bytes[bit / 8] ^= (char)(1 << bit % 8);
        expect_no_record(record, session.id, session.token_id);
        bytes[bit / 8] ^= (char)(1 << bit % 8);
    }
    expect_no_record(record, session.id, BUSI_STR("6f1c2b70-8e3f-4b7a-9f0a-1d2e3c4b5a68"));
}

Test(record, a_user_agent_is_cut_between_characters)
{
    struct auth_session read;
    session.user_agent = BUSI_STR("123456789012345678901234567890123456789012345678901234567890123\xc3\xa9x");
    cr_assert(read_as(write_record(&session), session.id, session.token_id, &read));
    cr_assert_eq(read.user_agent.len, 63);
}

Test(record, fits_whatever_it_is_given)
{
    char *text = busi_arena_alloc(&arena, 300000);
    memset(text, 'x', 300000);
    struct auth_session read;
    session.email = session.username = session.remote_addr = (struct busi_str){text, 300};
    session.meta = (struct busi_str){text, 65536};
    cr_assert(read_as(write_record(&session), session.id, session.token_id, &read));
    cr_assert_eq(read.email.len, 255);
    cr_assert_eq(read.meta.len, 65536);
    session.meta.len = 300000; /* never half a record */
    cr_assert_null(auth_record_write(&arena, &session, KEY).ptr);
}

/* ---- several tokens ---- */

static char rooms[2][AUTH_BONDS_MOST * AUTH_BOND_BYTES];

static struct busi_str id_of(int i)
{
    return busi_arena_printf(&arena, "token-%d", i);
}

/* The session with the bonds of its first token and of others, each made by the first. */
static struct busi_str with_tokens(int n, bool kept)
{
    struct auth_session read;
    struct busi_str record = write_record(&session);
    for (int i = 0; i < n; i++) {
        cr_assert(read_as(record, session.id, (struct busi_str){0}, &read));
        struct busi_str used = kept || i == 0 ? session.token_id : id_of(i - 1);
        bool dropped = auth_record_bind(&read, KEY, used, kept, id_of(i), rooms[i % 2]);
        cr_assert_eq(dropped, !kept || i >= AUTH_BONDS_MOST - 1, "%d", i);
        record = write_record(&read);
    }
    return record;
}

Test(record, a_further_token_stands_beside_the_one_that_made_it)
{
    struct auth_session read;
    struct busi_str one = write_record(&session), record = with_tokens(3, true);
    cr_assert_eq(record.len, one.len + 3 * (size_t)AUTH_BOND_BYTES);
    cr_assert(read_as(record, session.id, session.token_id, &read));
    for (int i = 0; i < 3; i++)
        cr_assert(read_as(record, session.id, id_of(i), &read));
    expect_no_record(record, session.id, id_of(3));
    expect_no_record(record, session.id, BUSI_STR("6f1c2b70-8e3f-4b7a-9f0a-1d2e3c4b5a68"));
}

Test(record, a_further_token_takes_the_place_of_the_one_that_made_it)
{
    struct auth_session read;
    struct busi_str record = with_tokens(5, false);
    cr_assert_eq(record.len, write_record(&session).len);
    cr_assert(read_as(record, session.id, id_of(4), &read));
    for (int i = 0; i < 4; i++)
        expect_no_record(record, session.id, id_of(i));
    expect_no_record(record, session.id, session.token_id);
}

Test(record, the_token_that_is_used_is_not_given_up)
{
    enum { MANY = 3 * AUTH_BONDS_MOST };
    struct auth_session read;
    struct busi_str record = with_tokens(MANY, true);
    cr_assert_eq(record.len, write_record(&session).len + (size_t)(AUTH_BONDS_MOST - 1) * AUTH_BOND_BYTES);
    cr_assert(read_as(record, session.id, session.token_id, &read));
    for (int i = 0; i < MANY; i++)
        cr_assert_eq(read_as(record, session.id, id_of(i), &read), i >= MANY - (AUTH_BONDS_MOST - 1), "%d",
                     i);
}

/* Magic's tickets. */
Test(record, a_session_without_token_ids_stays_as_it_is)
{
    struct auth_session read;
    session.token_id = (struct busi_str){0};
    session.door = &self.doors[AUTH_DOOR_magic];
    struct busi_str record = write_record(&session);
    cr_assert(read_as(record, session.id, (struct busi_str){0}, &read));
    cr_assert_not(auth_record_bind(&read, KEY, (struct busi_str){0}, true, BUSI_STR(""), rooms[0]));
    cr_assert(busi_str_eq(write_record(&read), record));
    expect_no_record(record, session.id, BUSI_STR("some"));
}
