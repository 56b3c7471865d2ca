#include "sessions/record.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/text.h"
#include "crypto/secret.h"

enum {
    VERSION = 2,
    VERSION_OLD = 1,
    FLAG_CONFIRMED = 1,
    FLAG_ROLES = 2,
    TAG_BYTES = 16,
    HASH_BYTES = 32,
    AGENT_MOST_BYTES = 64,
    SHORT_MOST_BYTES = 255,
    RECORD_MOST_BYTES = 128 * 1024, /* meta is bounded by its column */
};

/* What the key hashes of other kinds begins otherwise: the NUL behind each is hashed, too. */
static const char tag_purpose[] = "busi session 2", bond_purpose[] = "busi session bond",
                  old_purpose[] = "busi session";

/* ---- writing ---- */

static void put_unsigned(struct busi_buf *out, uint64_t number, int n_bytes)
{
    for (int shift = 8 * (n_bytes - 1); shift >= 0; shift -= 8)
        busi_buf_char(out, (char)(number >> shift));
}

static void put_number(struct busi_buf *out, int64_t number)
{
    put_unsigned(out, (uint64_t)number, 8);
}

static void put_bytes(struct busi_buf *out, struct busi_str bytes)
{
    busi_buf_char(out, (char)bytes.len);
    busi_buf_str(out, bytes);
}

static void put_short(struct busi_buf *out, struct busi_str text)
{
    put_bytes(out, busi_utf8_cut(text, SHORT_MOST_BYTES));
}

static void put_long(struct busi_buf *out, struct busi_str text)
{
    put_unsigned(out, text.len, 4);
    busi_buf_str(out, text);
}

/* Who never had a role has no version. One that lost its last keeps it: no older word may come later. */
static void put_roles(struct busi_buf *out, const struct auth_session *session)
{
    if (session->roles_version == 0)
        return;
    put_unsigned(out, (uint64_t)session->roles_version, 4);
    put_unsigned(out, session->roles.len, 2);
    busi_buf_str(out, session->roles);
}

/* ---- hashes ---- */

#define TEXT(bytes) ((struct busi_str){(bytes), sizeof(bytes)})

/* The length goes before a text that another one follows: no two lists of texts look alike. */
static void hash(uint8_t out[HASH_BYTES], struct busi_str key, struct busi_str purpose, struct busi_str id,
                 struct busi_str rest)
{
    const char length = (char)id.len;
    const struct busi_str parts[] = {purpose, {&length, 1}, id, rest};
    busi_keyed_hash_parts(out, key, parts, 4);
}

static void hash_old(uint8_t out[HASH_BYTES], struct busi_str key, const struct auth_session *session,
                     struct busi_str rest)
{
    const char length = (char)session->id.len, token_length = (char)session->token_id.len;
    const struct busi_str parts[] = {TEXT(old_purpose),  {&length, 1},      session->id,
                                     {&token_length, 1}, session->token_id, rest};
    busi_keyed_hash_parts(out, key, parts, 6);
}

struct busi_str auth_record_write(struct busi_arena *arena, const struct auth_session *session,
                                  struct busi_str token_hash_key)
{
    uint8_t bond[HASH_BYTES], tag[HASH_BYTES];
    struct busi_buf out;
    struct busi_str record = {0};
    busi_buf_init(&out, RECORD_MOST_BYTES);
    busi_buf_char(&out, VERSION);
    busi_buf_char(
        &out, (char)((session->confirmed ? FLAG_CONFIRMED : 0) | (session->roles_version ? FLAG_ROLES : 0)));
    put_number(&out, session->user_id);
    put_number(&out, session->created_s);
    put_number(&out, session->expires_s);
    put_number(&out, session->epoch);
    put_short(&out, busi_str_of(session->door->name));
    put_short(&out, session->email);
    put_short(&out, session->username);
    put_short(&out, session->user_code);
    put_short(&out, session->remote_addr);
    put_short(&out, busi_utf8_cut(session->user_agent, AGENT_MOST_BYTES));
    put_long(&out, session->meta);
    put_long(&out, session->data);
    put_roles(&out, session);
    hash(bond, token_hash_key, TEXT(bond_purpose), session->id, session->token_id);
    bool first = session->token_id.len > 0 && session->bond.len == 0;
    put_bytes(&out, first ? (struct busi_str){(const char *)bond, AUTH_BOND_BYTES} : session->bond);
    hash(tag, token_hash_key, TEXT(tag_purpose), session->id, (struct busi_str){out.ptr, out.len});
    busi_buf_add(&out, tag, TAG_BYTES);
    if (!out.failed)
        record = busi_arena_dup(arena, (struct busi_str){out.ptr, out.len});
    busi_buf_fini(&out);
    return record;
}

/* ---- reading ---- */

/* Bytes not read yet; past their end everything is zero and `bad`. */
struct cursor {
    const char *at;
    size_t left;
    bool bad;
};

static struct busi_str take(struct cursor *in, size_t n)
{
    struct busi_str bytes = {in->at, n};
    if (in->bad || n > in->left) {
        in->bad = true;
        return (struct busi_str){0};
    }
    in->at += n;
    in->left -= n;
    return bytes;
}

static uint64_t take_unsigned(struct cursor *in, size_t n_bytes)
{
    struct busi_str bytes = take(in, n_bytes);
    uint64_t number = 0;
    for (size_t i = 0; i < bytes.len; i++)
        number = number << 8 | (unsigned char)bytes.ptr[i];
    return number;
}

static int64_t take_number(struct cursor *in)
{
    return (int64_t)take_unsigned(in, 8);
}

/* An empty text is an absent one. */
static struct busi_str take_text(struct cursor *in, size_t length_bytes)
{
    struct busi_str text = take(in, (size_t)take_unsigned(in, length_bytes));
    return text.len ? text : (struct busi_str){0};
}

