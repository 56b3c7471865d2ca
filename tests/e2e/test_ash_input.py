"""What the ash routes survive: broken bodies, wrong types, what is sent twice, too much of everything."""
import json, socket
import pytest
from ash import *

POSTS = ["password/register", "password/sign_in", "password/reset_request", "password/reset", "magic_link/request"]
GETS = {"password/sign_in_with_token": "token", "confirm": "confirm", "magic_link": "token"}
MEMBERS = {"password/register": ["email", "password", "password_confirmation", "username"], "password/sign_in": ["email", "password"],
           "password/reset_request": ["email"], "password/reset": ["reset_token", "password", "password_confirmation"], "magic_link/request": ["email"]}


@pytest.fixture(scope="module")
def ann():
    return Person()


def whole(path):
    """All that a route asks for, of nobody."""
    return {name: new_email() if name == "email" else PASSWORD for name in MEMBERS[path] if name != "username"}


# ---- bodies ----
@pytest.mark.parametrize("body", [
    b"{", b"}", b"[1,]", b'{"user":{"email":"a",}}', b"{'user':{}}", b'{"user":a}', b'{"user":{}} x', b'{"user":{}}{}', b"TRUE", b" \n\t",
    b'{"user":{},"user":{}}', b'{"user":{"email":"a","email":"b"}}', b'{"user":{"email":"a","\\u0065mail":"b"}}', b"[" * 60000,
    b'{"user":' * 20 + b"1" + b"}" * 20, b'{"user":{"email":"\\u0000"}}', b'{"user":{"email":"a\x00b"}}', b'{"user":{"email":"a\nb"}}',
    b'{"user":{"email":"\\ud800"}}', b'{"a":NaN}', b'{"a":01}', b'{"a":1e999}', b'{"a":9223372036854775808}', b"\xef\xbb\xbf{}", b"// x\n{}", b'{"user":{"email":"a"',
    "{}".encode("utf-16")])
def test_bodies_that_are_no_json(body):
    for path in POSTS:
        expect_no(ask("POST", f"{USER}/{path}", body), 400, "Bad Request")


