#include "rpc/envelope.h"
#include "rpc/forms.h"

/* Keys of the envelope, one space for requests and replies. Never reused, never renumbered. */
enum {
    KEY_VERSION = 1,
    KEY_METHOD = 2,
    KEY_ID = 3,
    KEY_BUDGET_MS = 4,
    KEY_REQUEST_ID = 5,
    KEY_TRACEPARENT = 6,
    KEY_USER_ID = 7,
    KEY_IDEMPOTENCY_KEY = 8,
    KEY_BODY = 9,
    KEY_CODE = 10,
    KEY_MESSAGE = 11,
    KEY_VIOLATIONS = 12,
    KEY_RETRY_AFTER_MS = 13,
    KEY_DRAINING = 14,
    KEY_REMOTE_ADDR = 15,
    KEY_USER_AGENT = 16,
    KEY_LANGUAGE = 17,
    KEY_QUOTA = 18,
    KEY_STRATEGY = 19,
    KEY_PHASE = 20,
    KEY_LAST = KEY_PHASE
};
#define BIT(key) (1u << (key))

enum {
    MAX_PAIRS = 64, /* the known ones and those of later versions */
    MAX_METHOD = 64,
    MAX_REQUEST_ID = 64,
    MAX_TRACEPARENT = 512, /* a form we do not know is dropped, not refused */
    MAX_IDEMPOTENCY_KEY = 255,
    MAX_MESSAGE = 256,
    MAX_REMOTE_ADDR = 45,
    MAX_USER_AGENT = 512,
    MAX_LANGUAGE = 35,
    MAX_ACTIVITY = 64,
    MAX_CODE = 255,
    MAX_BUDGET_MS = 30000,
    MAX_RETRY_AFTER_MS = 3600000,
    TYPICAL_BYTES = 512
};

/* ---- writing ---- */

static void put_int(msgpack_packer *pk, int key, int64_t value)
{
    msgpack_pack_int(pk, key);
    msgpack_pack_int64(pk, value);
}

static void put_text(msgpack_packer *pk, int key, struct busi_str text)
{
    msgpack_pack_int(pk, key);
    msgpack_pack_str(pk, text.len);
    msgpack_pack_str_body(pk, text.ptr, text.len);
}

static size_t origin_pairs(const struct busi_origin *origin)
{
    return (size_t)(origin->remote_addr.len > 0) + (origin->user_agent.len > 0) + (origin->language.len > 0) +
           (origin->strategy.len > 0) + (origin->phase.len > 0);
}

static void put_origin(msgpack_packer *pk, const struct busi_origin *origin)
{
    if (origin->remote_addr.len > 0)
        put_text(pk, KEY_REMOTE_ADDR, origin->remote_addr);
    if (origin->user_agent.len > 0)
        put_text(pk, KEY_USER_AGENT, origin->user_agent);
    if (origin->language.len > 0)
        put_text(pk, KEY_LANGUAGE, origin->language);
    if (origin->strategy.len > 0)
        put_text(pk, KEY_STRATEGY, origin->strategy);
    if (origin->phase.len > 0)
        put_text(pk, KEY_PHASE, origin->phase);
}

void busi_request_encode(struct busi_buf *out, const struct busi_request_head *head,
                         const struct busi_desc *desc, const void *message)
{
    msgpack_packer pk;
    busi_buf_reserve(out, TYPICAL_BYTES);
    busi_packer_init(&pk, out);
    msgpack_pack_map(&pk, (size_t)5 + (head->request_id.len > 0) + (head->traceparent.len > 0) +
                              (head->user_id != 0) + (head->idempotency_key.ptr != NULL) +
                              origin_pairs(&head->origin));
    put_int(&pk, KEY_VERSION, BUSI_RPC_VERSION);
    put_text(&pk, KEY_METHOD, head->method);
    msgpack_pack_int(&pk, KEY_ID);
    msgpack_pack_uint64(&pk, head->id);
    put_int(&pk, KEY_BUDGET_MS, head->budget_ms);
    if (head->request_id.len > 0)
        put_text(&pk, KEY_REQUEST_ID, head->request_id);
    if (head->traceparent.len > 0)
        put_text(&pk, KEY_TRACEPARENT, head->traceparent);
    if (head->user_id != 0)
        put_int(&pk, KEY_USER_ID, head->user_id);
    if (head->idempotency_key.ptr)
        put_text(&pk, KEY_IDEMPOTENCY_KEY, head->idempotency_key);
    put_origin(&pk, &head->origin);
    msgpack_pack_int(&pk, KEY_BODY);
    busi_encode(&pk, out, desc, message);
}

