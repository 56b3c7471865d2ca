"""The magic surface, row by row as its clients know it: what root does with users, roles, extras and the log."""
import datetime, os, subprocess, time
import pytest
from magic import *


@pytest.fixture(scope="module")
def root():
    return make_root()


@pytest.fixture(scope="module")
def ann():
    return Account()


def rows(path, token, **arguments):
    return expect_status(call("GET", path, token, **arguments), 200).json


def count(path, token, **arguments):
    answer = expect_status(call("GET", path, token, **arguments), 200)
    assert list(answer.json) == ["count"], answer
    return answer.json["count"]


def new_user(root, name=None):
    name = name or new_name()
    expect_result(call("POST", ADMIN + "users", root, username=name, password=TICKET_PASSWORD), "success", 201)
    return name


def new_role(root):
    name = new_name()
    expect_result(call("POST", ADMIN + "roles", root, name=name, description="of a test"), "success", 201)
    return name


# ---- imprison ----
def imprison(token, **arguments):
    return call("PUT", AUTH + "imprison", token, **arguments)


def test_who_is_imprisoned_is_out_until_the_date(root):
    bob = Account()
    until = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    expect_result(imprison(root, username=bob.name, releaseDate=until), "success")
    assert not is_good(bob.ticket)
    expect_denied(authenticate(bob.name))
    assert sql(f"SELECT blocked_until = '{until}' FROM auth.users WHERE username = '{bob.name}'") == "t"
    purge()
    expect_denied(authenticate(bob.name))
    sql(f"UPDATE auth.users SET blocked_until = now() WHERE username = '{bob.name}'")
    purge()
    assert is_good(expect_ticket(authenticate(bob.name))) and not is_good(bob.ticket)
    events = sql(f"SELECT string_agg(event, ',' ORDER BY audit.id) FROM auth.audit JOIN auth.users ON users.id = user_id WHERE username = '{bob.name}'"
                 " AND event LIKE '%block_user'")
    assert events == "block_user,unblock_user"


def test_a_block_without_an_end_is_not_ended_by_one_with(root):
    bob = Account()
    expect_result(imprison(root, username=bob.name, releaseDate="2099-01-01"), "success")
    user_id = int(sql(f"SELECT id FROM auth.users WHERE username = '{bob.name}'"))
    with worker("auth") as client:
        client.call("auth.BlockUser", {1: user_id}, timeout_ms=4000)
    assert sql(f"SELECT blocked_until IS NULL FROM auth.users WHERE id = {user_id}") == "t"


def test_imprison_refuses(root, ann):
    expect_message(imprison(root, username=ann.name), 400, "Mandatory argument 'releaseDate' not given", "releaseDate")
    expect_message(imprison(root, releaseDate="2099-01-01"), 400, "Mandatory argument 'username' not given", "username")
    expect_message(imprison(root, username=ann.name, releaseDate="soon"), 400, "'soon' is not a valid date for [releaseDate]", "releaseDate")
    expect_message(imprison(root, username=ann.name, releaseDate="2020-01-01"), 400, "Not a valid future date for [releaseDate]", "releaseDate")
    expect_message(imprison(root, username="nobody-at-all", releaseDate="2099-01-01"), 404, "'nobody-at-all' does not exist for [username]", "username")
    for token in None, ann.ticket:
        expect_denied(imprison(token, username=ann.name, releaseDate="2099-01-01"))
    assert is_good(ann.ticket)


