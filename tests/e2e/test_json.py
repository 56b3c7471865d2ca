"""JSON bodies."""
import json, pathlib, re, time
import pytest
from raw import ask, alive, head, connect, read_answer
import house


def send(body, token=None, target="/api/users/signin", kind="application/json", method="POST"):
    body = body if isinstance(body, bytes) else body.encode()
    headers = [f"Content-Length: {len(body)}"] + ([f"Content-Type: {kind}"] if kind else [])
    if token:
        headers.append(f"Authorization: Bearer {token}")
    with connect() as sock:
        sock.sendall(head(method, target, headers) + body)
        status, answer_headers, answer = read_answer(sock)
        return status, json.loads(answer) if answer else None


BAD_REQUEST = {"errors": {"detail": "Bad Request"}}


@pytest.mark.parametrize("body", [
    '{"email":"a","email":"b"}', '{"email":"a","\\u0065mail":"b"}', '{"user":{"a":1,"a":2}}',
    "[" * 17 + "]" * 17, "[" * 512, "[" * 2048, "[" * 50000, '{"a":' * 20 + "1" + "}" * 20,
    '{"email":"a\\u0000b","password":"x"}', '{"a\\u0000":1}', b'{"email":"a\0b"}',
    b'\xef\xbb\xbf{"email":"a","password":"b"}', '{"email":"a","password":"b"}'.encode("utf-16"), '{"email":"a"}'.encode("utf-32"),
    '{"email":NaN}', '{"a":Infinity}', '{"a":0x1}', '{"a":01}', '{"a":+1}', '{"a":.5}', '{"a":1.}', '{"a":-}', '{"a":1e}',
    '{"a":9223372036854775808}', '{"a":-9223372036854775809}', '{"a":' + "1" * 4000 + "}", '{"a":1e999}',
    "1", '"text"', "null", "true", "[]", '["email"]', "{}", "", "   ", "\n",
    '{"a":1,}', "[1,]", "{,}", '{"a":1}//c', "{/**/}", "{'a':1}", '{"a":TRUE}', '{"a":True}', '{"a":1}{"b":2}', '{"a":1} x', '{"a":1}]',
    '{"a"}', '{"a":}', '{:1}', '{a:1}', '{"a" 1}', '{"a":"x', '{"a":"x}', '{"a":"\\x"}', '{"a":"\\u12"}', '{"a":"\\ud800"}', '{"a":"\\udc00x"}',
    '{"a":"tab\there"}', '{"a":"line\nhere"}', '{"a":"\x01"}', "}", "]", "{", "nul", "tru", "fals", "-", '"',
])
def test_j_refused_alike(body):
    status, answer = send(body)
    assert (status, answer) == (400, BAD_REQUEST)


@pytest.mark.parametrize("junk", [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80", b"\xf8\x88\x80\x80\x80"])
def test_j05_invalid_utf8_is_415(junk):
    status, answer = send(b'{"email":"' + junk + b'","password":"x"}')
    assert (status, answer) == (415, {"errors": {"detail": "Unsupported Media Type"}})


def test_j07_noncharacters_and_astral_in_free_text(token):
    text = "\ufffe\uffff\ue000\U0010ffff \U0001f468\u200d\U0001f469\u200d\U0001f467 e\u0301" + "\u0301" * 50 + " \u202e\u2066 <b>&amp;\"'\\/ \u2028\u2029"
    made = house.create_business(token, name=text[:200], description=text, tag="x")
    answer = house.expect_status(house.get(f"/api/businesses/{made['id']}", token), 200)
    assert answer.json["data"]["description"] == text


@pytest.mark.parametrize("value", [1, 1.5, True, [], {}, ["x"]])
def test_j12_wrong_types(value, token):
    status, answer = send(json.dumps({"business": {"name": value, "description": "d", "tag": "t"}}), token, "/api/businesses")
    assert (status, answer) == (422, {"errors": {"name": ["is invalid"]}})
    status, answer = send(json.dumps({"user": {"email": value, "password": "correct horse"}}), target="/api/users/signup")
    assert (status, answer) == (422, {"errors": {"email": ["is invalid"]}})
    assert send(json.dumps({"email": value, "password": "x"}))[0] == 400
    assert send(json.dumps({"email": "a@b.example", "password": value}))[0] == 400


def test_j17_unknown_members_are_never_assigned(token):
    status, answer = send(json.dumps({"business": {"name": "n", "description": "d", "tag": "t", "id": 1, "date": "1970", "created_by": 99,
                                                   "inserted_at": "1970-01-01", "__proto__": {"x": 1}}, "role": "root"}), token, "/api/businesses")
    assert status == 201 and answer["data"]["id"] != 1 and not answer["data"]["date"].startswith("1970")


def test_j18_many_keys_take_linear_time():
    begin = time.monotonic()
    send(json.dumps({f"key{i}": i for i in range(3000)}))
    assert time.monotonic() - begin < 1


def test_j20_order_escapes_and_white_space_do_not_matter(token):
    for body in ('{"business":{"name":"A","description":"B","tag":"C"}}', '{ "business" :\r\n{"tag":"C",\t"description":"B","name":"A"} }',
                 '{"\\u0062usiness":{"n\\u0061me":"\\u0041","description":"B","tag":"C"}}'):
        status, answer = send(body, token, "/api/businesses")
        assert status == 201 and (answer["data"]["name"], answer["data"]["tag"]) == ("A", "C")


@pytest.mark.parametrize("kind", [None, "text/plain", "application/octet-stream", "application/jsonx"])
def test_j23_other_types_are_let_through_unparsed(kind):
    assert send('{"email":"a@b.example","password":"x"}', kind=kind) == (400, BAD_REQUEST)


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/vnd.api+json", "application/problem+json"])
def test_j23_json_types(kind):
    assert send('{"email":"nobody@b.example","password":"x"}', kind=kind)[0] == 401


@pytest.mark.parametrize("accept,status", [("text/html", 406), ("application/json", 200), ("*/*", 200), ("application/*", 200),
                                           ("text/html, */*;q=0.1", 200), ("text/html,application/json;q=0.5", 200), ("x" * 4096, 406)])
def test_j24_accept(accept, status, token):
    assert ask(head("GET", "/api/businesses", [f"Accept: {accept}", f"Authorization: Bearer {token}"])) == status


def test_j13_root_array_on_a_guarded_route(token):
    for body in ("[]", "1", "null", '{"business":[]}', '{"business":null}', '{"business":"x"}'):
        assert send(body, token, "/api/businesses")[0] == 400
    assert alive()


def suite():
    """The texts of JSONTestSuite: (name, what our reader says, bytes)."""
    byte = lambda found: {b"s": b" ", b"\\": b"\\"}.get(found[1]) or bytes.fromhex(found[1][1:].decode())
    part = lambda text: re.sub(rb"\\(s|\\|x..)", byte, text.encode())
    for line in (pathlib.Path(__file__).parents[1] / "vectors/json.txt").read_text().splitlines():
        if not line.startswith("#"):
            name, status, *parts = line.split()
            yield name, int(status), b"".join(int(times) * part(text) for times, text in zip(parts[::2], parts[1::2]))


def test_j21_json_test_suite(token):
    """Where nothing is to delete a body that was read gives 404."""
    texts = list(suite())
    assert len(texts) == 318
    for name, status, body in texts:
        answer = send(body, token, "/api/businesses/9999999999", method="DELETE")
        assert answer[0] == (404 if status == 200 else status), (name, answer)