/* At most limit bytes, not cut inside a character. */
static struct busi_str clip(struct busi_str text, size_t limit)
{
    if (text.len > limit) {
        text.len = limit;
        while (text.len > 0 && ((unsigned char)text.ptr[text.len] & 0xC0) == 0x80)
            text.len--;
    }
    return text;
}

static void put_failure(msgpack_packer *pk, struct busi_buf *out, const struct busi_call *call)
{
    if (call->message.ptr)
        put_text(pk, KEY_MESSAGE, clip(call->message, MAX_MESSAGE));
    if (call->n_violations > 0) {
        msgpack_pack_int(pk, KEY_VIOLATIONS);
        msgpack_pack_array(pk, call->n_violations);
        for (size_t i = 0; i < call->n_violations; i++)
            busi_encode(pk, out, busi_desc_violation(), &call->violations[i]);
    }
    if (call->retry_after_ms > 0)
        put_int(pk, KEY_RETRY_AFTER_MS,
                call->retry_after_ms < MAX_RETRY_AFTER_MS ? call->retry_after_ms : MAX_RETRY_AFTER_MS);
    if (call->quota.limit > 0) {
        msgpack_pack_int(pk, KEY_QUOTA);
        busi_encode(pk, out, busi_desc_quota(), &call->quota);
    }
}

void busi_reply_encode(struct busi_buf *out, uint64_t id, enum busi_code code, const struct busi_call *call,
                       const struct busi_desc *desc, const void *message)
{
    msgpack_packer pk;
    busi_buf_reserve(out, TYPICAL_BYTES);
    busi_packer_init(&pk, out);
    bool ok = code == BUSI_OK;
    msgpack_pack_map(&pk, ok ? 4
                             : (size_t)3 + (call->message.ptr != NULL) + (call->n_violations > 0) +
                                   (call->retry_after_ms > 0) + (call->quota.limit > 0));
    put_int(&pk, KEY_VERSION, BUSI_RPC_VERSION);
    msgpack_pack_int(&pk, KEY_ID);
    msgpack_pack_uint64(&pk, id);
    put_int(&pk, KEY_CODE, code);
    if (!ok) {
        put_failure(&pk, out, call);
        return;
    }
    msgpack_pack_int(&pk, KEY_BODY);
    busi_encode(&pk, out, desc, message);
}

void busi_notice_encode(struct busi_buf *out, bool draining)
{
    msgpack_packer pk;
    busi_packer_init(&pk, out);
    msgpack_pack_map(&pk, 3);
    put_int(&pk, KEY_VERSION, BUSI_RPC_VERSION);
    put_int(&pk, KEY_ID, 0);
    msgpack_pack_int(&pk, KEY_DRAINING);
    if (draining)
        msgpack_pack_true(&pk);
    else
        msgpack_pack_false(&pk);
}

/* ---- reading ---- */

/* A walk over the pairs of the one map of a frame. */
struct walk {
    struct busi_reader reader;
    uint32_t left;   /* pairs not yet begun */
    uint32_t seen;   /* BIT(key) of the known keys met */
    const char *bad; /* static; the first fault */
    bool foreign;    /* of a version not spoken here */
};

static bool fault(struct walk *walk, const char *bad)
{
    if (!walk->bad)
        walk->bad = bad;
    return false;
}

static void walk_begin(struct walk *walk, struct busi_str frame, size_t most)
{
    *walk = (struct walk){0};
    busi_reader_init(&walk->reader, frame.ptr, frame.len);
    if (frame.len == 0 || frame.len > most) {
        fault(walk, "envelope: empty or too large");
        return;
    }
    walk->left = busi_read_map(&walk->reader);
    if (walk->left > MAX_PAIRS)
        fault(walk, "envelope: too many keys");
}

/* The next known key; unknown ones are skipped. 0 at the end, also the end by a fault. */
static int walk_next(struct walk *walk)
{
    while (walk->left > 0 && !walk->bad && busi_reader_ok(&walk->reader)) {
        walk->left--;
        int64_t key = busi_read_int(&walk->reader);
        if (key < KEY_VERSION || key > KEY_LAST) {
            busi_skip(&walk->reader);
            continue;
        }
        if (walk->seen & BIT(key)) {
            fault(walk, "envelope: duplicate key");
            return 0;
        }
        walk->seen |= BIT(key);
        return (int)key;
    }
    return 0;
}

