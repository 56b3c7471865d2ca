#include "import/row.h"
#include "accounts/new_user.h"
#include "base/json_text.h"
#include "base/roles.h"
#include "base/text.h"
#include "core/email.h"
#include "import/csv.h"
#include "import/timestamp.h"

enum { SHOWN_MOST_BYTES = 64, REASON_MOST_BYTES = 1024, EXTERNAL_ID_MOST_BYTES = 255 };

enum kind { TEXT, FLAG, TIME, OBJECT, NAMES };
static const struct {
    struct busi_str name;
    enum kind kind;
} fields[] = {
#define IMPORT_FIELD(name, kind) {{#name, sizeof(#name) - 1}, kind},
#include "import/fields.def"
#undef IMPORT_FIELD
};

/* AUTH_IMPORT_FIELDS: none has this name. */
static size_t find_field(struct busi_str name)
{
    size_t i = 0;
    while (i < AUTH_IMPORT_FIELDS && !busi_str_eq(name, fields[i].name))
        i++;
    return i;
}

/* What somebody may have typed is shown short: it can be anything. */
static const char *fault(struct busi_call *call, const char *what, struct busi_str which, const char *is)
{
    struct busi_str text = busi_arena_printf(&call->arena, "%s'%.*s'%s", what,
                                             BUSI_ARG(busi_utf8_cut(which, SHOWN_MOST_BYTES)), is);
    return text.ptr ? text.ptr : "is too much at once";
}

static const char *prefixed(struct busi_call *call, const char *field, const char *why)
{
    struct busi_str text = busi_arena_printf(&call->arena, "%s%s", field, why);
    return text.ptr ? text.ptr : "is too much at once";
}

/* ---- JSON ---- */

static const char no_object[] = "is not one JSON object";

/* Past a list or an object, whose contents are judged by whoever reads them. */
static bool take_nested(struct busi_json_reader *in, struct busi_arena *arena, struct busi_str *out)
{
    const char *begin = in->at;
    size_t depth = 0;
    do {
        struct busi_str unused;
        char c = busi_json_peek(in);
        if (in->at == in->end || (c == '"' && !busi_json_take_string(in, arena, &unused)))
            return false;
        in->at += c != '"';
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
    } while (depth > 0);
    *out = (struct busi_str){begin, (size_t)(in->at - begin)};
    return true;
}

/* Texts of a list, joined by commas; no name of a role has one. */
static bool take_names(struct busi_json_reader *in, struct busi_arena *arena, struct busi_str *out)
{
    struct busi_str name, sum = BUSI_STR("");
    in->at++;
    busi_json_skip_space(in);
    for (bool first = true; !busi_json_take_char(in, ']'); first = false) {
        if (!first && !busi_json_take_char(in, ','))
            return false;
        busi_json_skip_space(in);
        if (!busi_json_take_string(in, arena, &name))
            return false;
        sum = busi_arena_printf(arena, "%.*s%s%.*s", BUSI_ARG(sum), first ? "" : ",", BUSI_ARG(name));
        if (!sum.ptr)
            return false;
        busi_json_skip_space(in);
    }
    *out = sum;
    return true;
}

static bool take_word(struct busi_json_reader *in, const char *word, struct busi_str *out)
{
    *out = busi_str_of(word);
    return busi_json_take_word(in, *out);
}

/* *fits: the value is of a type that the field may have. */
static bool take_value(struct busi_json_reader *in, struct busi_arena *arena, enum kind kind,
                       struct busi_str *out, bool *fits)
{
    bool integer = false;
    char c = busi_json_peek(in);
    *fits = c == 'n';
    *out = (struct busi_str){0};
    switch (c) {
    case 'n':
        return busi_json_take_word(in, BUSI_STR("null"));
    case 't':
    case 'f':
        *fits = kind == FLAG;
        return take_word(in, c == 't' ? "true" : "false", out);
    case '"':
        *fits = kind != FLAG;
        return busi_json_take_string(in, arena, out);
    case '{':
        *fits = kind == OBJECT;
        return take_nested(in, arena, out);
    case '[':
        *fits = kind == NAMES;
        return *fits ? take_names(in, arena, out) : take_nested(in, arena, out);
    default:
        if (!busi_json_take_number(in, out, &integer))
            return false;
        *fits = kind == TEXT && integer;
        return true;
    }
}