def purge():
    """As the sweeper does it within a minute."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("BUSI_")}
    done = subprocess.run([os.environ["BUSI_TEST_BIN"] + "/auth-svc", "--config", VAR / "config/auth-1.conf", "purge"], env=clean, capture_output=True, timeout=60)
    assert done.returncode == 0, done


# ---- who may ----
ROOTS = [("GET", ADMIN + "users", {}), ("GET", ADMIN + "users-count", {}), ("POST", ADMIN + "users", {"username": "x1x", "password": TICKET_PASSWORD}),
         ("PUT", ADMIN + "users", {"username": "x1x", "password": TICKET_PASSWORD}), ("DELETE", ADMIN + "users", {"username": "x1x"}),
         ("GET", ADMIN + "roles", {}), ("GET", ADMIN + "roles-count", {}), ("POST", ADMIN + "roles", {"name": "x1x"}),
         ("PUT", ADMIN + "roles", {"name": "x1x", "description": ""}), ("DELETE", ADMIN + "roles", {"name": "x1x"}),
         ("GET", ADMIN + "users_roles", {}), ("GET", ADMIN + "users_roles-count", {}), ("POST", ADMIN + "users_roles", {"role": "root", "user": "x1x"}),
         ("DELETE", ADMIN + "users_roles", {"role": "root", "user": "x1x"}), ("GET", ADMIN + "users_extra", {}), ("GET", ADMIN + "users_extra-count", {}),
         ("POST", ADMIN + "users_extra", {"type": "a", "value": "b", "user": "x1x"}), ("PUT", ADMIN + "users_extra", {"type": "a", "value": "b", "user": "x1x"}),
         ("DELETE", ADMIN + "users_extra", {"type": "a", "user": "x1x"}), ("GET", LOG + "list", {}), ("GET", LOG + "get", {"id": 1}), ("GET", LOG + "count", {}),
         ("GET", AUTH + "impersonate", {"username": "x1x"}), ("GET", AUTH + "generate-token", {"username": "x1x", "role": "root", "expires": "2099-01-01"})]


@pytest.mark.parametrize("method, path, arguments", ROOTS)
def test_root_alone_may(method, path, arguments, ann, token):
    expect_denied(call(method, path, **arguments))
    for nobody in ("x", ann.ticket[:-4] + "AAAA"):
        expect_denied(call(method, path, nobody, **arguments))
    for somebody in (ann.ticket, token):
        answer = expect_denied(call(method, path, somebody, **arguments))
        assert answer.headers["www-authenticate"] == 'Bearer error="insufficient_scope"', answer


def test_admin_is_not_root(root):
    bob = Account()
    expect_result(call("POST", ADMIN + "users_roles", root, user=bob.name, role="admin"), "success", 201)
    expect_denied(call("GET", ADMIN + "users", bob.sign_in()))


# ---- users ----
def test_a_user_made_by_root(root):
    name = new_user(root)
    user, = rows(ADMIN + "users", root, **{"username.eq": name})
    assert list(user) == ["username", "created", "roles", "extra"]
    assert user["username"] == name and user["roles"] == [] and user["extra"] == []
    assert datetime.datetime.fromisoformat(user["created"].replace("Z", "+00:00")).timestamp() > time.time() - 60
    assert "role" not in claims_of(expect_ticket(authenticate(name)))


def test_users_show_roles_and_extras(root, ann):
    user, = rows(ADMIN + "users", root, **{"username.eq": ann.name.upper()})
    assert user["username"] == ann.name and user["roles"] == ["guest"] and user["extra"] == [{"type": "email", "value": ann.email}]
    user, = rows(ADMIN + "users", root, **{"username.eq": ann.email})
    assert user["username"] == ann.name


def test_a_user_without_a_user_name_goes_by_its_address(root):
    address = new_email()
    sign_up(address)
    user, = rows(ADMIN + "users", root, **{"username.eq": address})
    assert user["username"] == address
    expect_result(call("POST", ADMIN + "users_roles", root, user=address, role="guest"), "success", 201)
    assert claims_of(expect_ticket(authenticate(address, PASSWORD)))["unique_name"] == address


def test_filters_order_and_pages(root):
    prefix = new_name()
    names = [new_user(root, f"{prefix}.{i}") for i in range(5)]
    like = {"username.like": prefix + ".%"}
    shown = lambda **more: [user["username"] for user in rows(ADMIN + "users", root, **like, **more)]
    assert shown(order="username") == names and shown(order="username", direction="desc") == names[::-1]
    assert shown(order="created") == names and shown(order="username", limit=-1) == names
    assert shown(order="username", limit=2) == names[:2] and shown(order="username", limit=2, offset=4) == names[4:]
    assert shown(limit=0) == [] and shown(offset=5) == []
    assert count(ADMIN + "users-count", root, **like) == 5
    third = rows(ADMIN + "users", root, **{"username.eq": names[2]})[0]["created"]
    for operator, wanted in [("mt", names[3:]), ("mteq", names[2:]), ("lt", names[:2]), ("lteq", names[:3])]:
        assert shown(order="username", **{"created." + operator: third}) == wanted, operator
        assert count(ADMIN + "users-count", root, **like, **{"created." + operator: third}) == len(wanted)
    assert shown(**{"created.mt": "2000-01-01", "created.lt": "2001-01-01"}) == []


def test_a_list_that_is_cut_links_to_the_rest(root, tmp_path):
    prefix = new_name()
    names = [new_user(root, f"{prefix}.{i}") for i in range(5)]
    with another_gateway(tmp_path, list_most=2) as at:
        path, seen = f"{ADMIN}users?limit=-1&order=username&username.like={prefix}.%25", []
        while path:
            answer = expect_status(get(path, root, at=at), 200)
            seen += [user["username"] for user in answer.json]
            assert len(answer.json) <= 2
            path = answer.headers["link"] and answer.headers["link"].removeprefix("<").removesuffix('>; rel="next"')
    assert seen == names


@pytest.mark.parametrize("query, message, field", [
    ("username.mt=a", "I don't know how to handle the 'username.mt' query parameter", "username.mt"),
    ("password.eq=a", "I don't know how to handle the 'password.eq' query parameter", "password.eq"),
    ("operator=or", "I don't know how to handle the 'operator' query parameter", "operator"),
    ("limit=1.5", "'1.5' is not a valid integer for [limit]", "limit"),
    ("limit=99999999999999999999", "'99999999999999999999' is not a valid integer for [limit]", "limit"),
    ("offset=-1", "'-1' is not a valid integer for [offset]", "offset"),
    ("order=password_hash", "'password_hash' is not a valid enum of ['username', 'created'] for [order]", "order"),
    ("order=username;drop", "'username;drop' is not a valid enum of ['username', 'created'] for [order]", "order"),
    ("direction=up", "'up' is not a valid enum of ['asc', 'desc'] for [direction]", "direction"),
    ("created.mt=x", "'x' is not a valid date for [created.mt]", "created.mt"),
    ("limit[]=1", "'' is not a valid integer for [limit]", "limit"),
])
def test_wrong_filters_are_named(root, query, message, field):
    for token in (root, None):
        expect_message(get(ADMIN + "users?" + query, token), 400, message, field)


def test_like_is_no_way_into_sql(root):
    for text in ("'", "' OR 1=1 --", "\\", "%\\", "_" * 1000, "\u202e"):
        assert rows(ADMIN + "users", root, **{"username.eq": text}) == []
        call("GET", ADMIN + "users", root, **{"username.like": text})
        assert call("GET", ADMIN + "users", root, **{"username.like": text}).status in (200, 400)


def test_users_once_each(root):
    name = new_user(root)
    expect_message(call("POST", ADMIN + "users", root, username=name.upper(), password=TICKET_PASSWORD), 409,
                   "It has already been taken for [username]", "username")
    expect_message(call("POST", ADMIN + "users", root, username=name), 400, "Mandatory argument 'password' not given", "password")
    expect_message(call("POST", ADMIN + "users", root, username="a b c", password=TICKET_PASSWORD), 400, "'a b c' is not a valid name for [username]", "username")
    expect_message(call("POST", ADMIN + "users", root, username=new_name(), password=TICKET_PASSWORD, role="root"), 400,
                   "I don't know how to handle the 'role' argument", "role")


def test_root_sets_a_password(root):
    bob, new = Account(), "another horse battery"
    expect_json(call("PUT", ADMIN + "users", root, username=bob.name, password=new), 202, {"affected": 1})
    assert not is_good(bob.ticket)
    expect_denied(authenticate(bob.name))
    expect_ticket(authenticate(bob.name, new))
    expect_result(call("PUT", ADMIN + "users", root, username="nobody-" + new_name(), password=new), "Record not found", 404)
    expect_message(call("PUT", ADMIN + "users", username=bob.name, password="short"), 400,
                   "Not a valid string between 12 and 1024 in length for [password]", "password")


def test_root_removes_a_user(root):
    bob = Account()
    expect_json(call("DELETE", ADMIN + "users", root, username=bob.name), 200, {"affected": 1})
    assert not is_good(bob.ticket)
    expect_denied(authenticate(bob.name))
    expect_json(call("DELETE", ADMIN + "users", root, username=bob.name), 200, {"affected": 0})
    assert rows(ADMIN + "users_roles", root, **{"user.eq": bob.name}) == []


# ---- roles ----
def test_roles(root):
    names = {role["name"]: role["description"] for role in rows(ADMIN + "roles", root, limit=-1)}
    assert {"root", "admin", "guest", "unconfirmed"} <= set(names)
    role = new_role(root)
    assert rows(ADMIN + "roles", root, **{"name.eq": role}) == [{"name": role, "description": "of a test"}]
    assert rows(ADMIN + "roles", root, **{"name.like": role[:-1] + "_"}) == [{"name": role, "description": "of a test"}]
    assert count(ADMIN + "roles-count", root, **{"name.eq": role.upper()}) == 1
    expect_json(call("PUT", ADMIN + "roles", root, name=role, description="changed"), 202, {"affected": 1})
    assert rows(ADMIN + "roles", root, **{"name.eq": role})[0]["description"] == "changed"
    expect_json(call("DELETE", ADMIN + "roles", root, name=role), 200, {"affected": 1})
    expect_json(call("DELETE", ADMIN + "roles", root, name=role), 200, {"affected": 0})
    expect_result(call("PUT", ADMIN + "roles", root, name=role, description="changed"), "Record not found", 404)


def test_roles_are_refused(root):
    for name in ("a b", "a,b", "ä", "a'b", "$x"):
        expect_message(call("POST", ADMIN + "roles", root, name=name), 400,
                       f"'{name}' does not conform to regular expression of '^[A-Za-z0-9\\-_]*$' for [name]", "name")
    expect_message(call("POST", ADMIN + "roles", root, description="x"), 400, "Mandatory argument 'name' not given", "name")
    expect_message(call("POST", ADMIN + "roles", root, name="Guest"), 409, "'Guest' already exists for [name]", "name")
    assert call("DELETE", ADMIN + "roles", root, name="root").status == 409


def test_removing_a_role_takes_it_from_all(root):
    bob, role = Account(), new_role(root)
    expect_result(call("POST", ADMIN + "users_roles", root, user=bob.name, role=role), "success", 201)
    assert role in claims_of(expect_ticket(get(AUTH + "refresh-ticket", bob.ticket)))["role"]
    expect_json(call("DELETE", ADMIN + "roles", root, name=role), 200, {"affected": 1})
    assert claims_of(expect_ticket(get(AUTH + "refresh-ticket", bob.ticket)))["role"] == "guest"


# ---- who has them ----
def test_users_roles(root):
    bob, role = Account(), new_role(root)
    expect_result(call("POST", ADMIN + "users_roles", root, user=bob.name, role=role.upper()), "success", 201)
    assert rows(ADMIN + "users_roles", root, **{"role.eq": role}) == [{"role": role, "user": bob.name}]
    assert sorted(row["role"] for row in rows(ADMIN + "users_roles", root, **{"user.eq": bob.name})) == sorted(["guest", role])
    assert count(ADMIN + "users_roles-count", root, **{"user.eq": bob.name}) == 2
    expect_message(call("POST", ADMIN + "users_roles", root, user=bob.name, role=role), 409, f"'{role}' already exists for [role]", "role")
    expect_json(call("DELETE", ADMIN + "users_roles", root, user=bob.name, role=role), 200, {"affected": 1})
    expect_json(call("DELETE", ADMIN + "users_roles", root, user=bob.name, role=role), 200, {"affected": 0})


def test_users_roles_of_nobody(root, ann):
    answer = call("POST", ADMIN + "users_roles", root, user=ann.name, role="nothing-" + new_name())
    assert answer.status == 404 and answer.json["field"] == "role", answer
    answer = call("POST", ADMIN + "users_roles", root, user="nobody-" + new_name(), role="guest")
    assert answer.status == 404 and answer.json["field"] == "user", answer
    assert call("POST", ADMIN + "users_roles", root, user=ann.name).status == 400


def test_a_role_taken_is_gone_with_the_next_request(root):
    bob = Account()
    expect_result(call("POST", ADMIN + "users_roles", root, user=bob.name, role="root"), "success", 201)
    for _ in range(5):
        assert count(ADMIN + "users-count", bob.ticket) > 0
    expect_json(call("DELETE", ADMIN + "users_roles", root, user=bob.name, role="root"), 200, {"affected": 1})
    expect_denied(call("GET", ADMIN + "users-count", bob.ticket))
    assert is_good(bob.ticket), "the session lives on"


def test_a_role_given_counts_with_the_next_request(root):
    bob = Account()
    expect_denied(call("GET", ADMIN + "users-count", bob.ticket))
    expect_result(call("POST", ADMIN + "users_roles", root, user=bob.name, role="root"), "success", 201)
    assert count(ADMIN + "users-count", bob.ticket) > 0
    expect_json(call("DELETE", ADMIN + "users_roles", root, user=bob.name, role="root"), 200, {"affected": 1})


def test_there_is_always_a_root(root):
    """All others go, one after the other; the last cannot. They are given back afterwards."""
    holders = [row["user"] for row in rows(ADMIN + "users_roles", root, limit=-1, **{"role.eq": "root"})]
    me = claims_of(root)["unique_name"]
    taken = [holder for holder in holders if holder != me]
    for holder in taken:
        expect_json(call("DELETE", ADMIN + "users_roles", root, user=holder, role="root"), 200, {"affected": 1})
    try:
        answer = call("DELETE", ADMIN + "users_roles", root, user=me, role="root")
        assert answer.status == 409 and "message" in answer.json, answer
        assert call("DELETE", ADMIN + "users", root, username=me).status == 409
        assert call("DELETE", ADMIN + "roles", root, name="root").status == 409
        assert count(ADMIN + "users-count", root) > 0
    finally:
        for holder in taken:
            expect_result(call("POST", ADMIN + "users_roles", root, user=holder, role="root"), "success", 201)


# ---- extras ----
def test_users_extra(root):
    bob = Account()
    expect_result(call("POST", ADMIN + "users_extra", root, user=bob.name, type="phone", value="+49 1"), "success", 201)
    assert rows(ADMIN + "users_extra", root, **{"user.eq": bob.name}) == [{"type": "phone", "value": "+49 1", "user": bob.name}]
    assert count(ADMIN + "users_extra-count", root, **{"user.eq": bob.name, "type.eq": "phone", "value.like": "+49%"}) == 1
    expect_json(call("PUT", ADMIN + "users_extra", root, user=bob.name, type="phone", value="<b>\"ä\""), 202, {"affected": 1})
    user, = rows(ADMIN + "users", root, **{"username.eq": bob.name})
    assert {"type": "phone", "value": "<b>\"ä\""} in user["extra"] and {"type": "email", "value": bob.email} in user["extra"]
    answer = call("POST", ADMIN + "users_extra", root, user=bob.name, type="phone", value="x")
    assert answer.status == 409 and answer.json["field"] == "type", answer
    expect_json(call("DELETE", ADMIN + "users_extra", root, user=bob.name, type="phone"), 200, {"affected": 1})
    expect_json(call("DELETE", ADMIN + "users_extra", root, user=bob.name, type="phone"), 200, {"affected": 0})
    expect_result(call("PUT", ADMIN + "users_extra", root, user=bob.name, type="phone", value="x"), "Record not found", 404)
    answer = call("POST", ADMIN + "users_extra", root, user="nobody-" + new_name(), type="phone", value="x")
    assert answer.status == 404 and answer.json["field"] == "user", answer
    assert call("POST", ADMIN + "users_extra", root, user=bob.name, type="a b", value="x").status == 400


# ---- tickets of others ----
def test_impersonate(root, ann):
    ticket = expect_ticket(call("GET", AUTH + "impersonate", root, username=ann.name))
    claims = claims_of(ticket)
    assert claims["unique_name"] == ann.name and claims["role"] == "guest" and is_good(ticket)
    expect_denied(call("GET", ADMIN + "users", ticket))
    nobody = "nobody-" + new_name()
    expect_message(call("GET", AUTH + "impersonate", root, username=nobody), 404, f"'{nobody}' does not exist for [username]", "username")


def test_generate_token(root, ann):
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 600))
    ticket = expect_ticket(call("GET", AUTH + "generate-token", root, username=ann.name, role="guest", expires=soon))
    claims = claims_of(ticket)
    assert claims["unique_name"] == ann.name and claims["role"] == "guest" and abs(claims["exp"] - time.time() - 600) < 5 and is_good(ticket)
    further = expect_ticket(get(AUTH + "refresh-ticket", ticket))
    assert is_good(further) and claims_of(further)["exp"] == claims["exp"]
    for role in ("root", "guest,root", "admin"):
        expect_message(call("GET", AUTH + "generate-token", root, username=ann.name, role=role, expires=soon), 400,
                       "Not the roles of this user for [role]", "role")
    expect_message(call("GET", AUTH + "generate-token", root, username=ann.name, role="guest", expires="2020-01-01"), 400,
                   "Not a valid future date for [expires]", "expires")
    expect_message(call("GET", AUTH + "generate-token", root, username=ann.name, role="guest", expires="2099-01-01"), 400,
                   f"Tickets live for {720 * 60} seconds at most for [expires]", "expires")
    for missing in ("username", "role", "expires"):
        arguments = {"username": ann.name, "role": "guest", "expires": soon}
        del arguments[missing]
        expect_message(call("GET", AUTH + "generate-token", root, **arguments), 400, f"Mandatory argument '{missing}' not given", missing)


# ---- the log ----
def test_log(root, ann):
    mark = new_name()
    before = count(LOG + "count", root)
    for type in ("info", "error", "debug", "fatal"):
        expect_result(call("POST", LOG + "log", ann.ticket, type=type, content=f"{mark} {type} ä\n"), "success")
    expect_result(call("POST", LOG + "log", ann.ticket, type="info", content=mark, meta={"a": {"b": [1, None]}}), "success")
    assert count(LOG + "count", root) >= before + 5 and count(LOG + "count", root, query=mark) == 5
    entries = rows(LOG + "list", root, query=mark)
    assert [entry["type"] for entry in entries] == ["info", "fatal", "debug", "error", "info"]
    assert entries[0]["meta"] == {"a": {"b": [1, None]}} and entries[1]["content"] == f"{mark} fatal ä\n"
    assert rows(LOG + "list", root, query=mark, max=2) == entries[:2]
    assert rows(LOG + "list", root, query=mark, **{"from_": entries[1]["id"]}) == entries[2:]
    assert rows(LOG + "get", root, id=entries[0]["id"]) == entries[0]
    expect_result(call("GET", LOG + "get", root, id=9 * 10**15), "Record not found", 404)


def test_log_refuses(ann):
    expect_denied(call("POST", LOG + "log", type="info", content="x"))
    expect_message(call("POST", LOG + "log", ann.ticket, type="warn", content="x"), 400,
                   "'warn' is not a valid enum of ['info', 'error', 'debug', 'fatal'] for [type]", "type")
    expect_message(call("POST", LOG + "log", ann.ticket, type="info"), 400, "Mandatory argument 'content' not given", "content")
    expect_message(call("POST", LOG + "log", ann.ticket, type="info", content="x", meta="y"), 400, "Not a valid object for [meta]", "meta")
    assert call("POST", LOG + "log", ann.ticket, type="info", content="x" * 9000).status == 400
    assert call("POST", LOG + "log", ann.ticket, type="info", content="x", meta={"a": "x" * 9000}).status == 400


# ---- rules of an operator ----
def test_guard_rules_may_ask_for_other_roles(root, tmp_path):
    bob = Account()
    expect_result(call("POST", ADMIN + "users_roles", root, user=bob.name, role="admin"), "success", 201)
    with another_gateway(tmp_path, guard_rules="GET /magic/system/magic/users role=admin") as at:
        expect_status(call("GET", ADMIN + "users", bob.ticket, at=at), 200)
        expect_status(call("GET", ADMIN + "users", root, at=at), 200)
        expect_denied(call("GET", ADMIN + "users-count", bob.ticket, at=at))
        expect_denied(call("GET", ADMIN + "users", Account().ticket, at=at))


# ---- the audit log ----
def test_audit_log(root, ann):
    bob = Account()
    authenticate(bob.name, "wrong password 12")
    expect_result(call("POST", ADMIN + "users_roles", root, user=bob.name, role="admin"), "success", 201)
    entries = rows("/magic/system/audit/list", root, **{"user.eq": bob.name})
    assert [entry["event"] for entry in entries if entry["outcome"] == "ok"] == ["grant_role", "sign_in", "confirm_email", "sign_up"]
    assert [entry["event"] for entry in entries if entry["outcome"] == "failed"] == ["sign_in"]
    granted, first = entries[0], entries[-1]
    assert granted["detail"] == "admin" and granted["actor_id"] and granted["actor"] == "gateway"
    assert first["event"] == "sign_up" and first["door"] == "magic" and first["remote_addr"] == HOST and first["request_id"]
    assert rows("/magic/system/audit/list", bob.ticket, **{"user.eq": bob.name}) == entries
    settled = rows("/magic/system/audit/list", root, direction="asc", **{"user.eq": bob.name})
    assert settled == entries[::-1][:len(settled)], "what is new may come later"
    answer = call("GET", "/magic/system/audit/list", root, max=1, **{"user.eq": bob.name})
    assert answer.json == entries[:1]
    answer = get(answer.headers["link"].removeprefix("<").removesuffix('>; rel="next"'), root)
    assert answer.json == entries[1:2]
    assert rows("/magic/system/audit/list", root, **{"event.eq": "grant_role", "user.eq": bob.name}) == entries[:1]
    expect_denied(call("GET", "/magic/system/audit/list", ann.ticket))
    expect_denied(call("GET", "/magic/system/audit/list"))
    expect_message(call("GET", "/magic/system/audit/list", root, **{"outcome.eq": "x"}), 400,
                   "'x' is not a valid enum of ['ok', 'failed'] for [outcome.eq]", "outcome.eq")