static bool walk_end(struct walk *walk, uint32_t required)
{
    if (walk->bad)
        return false;
    busi_read_leave(&walk->reader);
    if (!busi_reader_ok(&walk->reader))
        return fault(walk, walk->reader.error);
    if (!busi_reader_done(&walk->reader))
        return fault(walk, "envelope: trailing bytes");
    if (walk->foreign)
        return fault(walk, "version: only 1 is spoken here");
    if ((walk->seen & required) != required)
        return fault(walk, "envelope: a required key is missing");
    return true;
}

static void read_version(struct walk *walk)
{
    walk->foreign = busi_read_int(&walk->reader) != BUSI_RPC_VERSION;
}

static uint64_t read_id(struct walk *walk)
{
    int64_t id = busi_read_int(&walk->reader);
    if (id < 0)
        fault(walk, "id: negative");
    return id > 0 && busi_reader_ok(&walk->reader) ? (uint64_t)id : 0;
}

static bool map_ahead(uint8_t byte)
{
    return (byte & 0xF0) == 0x80 || byte == 0xDE || byte == 0xDF;
}

static bool array_ahead(uint8_t byte)
{
    return (byte & 0xF0) == 0x90 || byte == 0xDC || byte == 0xDD;
}

/* As the last value the body is the rest of the frame, unread: whoever decodes it checks every byte and
 * that nothing follows, and a long list is walked once instead of twice. */
static struct busi_str read_body(struct walk *walk)
{
    struct busi_reader *r = &walk->reader;
    if (!busi_reader_ok(r) || r->at == r->end || !map_ahead(*r->at)) {
        fault(walk, "body: not a map");
        return (struct busi_str){0};
    }
    if (walk->left > 0)
        return busi_read_raw(r);
    struct busi_str rest = {(const char *)r->at, (size_t)(r->end - r->at)};
    r->at = r->end;
    return rest;
}

static void read_budget(struct walk *walk, struct busi_request_head *head)
{
    int64_t ms = busi_read_int(&walk->reader);
    head->budget_ms = ms < 0 ? 0 : ms > MAX_BUDGET_MS ? MAX_BUDGET_MS : ms;
}

static struct busi_str read_activity(struct walk *walk)
{
    struct busi_str name = busi_read_text(&walk->reader, MAX_ACTIVITY);
    if (busi_reader_ok(&walk->reader) && !busi_form_id(name))
        fault(walk, "strategy or phase: other than [A-Za-z0-9._-]");
    return name;
}

static void read_origin_key(struct walk *walk, int key, struct busi_origin *origin)
{
    struct busi_reader *r = &walk->reader;
    switch (key) {
    case KEY_REMOTE_ADDR:
        origin->remote_addr = busi_read_text(r, MAX_REMOTE_ADDR);
        if (busi_reader_ok(r) && !busi_form_address(origin->remote_addr))
            fault(walk, "remote_addr: other than [0-9A-Fa-f.:]");
        break;
    case KEY_USER_AGENT:
        origin->user_agent = busi_read_text(r, MAX_USER_AGENT);
        break;
    case KEY_LANGUAGE:
        origin->language = busi_read_text(r, MAX_LANGUAGE);
        if (busi_reader_ok(r) && !busi_form_language(origin->language))
            fault(walk, "language: other than [A-Za-z0-9-]");
        break;
    case KEY_STRATEGY:
        origin->strategy = read_activity(walk);
        break;
    case KEY_PHASE:
        origin->phase = read_activity(walk);
        break;
    default:
        busi_skip(r); /* a key of replies */
        break;
    }
}