static const char *take_member(struct busi_call *call, struct busi_json_reader *in, bool seen[],
                               struct auth_import_row *row)
{
    struct busi_str name;
    bool fits;
    if (!busi_json_take_string(in, &call->arena, &name))
        return no_object;
    size_t field = find_field(name);
    if (field == AUTH_IMPORT_FIELDS)
        return fault(call, "unknown field ", name, "");
    if (seen[field])
        return fault(call, "", name, " stands twice");
    seen[field] = true;
    busi_json_skip_space(in);
    if (!busi_json_take_char(in, ':'))
        return no_object;
    busi_json_skip_space(in);
    if (!take_value(in, &call->arena, fields[field].kind, &row->field[field], &fits))
        return no_object;
    busi_json_skip_space(in);
    return fits ? NULL : fault(call, "", name, " is of another type");
}

static const char *read_json(struct busi_call *call, struct busi_str record, struct auth_import_row *row)
{
    struct busi_json_reader in = {record.ptr, record.ptr + record.len};
    bool seen[AUTH_IMPORT_FIELDS] = {0};
    busi_json_skip_space(&in);
    if (!busi_json_take_char(&in, '{'))
        return no_object;
    busi_json_skip_space(&in);
    for (bool first = true; !busi_json_take_char(&in, '}'); first = false) {
        if (!first && !busi_json_take_char(&in, ','))
            return no_object;
        busi_json_skip_space(&in);
        const char *why = take_member(call, &in, seen, row);
        if (why)
            return why;
    }
    busi_json_skip_space(&in);
    return in.at == in.end ? NULL : no_object;
}

/* ---- CSV ---- */

const char *auth_import_header(struct busi_call *call, struct busi_str record,
                               struct auth_import_rules *rules)
{
    struct busi_str names[AUTH_IMPORT_FIELDS];
    bool seen[AUTH_IMPORT_FIELDS] = {0};
    const char *why =
        auth_import_csv_split(&call->arena, record, names, AUTH_IMPORT_FIELDS, &rules->n_columns);
    for (size_t i = 0; i < rules->n_columns && !why; i++) {
        size_t field = find_field(names[i]);
        if (field == AUTH_IMPORT_FIELDS)
            return fault(call, "unknown column ", names[i], "");
        if (seen[field])
            return fault(call, "column ", names[i], " stands twice");
        seen[field] = true;
        rules->columns[i] = (enum auth_import_field)field;
    }
    return why;
}