@pytest.mark.parametrize("text", [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xe2\x82"])
def test_bodies_that_are_no_utf8(text):
    for path in POSTS:
        expect_no(ask("POST", f"{USER}/{path}", b'{"user":{"email":"' + text + b'"}}'), 415, "Unsupported Media Type")


@pytest.mark.parametrize("root", [b"[]", b"1", b'"user"', b"null", b"true", b"{}", b"[{}]"])
def test_a_body_without_a_user(root):
    for path in POSTS:
        expect_failure(ask("POST", f"{USER}/{path}", root))


def test_a_body_that_is_too_long_is_not_read():
    for path in POSTS:
        expect_no(ask("POST", f"{USER}/{path}", b'{"user":{"email":"' + b"x" * 65536 + b'"}}'), 413, "Request Entity Too Large")


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("wrong", [1, -1.5e300, True, False, [], ["a"], {}, {"a": {"b": []}}, None])
def test_wrong_types_fail(path, wrong):
    expect_failure(post_json(f"{USER}/{path}", {"user": wrong}))
    for member in MEMBERS[path]:
        if (member, wrong) != ("username", None):
            expect_failure(act(path, **whole(path) | {member: wrong}))


@pytest.mark.parametrize("path", POSTS)
def test_what_is_missing_fails(path):
    for member in MEMBERS[path]:
        if member != "username":
            expect_failure(act(path, **{name: value for name, value in whole(path).items() if name != member}))
    expect_failure(post_json(f"{USER}/{path}", whole(path)))  # beside "user", not below it


@pytest.mark.parametrize("name", ["email", "password"])
def test_texts_far_too_long_fail(name):
    for path in POSTS:
        if path != "password/reset_request" and path != "magic_link/request":
            expect_failure(act(path, **whole(path) | {name: "ä" * 9000}))


def test_many_values():
    expect_failure(post_json(f"{USER}/password/sign_in", {"x": [0] * 4000}))
    expect_no(post_json(f"{USER}/password/sign_in", {"x": [0] * 5000}), 400, "Bad Request")


@pytest.mark.parametrize("text", ["\ufffe", "\u202e", "' OR 1=1 --", "%", "_", "\\", "a@b.de\n", "😀", "a" * 254 + "@b.de"])
def test_odd_texts_are_nobody(text):
    expect_failure(sign_in(text, text))
    expect_failure(sign_in_by_link(text))
    expect_failure(confirm(text))
    expect_failure(reset(text))
    expect_taken(request_reset(text))


# ---- forms and queries ----
def test_forms(ann):
    expect_success(post_form(f"{USER}/password/sign_in", f"user[email]={ann.email}&user[password]=correct+horse"))
    expect_success(post_multipart(f"{USER}/password/sign_in", {"user[email]": ann.email, "user[password]": ann.password}))
    for form in ("user=x", "user[]=x", f"email={ann.email}&password=correct+horse", f"user[email][]={ann.email}&user[password]=correct+horse",
                 f"user.email={ann.email}&user.password=correct+horse"):
        expect_failure(post_form(f"{USER}/password/sign_in", form))
    for broken in (b"user[email]=%ff", b"user[email]=%00", b"user[email]=%G1", b"user[email]=%"):
        answer = ask("POST", f"{USER}/password/sign_in", broken, headers={"content-type": "application/x-www-form-urlencoded"})
        assert answer.status in (400, 415) and set(answer.json) == {"error"}, answer


def test_of_two_fields_of_a_form_the_last_counts(ann):
    expect_success(post_form(f"{USER}/password/sign_in", f"user[email]=x&user[password]=y&user[email]={ann.email}&user[password]=correct+horse"))
    expect_failure(post_form(f"{USER}/password/sign_in", f"user[email]={ann.email}&user[password]=correct+horse&user[email]=x"))


def test_query_and_body_are_one_and_the_body_counts(ann):
    query = f"?user[email]={ann.email}&user[password]=correct%20horse"
    expect_success(ask("POST", f"{USER}/password/sign_in{query}"))
    expect_success(post_json(f"{USER}/password/sign_in{query}", {"other": 1}))
    expect_failure(post_json(f"{USER}/password/sign_in{query}", {"user": {"email": ann.email}}))  # not merged further down
    expect_failure(post_json(f"{USER}/password/sign_in{query}", {"user": None}))
    expect_success(post_json(f"{USER}/password/sign_in?user=x", {"user": {"email": ann.email, "password": ann.password}}))


@pytest.mark.parametrize("kind", [None, "text/plain", "application/xml", "x"])
def test_bodies_of_other_types_are_not_read(ann, kind):
    body = json.dumps({"user": {"email": ann.email, "password": ann.password}}).encode()
    expect_failure(ask("POST", f"{USER}/password/sign_in", body, headers=[("content-type", kind or "")]))


def test_another_charset():
    answer = ask("POST", f"{USER}/password/sign_in", "{}".encode("utf-16"), headers={"content-type": "application/json; charset=utf-16"})
    expect_no(answer, 415, "Unsupported Media Type")


@pytest.mark.parametrize("path", GETS)
def test_secrets_come_once_and_as_text(ann, path):
    name, use = GETS[path], {"confirm": confirm, "magic_link": sign_in_by_link, "password/sign_in_with_token": sign_in_with_token}[path]
    if path == "magic_link":
        request_link(ann.email)
    secret = {"confirm": lambda: confirm_id(ann.email), "magic_link": lambda: magic_link(ann.email),
              "password/sign_in_with_token": lambda: sign_in_token(ann.bearer)}[path]()
    for query in (f"{name}={secret}&{name}=x", f"{name}[]={secret}", f"{name}[a]={secret}", f"user[{name}]={secret}", f"{name.upper()}={secret}", f"{name}={secret}%20",
                  f"{name}={secret}x", f"{name}={secret.swapcase()}", name):
        expect_failure(get(f"{USER}/{path}?{query}"))
    for query in (f"{name}=%ff", f"{name}=%00"):
        expect_status(get(f"{USER}/{path}?{query}"), 400)
    expect_success(use(secret))


@pytest.mark.parametrize("path", ["/auth/user/password/sign_in%00", "/auth/user/%70assword/sign_in", "/auth/./user/password/sign_in", "/auth/user/../user/password/sign_in",
                                  "/auth/user%2fpassword/sign_in", "/AUTH/user/password/sign_in", "/auth/user/password/sign_in;v=1", "/auth/%zz"])
def test_targets_that_lead_nowhere(ann, path):
    answer = post_json(path, {"user": {"email": ann.email, "password": ann.password}})
    assert answer.status in (400, 404), answer


def test_a_sign_out_of_half_a_request():
    """The head announces more than comes."""
    ann = Person()
    with socket.create_connection((HOST, int(PORT)), timeout=15) as connection:
        connection.sendall(f"GET /sign-out HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {ann.bearer}\r\nContent-Length: 10\r\n\r\nhalf".encode())
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass
    assert is_good(ann.bearer)