static void take_roles(struct cursor *in, struct auth_session *session)
{
    session->roles_version = (int64_t)take_unsigned(in, 4);
    session->roles = take_text(in, 2);
}

static void take_door(struct cursor *in, const struct auth *self, struct auth_session *session)
{
    session->door = auth_door_find(self->doors, take_text(in, 1));
    in->bad |= !session->door; /* a door that was closed: nobody comes in by it */
}

static bool same(struct busi_str bytes, const uint8_t *right, size_t n)
{
    return bytes.len == n && busi_same_bytes(bytes.ptr, right, n);
}

static bool bound(const struct auth_session *session, struct busi_str key)
{
    uint8_t right[HASH_BYTES];
    bool good = session->token_id.len == 0;
    hash(right, key, TEXT(bond_purpose), session->id, session->token_id);
    for (size_t at = 0; at + AUTH_BOND_BYTES <= session->bond.len; at += AUTH_BOND_BYTES)
        good |= busi_same_bytes(session->bond.ptr + at, right, AUTH_BOND_BYTES);
    return good;
}

static bool read_current(const struct auth *self, struct busi_str record, struct auth_session *session)
{
    struct cursor in = {record.ptr, record.len, false};
    uint8_t right[HASH_BYTES];
    take(&in, 1);
    uint64_t flags = take_unsigned(&in, 1);
    session->confirmed = flags & FLAG_CONFIRMED;
    session->user_id = take_number(&in);
    session->created_s = take_number(&in);
    session->expires_s = take_number(&in);
    session->epoch = take_number(&in);
    take_door(&in, self, session);
    session->email = take_text(&in, 1);
    session->username = take_text(&in, 1);
    session->user_code = take_text(&in, 1);
    session->remote_addr = take_text(&in, 1);
    session->user_agent = take_text(&in, 1);
    session->meta = take_text(&in, 4);
    session->data = take_text(&in, 4);
    if (flags & FLAG_ROLES)
        take_roles(&in, session);
    session->bond = take_text(&in, 1);
    struct busi_str hashed = {record.ptr, record.len - in.left}, tag = take(&in, TAG_BYTES);
    if (in.bad || in.left > 0)
        return false;
    hash(right, self->token_hash_key, TEXT(tag_purpose), session->id, hashed);
    return same(tag, right, TAG_BYTES) && bound(session, self->token_hash_key);
}

static bool read_old(const struct auth *self, struct busi_str record, struct auth_session *session)
{
    struct cursor in = {record.ptr, record.len, false};
    uint8_t right[HASH_BYTES];
    take(&in, 1);
    session->user_id = take_number(&in);
    session->created_s = take_number(&in);
    session->expires_s = take_number(&in);
    take_door(&in, self, session);
    struct busi_str hashed = {record.ptr, record.len - in.left}, tag = take(&in, HASH_BYTES);
    if (in.bad || in.left > 0)
        return false;
    hash_old(right, self->token_hash_key, session, hashed);
    session->bare = !session->token_id.len;
    return session->bare || same(tag, right, HASH_BYTES);
}

bool auth_record_read(const struct auth *self, struct busi_str record, struct auth_session *session)
{
    struct auth_session read = {.id = session->id, .token_id = session->token_id};
    bool good = record.len > 0 && (record.ptr[0] == VERSION       ? read_current(self, record, &read)
                                   : record.ptr[0] == VERSION_OLD ? read_old(self, record, &read)
                                                                  : false);
    if (good)
        *session = read;
    return good;
}

bool auth_record_read_living(const struct auth *self, struct busi_str record, struct auth_session *session)
{
    struct auth_session read = *session;
    if (!auth_record_read(self, record, &read) ||
        (read.expires_s && read.expires_s <= busi_wall_us() / 1000000))
        return false;
    *session = read;
    return true;
}

/* ---- binding ---- */

bool auth_record_bind(struct auth_session *session, struct busi_str token_hash_key, struct busi_str used,
                      bool kept, struct busi_str added, char room[AUTH_BONDS_MOST * AUTH_BOND_BYTES])
{
    uint8_t of_used[HASH_BYTES], of_added[HASH_BYTES];
    const char *before = session->bond.ptr;
    size_t most = (AUTH_BONDS_MOST - (kept ? 2 : 1)) * (size_t)AUTH_BOND_BYTES, len = 0, others = 0;
    if (added.len == 0)
        return false;
    hash(of_used, token_hash_key, TEXT(bond_purpose), session->id, used);
    hash(of_added, token_hash_key, TEXT(bond_purpose), session->id, added);
    for (size_t at = 0; at < session->bond.len; at += AUTH_BOND_BYTES)
        others += busi_same_bytes(before + at, of_used, AUTH_BOND_BYTES) ? 0 : AUTH_BOND_BYTES;
    size_t surplus = others > most ? others - most : 0;
    for (size_t at = 0, passed = 0; at < session->bond.len; at += AUTH_BOND_BYTES) {
        if (busi_same_bytes(before + at, of_used, AUTH_BOND_BYTES))
            continue;
        passed += AUTH_BOND_BYTES;
        if (passed <= surplus)
            continue;
        memcpy(room + len, before + at, AUTH_BOND_BYTES);
        len += AUTH_BOND_BYTES;
    }
    if (kept) {
        memcpy(room + len, of_used, AUTH_BOND_BYTES);
        len += AUTH_BOND_BYTES;
    }
    memcpy(room + len, of_added, AUTH_BOND_BYTES);
    session->bond = (struct busi_str){room, len + AUTH_BOND_BYTES};
    return surplus > 0 || !kept;
}