/* As JSON has it. */
static bool read_flag(struct busi_str text, struct busi_str *out)
{
    static const char *const words[][2] = {{"true", "false"}, {"t", "f"}, {"1", "0"}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        for (size_t k = 0; k < 2; k++)
            if (busi_str_ieq(text, busi_str_of(words[i][k]))) {
                *out = busi_str_of(words[0][k]);
                return true;
            }
    return false;
}

static const char *read_csv(struct busi_call *call, const struct auth_import_rules *rules,
                            struct busi_str record, struct auth_import_row *row)
{
    struct busi_str texts[AUTH_IMPORT_FIELDS];
    size_t n = 0;
    const char *why = auth_import_csv_split(&call->arena, record, texts, rules->n_columns, &n);
    if (why)
        return why;
    if (n < rules->n_columns)
        return "has fewer fields than the first line";
    for (size_t i = 0; i < n; i++) {
        enum auth_import_field field = rules->columns[i];
        row->field[field] = texts[i];
        if (texts[i].ptr && fields[field].kind == FLAG && !read_flag(texts[i], &row->field[field]))
            return fault(call, "", fields[field].name, " is neither true nor false");
    }
    return NULL;
}

/* ---- what it says ---- */

static const char *violations(struct busi_call *call)
{
    struct busi_buf text;
    const char *reason = "is too much at once";
    busi_buf_init(&text, REASON_MOST_BYTES);
    for (size_t i = 0; i < call->n_violations; i++) {
        const struct busi_violation *violation = &call->violations[i];
        busi_buf_printf(&text, "%s%.*s ", i > 0 ? ", " : "", BUSI_ARG(violation->field));
        busi_rule_print(&text, (int)violation->rule, violation->limit);
    }
    if (!text.failed)
        reason = busi_arena_dup(&call->arena, (struct busi_str){text.ptr, text.len}).ptr;
    busi_buf_fini(&text);
    return reason;
}

static const char *read_roles(struct busi_call *call, const struct auth_import_rules *rules,
                              struct busi_str *roles)
{
    struct busi_str key = auth_name_key(&call->arena, *roles), rest = key;
    if (!key.ptr || key.len > BUSI_ROLES_MOST)
        return "has too many roles";
    for (struct busi_str name; (name = busi_roles_next(&rest)).ptr;) {
        if (!busi_role_name_valid(name) || !busi_roles_have(rules->roles, name))
            return fault(call, "there is no role ", name, "");
        if (busi_str_eq(name, BUSI_ROLE_ROOT) && !rules->allow_root)
            return "nobody is imported as root (--allow-root)";
    }
    *roles = key;
    return NULL;
}

/* When, of one that says only that it is. */
static const char *read_times(struct busi_call *call, struct auth_import_row *row)
{
    struct busi_str *confirmed = &row->field[AUTH_IMPORT_confirmed],
                    *at = &row->field[AUTH_IMPORT_confirmed_at],
                    *inserted = &row->field[AUTH_IMPORT_inserted_at];
    if (at->ptr && !auth_import_time(&call->arena, *at, at))
        return "confirmed_at is no time";
    if (inserted->ptr && !auth_import_time(&call->arena, *inserted, inserted))
        return "inserted_at is no time";
    if (at->ptr && busi_str_eq(*confirmed, BUSI_STR("false")))
        return "confirmed is false, but confirmed_at says when";
    if (!at->ptr && busi_str_eq(*confirmed, BUSI_STR("true")))
        *at = inserted->ptr ? *inserted : BUSI_STR("now");
    return NULL;
}

static const char *judge(struct busi_call *call, const struct auth_import_rules *rules,
                         struct auth_import_row *row)
{
    struct busi_str *field = row->field;
    const char *why = field[AUTH_IMPORT_password_hash].ptr
                          ? busi_password_fault(field[AUTH_IMPORT_password_hash], rules->cost)
                          : NULL;
    if (!auth_imported_user_check(call, field[AUTH_IMPORT_email], field[AUTH_IMPORT_username],
                                  field[AUTH_IMPORT_meta], &row->username))
        return violations(call);
    if (why)
        return prefixed(call, "password_hash ", why);
    if (field[AUTH_IMPORT_external_id].ptr && (field[AUTH_IMPORT_external_id].len == 0 ||
                                               field[AUTH_IMPORT_external_id].len > EXTERNAL_ID_MOST_BYTES))
        return "external_id has not 1 to 255 bytes";
    why = field[AUTH_IMPORT_roles].ptr ? read_roles(call, rules, &field[AUTH_IMPORT_roles]) : NULL;
    return why ? why : read_times(call, row);
}

const char *auth_import_read(struct busi_call *call, const struct auth_import_rules *rules,
                             struct busi_str record, struct auth_import_row *row)
{
    *row = (struct auth_import_row){0};
    call->n_violations = 0;
    const char *why = rules->csv ? read_csv(call, rules, record, row) : read_json(call, record, row);
    if (!why)
        why = judge(call, rules, row);
    if (why || !row->field[AUTH_IMPORT_email].ptr)
        return why;
    row->email_key = auth_name_key(&call->arena, row->field[AUTH_IMPORT_email]);
    return row->email_key.ptr ? NULL : "is too much at once";
}