static void read_request_key(struct walk *walk, int key, struct busi_request_head *head)
{
    struct busi_reader *r = &walk->reader;
    switch (key) {
    case KEY_VERSION:
        read_version(walk);
        break;
    case KEY_METHOD:
        head->method = busi_read_text(r, MAX_METHOD);
        break;
    case KEY_ID:
        head->id = read_id(walk);
        break;
    case KEY_BUDGET_MS:
        read_budget(walk, head);
        break;
    case KEY_REQUEST_ID:
        head->request_id = busi_read_text(r, MAX_REQUEST_ID);
        if (busi_reader_ok(r) && !busi_form_id(head->request_id))
            fault(walk, "request_id: other than [A-Za-z0-9._-]");
        break;
    case KEY_TRACEPARENT:
        head->traceparent = busi_read_text(r, MAX_TRACEPARENT);
        if (busi_reader_ok(r) && !busi_form_trace(head->traceparent))
            head->traceparent = (struct busi_str){0};
        break;
    case KEY_USER_ID:
        head->user_id = busi_read_int(r);
        if (head->user_id < 0)
            fault(walk, "user_id: negative");
        break;
    case KEY_IDEMPOTENCY_KEY:
        head->idempotency_key = busi_read_text(r, MAX_IDEMPOTENCY_KEY);
        if (busi_reader_ok(r) && !busi_form_visible(head->idempotency_key))
            fault(walk, "idempotency_key: other than visible ASCII");
        break;
    case KEY_BODY:
        head->body = read_body(walk);
        break;
    default:
        read_origin_key(walk, key, &head->origin);
        break;
    }
}

bool busi_request_decode(struct busi_str frame, struct busi_request_head *head, const char **bad)
{
    const uint32_t required =
        BIT(KEY_VERSION) | BIT(KEY_METHOD) | BIT(KEY_ID) | BIT(KEY_BUDGET_MS) | BIT(KEY_BODY);
    *head = (struct busi_request_head){0};
    struct walk walk;
    walk_begin(&walk, frame, BUSI_RPC_MAX_REQUEST);
    for (int key = walk_next(&walk); key != 0; key = walk_next(&walk))
        read_request_key(&walk, key, head);
    bool fine = walk_end(&walk, required);
    if (fine && head->id == 0)
        fine = fault(&walk, "id: zero");
    if (!fine)
        *head = (struct busi_request_head){.id = head->id};
    *bad = walk.bad;
    return fine;
}

static struct busi_str read_violations(struct walk *walk)
{
    struct busi_reader *r = &walk->reader;
    if (busi_reader_ok(r) && r->at != r->end && !array_ahead(*r->at))
        fault(walk, "violations: not an array");
    return busi_read_raw(r);
}

static struct busi_str read_quota(struct walk *walk)
{
    struct busi_reader *r = &walk->reader;
    if (busi_reader_ok(r) && r->at != r->end && !map_ahead(*r->at))
        fault(walk, "quota: not a map");
    return busi_read_raw(r);
}

static void read_code(struct walk *walk, struct busi_reply_head *head)
{
    int64_t code = busi_read_int(&walk->reader);
    if (code < 0 || code > MAX_CODE)
        fault(walk, "code: out of range");
    else
        head->code = (int)code;
}

static void read_reply_key(struct walk *walk, int key, struct busi_reply_head *head)
{
    struct busi_reader *r = &walk->reader;
    switch (key) {
    case KEY_VERSION:
        read_version(walk);
        break;
    case KEY_ID:
        head->id = read_id(walk);
        break;
    case KEY_CODE:
        read_code(walk, head);
        break;
    case KEY_MESSAGE:
        head->message = busi_read_text(r, MAX_MESSAGE);
        break;
    case KEY_VIOLATIONS:
        head->violations = read_violations(walk);
        break;
    case KEY_RETRY_AFTER_MS:
        head->retry_after_ms = busi_read_int(r);
        if (head->retry_after_ms < 0 || head->retry_after_ms > MAX_RETRY_AFTER_MS)
            fault(walk, "retry_after_ms: out of range");
        break;
    case KEY_DRAINING:
        head->draining = busi_read_bool(r);
        break;
    case KEY_QUOTA:
        head->quota = read_quota(walk);
        break;
    case KEY_BODY:
        head->body = read_body(walk);
        break;
    default:
        busi_skip(r); /* a key of requests */
        break;
    }
}

bool busi_reply_decode(struct busi_str frame, struct busi_reply_head *head, const char **bad)
{
    *head = (struct busi_reply_head){0};
    struct walk walk;
    walk_begin(&walk, frame, BUSI_RPC_MAX_REPLY);
    for (int key = walk_next(&walk); key != 0; key = walk_next(&walk))
        read_reply_key(&walk, key, head);
    bool fine = walk_end(&walk, BIT(KEY_VERSION) | BIT(KEY_ID));
    if (fine && head->id != 0 && !(walk.seen & BIT(KEY_CODE)))
        fine = fault(&walk, "code: missing");
    if (fine && head->id != 0 && head->code == BUSI_OK && !head->body.ptr)
        fine = fault(&walk, "body: missing");
    if (!fine)
        *head = (struct busi_reply_head){0};
    *bad = walk.bad;
    return fine;
}
