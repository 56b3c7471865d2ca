"""The busi surface over HTTP, row by row: what clients of the business directory can rely on."""
import http.client, re, secrets, threading, time
import pytest
from house import *

NOT_FOUND, BAD_REQUEST, NOT_ACCEPTABLE = (404, "Not Found"), (400, "Bad Request"), (406, "Not Acceptable")
UNKNOWN_ID = 9007199254740993


# ---- what all answers have in common ----
def test_json_answers_say_so_and_are_private(token):
    answer = expect_status(get("/api/businesses", token), 200)
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.headers["cache-control"] == "max-age=0, private, must-revalidate"


def test_every_answer_has_a_request_id(token):
    answers = [get("/"), get("/nowhere"), get("/api/businesses"), get("/api/businesses", token),
               ask("POST", "/api/users/signup", b"{")]
    ids = [answer.headers["x-request-id"] for answer in answers]
    assert all(ids) and len(set(ids)) == len(ids)


def test_trailing_and_repeated_slashes_are_none(token):
    for path in "/api/businesses/", "//api/businesses", "/api///businesses//":
        expect_status(get(path, token), 200)
    expect_status(get("//"), 200)
    expect_detail(post_json("/api/users/signin/", {}), *BAD_REQUEST)


def test_head_is_get_without_a_body(token, business):
    path = f"/api/businesses/{business['id']}"
    whole, head = get(path, token), ask("HEAD", path, token=token)
    expect_status(head, 200)
    assert head.raw == b"" and head.headers["content-length"] == whole.headers["content-length"] == str(len(whole.raw))
    assert head.headers["content-type"] == whole.headers["content-type"]
    assert expect_status(ask("HEAD", "/"), 200).raw == b""
    assert expect_status(ask("HEAD", "/nowhere"), 404).raw == b""
    assert expect_status(ask("HEAD", "/api/businesses"), 401).raw == b""


# ---- GET / ----
def test_the_home_page_greets():
    answer = expect_status(get("/"), 200)
    assert answer.raw == b"BusiApi!"
    assert answer.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("accept", ["*/*", "text/html", "text/*", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"])
def test_the_home_page_is_for_those_who_take_html(accept):
    expect_status(get("/", headers={"accept": accept}), 200)


@pytest.mark.parametrize("accept", ["application/json", "image/png", "*/*;q=0", "text/html;q=0, */*"])
def test_the_home_page_is_not_json(accept):
    expect_detail(get("/", headers={"accept": accept}), *NOT_ACCEPTABLE)


# ---- POST /api/users/signup ----
def test_sign_up_answers_email_and_token():
    email = new_email()
    answer = expect_status(post_json("/api/users/signup", {"user": {"email": email, "password": PASSWORD}}), 201)
    assert answer.json.keys() == {"email", "token"} and answer.json["email"] == email
    assert answer.headers["location"] is None
    expect_status(get("/api/businesses", answer.json["token"]), 200)


def test_answers_about_credentials_are_not_stored(email):
    for answer in (post_json("/api/users/signup", {"user": {"email": new_email(), "password": PASSWORD}}),
                   post_json("/api/users/signup", {"user": {}}), post_json("/api/users/signup", {}),
                   post_json("/api/users/signin", {"email": email, "password": PASSWORD}),
                   post_json("/api/users/signin", {"email": email, "password": "wrong"}),
                   ask("POST", "/api/users/signin", b"{"), get("/api/users/signin")):
        assert answer.headers["cache-control"] == "no-store", answer


def test_sign_up_as_a_form_and_as_multipart():
    for send, fields in ((post_form, lambda e: f"user[email]={e.replace('@', '%40')}&user[password]=correct+horse"),
                         (post_multipart, lambda e: {"user[email]": e, "user[password]": "correct horse"})):
        email = new_email()
        assert expect_status(send("/api/users/signup", fields(email)), 201).json["email"] == email
        sign_in(email, "correct horse")


@pytest.mark.parametrize("body", [{}, {"user": None}, {"user": "text"}, {"user": 1}, {"user": []}, {"user": True},
                                  {"email": "a@b.de", "password": "secret1"}, [], [{"user": {}}]])
def test_sign_up_without_a_user_object(body):
    expect_detail(post_json("/api/users/signup", body), *BAD_REQUEST)


def test_sign_up_with_a_body_of_another_type_is_without_a_user():
    expect_detail(ask("POST", "/api/users/signup", b'{"user":{}}', headers={"content-type": "text/plain"}), *BAD_REQUEST)
    expect_detail(ask("POST", "/api/users/signup"), *BAD_REQUEST)


def refused_sign_up(email, password):
    return post_json("/api/users/signup", {"user": {"email": email, "password": password}})


def test_sign_up_needs_both():
    expect_errors(post_json("/api/users/signup", {"user": {}}), email=["can't be blank"], password=["can't be blank"])


@pytest.mark.parametrize("blank", [None, "", "   ", "\t\n"])
def test_blank_email_and_password(blank):
    expect_errors(refused_sign_up(blank, blank), email=["can't be blank"], password=["can't be blank"])


@pytest.mark.parametrize("email", ["plain", "@example.com", "a@", "a b@example.com", "a@exa mple.com", "a@b@example.com", "a@nodot",
                                   "a@.com", "a@example.", "a@-x-.com", "a<b>@example.com", "a,b@example.com", "a\u200b@example.com"])
def test_what_is_no_email_address(email):
    expect_errors(refused_sign_up(email, PASSWORD), email=["has invalid format"])


@pytest.mark.parametrize("local", ["a.b", "a+tag", "a-b_c"])
def test_what_is_an_email_address(local):
    email = f"{local}-{new_email()}".replace("example.com", "sub.example.photography")
    assert expect_status(refused_sign_up(email, PASSWORD), 201).json["email"] == email


def test_a_short_password():
    expect_errors(refused_sign_up(new_email(), "12345"), password=["should be at least 6 character(s)"])
    expect_status(refused_sign_up(new_email(), "123456"), 201)
    expect_errors(refused_sign_up(new_email(), "äöüäö"), password=["should be at least 6 character(s)"])


def test_several_errors_at_once():
    expect_errors(refused_sign_up("plain", "12345"), email=["has invalid format"],
                  password=["should be at least 6 character(s)"])


@pytest.mark.parametrize("wrong", [1, 1.5, True, [], ["a"], {}])
def test_what_is_no_text_is_invalid(wrong):
    expect_errors(refused_sign_up(wrong, PASSWORD), email=["is invalid"])
    expect_errors(refused_sign_up(new_email(), wrong), password=["is invalid"])
    expect_errors(refused_sign_up(wrong, wrong), email=["is invalid"], password=["is invalid"])
    expect_errors(refused_sign_up(wrong, "12345"), email=["is invalid"], password=["should be at least 6 character(s)"])


def test_an_email_can_be_taken_once_whatever_its_case(email):
    expect_errors(refused_sign_up(email, PASSWORD), email=["has already been taken"])
    expect_errors(refused_sign_up(email.upper(), PASSWORD), email=["has already been taken"])


def test_taken_is_said_only_when_all_else_is_right(email):
    expect_errors(refused_sign_up(email, "12345"), password=["should be at least 6 character(s)"])


@pytest.mark.parametrize("letters", [255, 5000, 50000])
def test_too_long_an_email(letters):
    answer = refused_sign_up("a@" + "b" * (letters - 6) + ".com", PASSWORD)
    assert "should be at most 254 character(s)" in expect_status(answer, 422).json["errors"]["email"]


@pytest.mark.parametrize("letters", [1025, 9000, 50000])
def test_too_long_a_password(letters):
    answer = expect_status(refused_sign_up(new_email(), "p" * letters), 422)
    assert answer.json["errors"].keys() == {"password"} and "at most" in answer.json["errors"]["password"][0]


@pytest.mark.parametrize("letters", [64, 72, 73, 128, 1024])
def test_long_passwords_count_whole(letters):
    email = new_email()
    sign_up(email, "p" * (letters - 1) + "q")
    sign_in(email, "p" * (letters - 1) + "q")
    expect_detail(post_json("/api/users/signin", {"email": email, "password": "p" * letters}), 401, "Unauthorized")


def test_no_other_field_can_be_set():
    email = new_email()
    body = {"user": {"email": email, "password": PASSWORD, "id": 1, "role": "root", "confirmed": True, "encrypted_password": "x",
                     "__proto__": {"role": "root"}}, "id": 2}
    answer = expect_status(post_json("/api/users/signup", body), 201)
    assert answer.json.keys() == {"email", "token"} and claims_of(answer.json["token"])["sub"] not in ("1", "2")


def test_one_address_signed_up_many_times_at_once():
    email, statuses = new_email(), []
    barrier = threading.Barrier(8)

    def run(i):
        barrier.wait()
        statuses.append(refused_sign_up(email if i % 2 else email.upper(), PASSWORD).status)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(8)]
    [thread.start() for thread in threads], [thread.join() for thread in threads]
    assert sorted(statuses) == [201] + [422] * 7


# ---- POST /api/users/signin ----
def test_sign_in_answers_email_and_token(email):
    answer = expect_status(post_json("/api/users/signin", {"email": email, "password": PASSWORD}), 201)
    assert answer.json.keys() == {"email", "token"} and answer.json["email"] == email
    expect_status(get("/api/businesses", answer.json["token"]), 200)


def test_sign_in_as_a_form(email):
    expect_status(post_form("/api/users/signin", f"email={email}&password=correct+horse"), 201)


def test_sign_in_finds_the_email_whatever_its_case(email):
    assert expect_status(post_json("/api/users/signin", {"email": email.upper(), "password": PASSWORD}), 201).json["email"] == email


def test_wrong_password_and_unknown_user_answer_alike(email):
    wrong = post_json("/api/users/signin", {"email": email, "password": "wrong horse"})
    unknown = post_json("/api/users/signin", {"email": new_email(), "password": PASSWORD})
    for answer in wrong, unknown:
        expect_detail(answer, 401, "Unauthorized")
    assert wrong.raw == unknown.raw
    assert set(wrong.headers.keys()) == set(unknown.headers.keys())


def test_wrong_password_and_unknown_user_take_alike_long(email):
    def median(address):
        times = []
        for _ in range(9):
            begin = time.perf_counter()
            post_json("/api/users/signin", {"email": address, "password": "wrong horse"})
            times.append(time.perf_counter() - begin)
        return sorted(times)[4]

    known, unknown = median(email), median(new_email())
    assert 0.5 < known / unknown < 2, (known, unknown)


@pytest.mark.parametrize("email_given,password", [("", "x"), ("plain", "x"), ("a\u0000b@example.com".replace("\u0000", ""), ""),
                                                  ("a@example.com", "p" * 60000), ("a" * 60000, "x")])
def test_sign_in_with_what_nobody_can_have(email_given, password):
    expect_detail(post_json("/api/users/signin", {"email": email_given, "password": password}), 401, "Unauthorized")


@pytest.mark.parametrize("body", [{}, {"email": "a@b.de"}, {"password": "secret"}, {"email": 1, "password": "secret"},
                                  {"email": None, "password": "secret"}, {"email": "a@b.de", "password": 123456},
                                  {"email": "a@b.de", "password": None}, {"email": ["a@b.de"], "password": "secret"},
                                  {"email": {"a": 1}, "password": {}}, {"user": {"email": "a@b.de", "password": "secret"}}, []])
def test_sign_in_without_both_texts(body):
    expect_detail(post_json("/api/users/signin", body), *BAD_REQUEST)


# ---- the token ----
def test_the_token_is_exactly_this(email, token):
    assert token.startswith("eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.")
    claims = claims_of(token)
    assert claims.keys() == {"aud", "exp", "iat", "iss", "jti", "nbf", "sub", "typ", "sid"}
    assert claims["aud"] == claims["iss"] == "busi_api" and claims["typ"] == "access"
    assert isinstance(claims["sub"], str) and int(claims["sub"]) > 0
    assert claims["nbf"] == claims["iat"] - 1 and claims["exp"] == claims["iat"] + 2419200
    assert abs(claims["iat"] - time.time()) < 600 and is_uuid4(claims["jti"])
    again = claims_of(sign_in(email))
    assert again["sub"] == claims["sub"] and again["jti"] != claims["jti"] and again["sid"] != claims["sid"]


# ---- who may pass ----
GUARDED = [("GET", "/api/businesses"), ("POST", "/api/businesses"), ("GET", "/api/businesses/1"), ("PUT", "/api/businesses/1"),
           ("PATCH", "/api/businesses/1"), ("DELETE", "/api/businesses/1"), ("HEAD", "/api/businesses/1")]


@pytest.mark.parametrize("method,path", GUARDED)
def test_all_business_routes_want_a_token(method, path):
    answer = ask(method, path)
    assert answer.status == 401 and answer.headers["www-authenticate"] == "Bearer"
    answer = ask(method, path, token="garbage")
    assert answer.status == 401 and answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", "Basic YTpi", "Token abc", "abc", "Bearer:abc", "Bearerabc", "x Bearer abc"])
def test_no_bearer_credentials(value):
    expect_unauthenticated(get("/api/businesses", headers={"authorization": value}))


@pytest.mark.parametrize("form", ["bearer {}", "BEARER {}", "Bearer: {}", "bEaReR:   {}", "Bearer     {}", "Bearer {}   "])
def test_forms_of_bearer_credentials(token, form):
    expect_status(get("/api/businesses", headers={"authorization": form.format(token)}), 200)


def test_two_authorization_headers(token):
    for other in token, "garbage":
        answer = ask("GET", "/api/businesses", headers=[("authorization", "Bearer " + token), ("authorization", "Bearer " + other)])
        expect_detail(answer, *BAD_REQUEST)


def test_a_token_in_the_query_is_none(token):
    expect_unauthenticated(get("/api/businesses?access_token=" + token))
    expect_detail(get("/api/businesses?access_token=" + token, token), *BAD_REQUEST)


def test_the_token_comes_before_id_and_body():
    expect_unauthenticated(get("/api/businesses/new"))
    expect_unauthenticated(get("/api/businesses/0"))
    expect_unauthenticated(post_json("/api/businesses", {}))
    expect_unauthenticated(get("/api/businesses?limit=0"))


# ---- what may be accepted ----
@pytest.mark.parametrize("accept", ["*/*", "application/*", "application/json", "text/html, application/json;q=0.1",
                                    "text/html,*/*;q=0.8", "APPLICATION/JSON", "x/y;" + "a" * 2000 + ", */*"])
def test_accept_that_allows_json(token, accept):
    expect_status(get("/api/businesses", token, headers={"accept": accept}), 200)


@pytest.mark.parametrize("accept", ["text/html", "text/plain", "application/xml", "*/*;q=0", "application/json;q=0, */*", "nonsense"])
def test_accept_that_does_not(token, accept):
    expect_detail(get("/api/businesses", token, headers={"accept": accept}), *NOT_ACCEPTABLE)
    expect_detail(get("/api/businesses", headers={"accept": accept}), *NOT_ACCEPTABLE)  # before the token
    expect_detail(post_json("/api/users/signin", {}, headers={"accept": accept}), *NOT_ACCEPTABLE)


def test_the_format_of_the_query_wins(token):
    expect_status(get("/api/businesses?_format=json", token, headers={"accept": "text/html"}), 200)
    expect_detail(get("/api/businesses?_format=html", token), *NOT_ACCEPTABLE)
    expect_detail(get("/?_format=json"), *NOT_ACCEPTABLE)


# ---- GET /api/businesses ----
def test_the_list_holds_every_business(token, business):
    answer = expect_status(get("/api/businesses", token), 200)
    assert answer.json.keys() == {"data"} and business in answer.json["data"]
    ids = [row["id"] for row in answer.json["data"]]
    assert len(set(ids)) == len(ids)


def test_the_list_in_pages(token):
    made = [create_business(token, name=f"page {i}") for i in range(5)]
    path, seen = f"/api/businesses?after={made[0]['id'] - 1}&limit=2", []
    while path:
        answer = expect_status(get(path, token), 200)
        seen += answer.json["data"]
        assert len(answer.json["data"]) <= 2
        link = answer.headers["link"]
        path = re.fullmatch(r'<(/api/businesses\?after=\d+&limit=2)>; rel="next"', link).group(1) if link else None
    assert seen[:5] == made
    assert get(f"/api/businesses?after={seen[-1]['id']}", token).json == {"data": []}


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=1001", "limit=2147483648", "limit=1e9", "limit=", "limit=01", "limit[]=1",
                                   "after=-1", "after=x", "after=9223372036854775808"])
def test_a_list_that_cannot_be(token, query):
    expect_detail(get("/api/businesses?" + query, token), *BAD_REQUEST)


def test_undeclared_query_members_are_passed_over(token):
    expect_status(get("/api/businesses?_method=DELETE&order=name&a[b]=c", token), 200)


# ---- POST /api/businesses ----
def test_create_answers_the_row_and_where_it_is(token):
    answer = expect_status(post_json("/api/businesses", {"business": BUSINESS}, token), 201)
    row = answer.json["data"]
    assert answer.json.keys() == {"data"} and row.keys() == {"id", "name", "description", "tag", "date"}
    assert {name: row[name] for name in BUSINESS} == BUSINESS
    assert answer.headers["location"] == f"/api/businesses/{row['id']}"
    expect_json(get(answer.headers["location"], token), 200, {"data": row})


def test_the_date_is_utc_with_six_digits(business):
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}", business["date"])
    made = time.mktime(time.strptime(business["date"][:19], "%Y-%m-%d %H:%M:%S")) - time.timezone
    assert abs(made - time.time()) < 60


# ---- creations under a key ----
def create_once(key, token, headers=(), **texts):
    body = {"business": {"name": "Once", "description": "Made once", "tag": "Keys"} | texts}
    return post_json("/api/businesses", body, token, headers=[("Idempotency-Key", key), *headers])


def count_of(name, token):
    return sum(row["name"] == name for row in get("/api/businesses", token).json["data"])


def test_a_creation_under_a_key_happens_once(token):
    name, key = new_email(), secrets.token_hex(8)
    first = expect_status(create_once(key, token, name=name), 201)
    for spelling in key, f'"{key}"':
        again = expect_status(create_once(spelling, token, name=name), 201)
        assert again.raw == first.raw and again.headers["location"] == first.headers["location"]
        assert again.headers["idempotency-replayed"] == "true" and "idempotency-replayed" not in first.headers
    assert count_of(name, token) == 1
    # the first answer, whatever became of the business
    path = first.headers["location"]
    expect_status(ask("PATCH", path, {"business": {"tag": "Other"}}, token=token), 200)
    assert create_once(key, token, name=name).raw == first.raw
    expect_status(ask("DELETE", path, token=token), 204)
    assert create_once(key, token, name=name).raw == first.raw and count_of(name, token) == 0


def test_a_key_is_one_requests_of_one_user(token):
    key, other = secrets.token_hex(8), sign_up(new_email())
    first = expect_status(create_once(key, token), 201)
    answer = expect_status(create_once(key, token, tag="Another"), 422)
    assert answer.json == {"errors": {"idempotency_key": ["has already been taken"]}}
    theirs = expect_status(create_once(key, other), 201)
    assert theirs.json["data"]["id"] != first.json["data"]["id"] and "idempotency-replayed" not in theirs.headers


def test_what_was_refused_uses_up_no_key(token):
    key = secrets.token_hex(8)
    expect_status(create_once(key, token, tag=" "), 422)
    assert "idempotency-replayed" not in expect_status(create_once(key, token), 201).headers


def test_r14_one_key_many_times_at_once(token):
    name, key, answers = new_email(), secrets.token_hex(8), []
    threads = [threading.Thread(target=lambda: answers.append(create_once(key, token, name=name))) for _ in range(16)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert {answer.status for answer in answers} == {201} and len({answer.raw for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1 and count_of(name, token) == 1


@pytest.mark.parametrize("key", ["", '""', "k" * 256, "k\u00e9y".encode().decode("latin-1"), "k\ty"])
def test_what_is_no_key(token, key):
    expect_status(create_once(key, token), 400)


def test_two_keys_are_none(token):
    expect_status(create_once("one", token, headers=[("Idempotency-Key", "two")]), 400)


def test_create_from_a_form_and_from_multipart(token):
    row = expect_status(post_form("/api/businesses", "business[name]=A+%26+B&business[description]=d&business[tag]=IT%2C+Software", token), 201)
    assert row.json["data"]["name"] == "A & B" and row.json["data"]["tag"] == "IT, Software"
    row = expect_status(post_multipart("/api/businesses", {"business[name]": "ä", "business[description]": "d\r\ne", "business[tag]": "t"}, token), 201)
    assert row.json["data"]["name"] == "ä" and row.json["data"]["description"] == "d\r\ne"


@pytest.mark.parametrize("body", [{}, {"business": None}, {"business": "x"}, {"business": 1}, {"business": []}, BUSINESS, []])
def test_create_without_a_business_object(token, body):
    expect_detail(post_json("/api/businesses", body, token), *BAD_REQUEST)


@pytest.mark.parametrize("name", ["name", "description", "tag"])
@pytest.mark.parametrize("value,text", [(None, "can't be blank"), ("", "can't be blank"), (" \t\n", "can't be blank"), (1, "is invalid"),
                                        (True, "is invalid"), (["x"], "is invalid"), ({"a": 1}, "is invalid")])
def test_all_three_fields_are_needed(token, name, value, text):
    expect_errors(post_json("/api/businesses", {"business": {**BUSINESS, name: value}}, token), **{name: [text]})


def test_a_missing_field_is_blank(token):
    expect_errors(post_json("/api/businesses", {"business": {"name": "x", "description": "y"}}, token), tag=["can't be blank"])
    expect_errors(post_json("/api/businesses", {"business": {}}, token), name=["can't be blank"], description=["can't be blank"],
                  tag=["can't be blank"])


def test_several_kinds_of_errors_at_once(token):
    expect_errors(post_json("/api/businesses", {"business": {"name": "x" * 256, "description": 5}}, token),
                  name=["should be at most 255 character(s)"], description=["is invalid"], tag=["can't be blank"])


@pytest.mark.parametrize("name,most", [("name", 255), ("tag", 255), ("description", 65536)])
def test_how_long_a_field_may_be(token, name, most):
    for letter in "x", "ä", "😀":
        assert create_business(token, **{name: letter * most})[name] == letter * most
    expect_errors(post_json("/api/businesses", {"business": {**BUSINESS, name: "x" * (most + 1)}}, token),
                  **{name: [f"should be at most {most} character(s)"]})


def test_a_field_of_half_a_megabyte(token):
    expect_errors(post_json("/api/businesses", {"business": {**BUSINESS, "name": "x" * 500000}}, token),
                  name=["should be at most 255 character(s)"])
    expect_errors(post_json("/api/businesses", {"business": {**BUSINESS, "description": "ä" * 70000 + "x" * 600000}}, token),
                  description=["should be at most 65536 character(s)"])


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "'; DROP TABLE directory.businesses; --", "\u202eabc", "a\u2028b", "%s%n",
                                  "עברית", "👩‍👩‍👧‍👦", "e\u0301", "\ufffe", "\U0010ffff", "\x01\x1f\x7f", "  spaces  ", "\\u0000", "=cmd"])
def test_texts_return_as_they_came(token, text):
    row = create_business(token, name=text, description=text, tag=text)
    assert row["name"] == row["description"] == row["tag"] == text
    assert get(f"/api/businesses/{row['id']}", token).json["data"] == row


def test_nothing_else_can_be_set(token):
    row = create_business(token, id=1, date="2000-01-01 00:00:00.000000", inserted_at="2000-01-01", created_by=1)
    assert row["id"] > 1 and not row["date"].startswith("2000")
    assert row.keys() == {"id", "name", "description", "tag", "date"}


# ---- GET /api/businesses/:id ----
NO_IDS = ["new", "1.0", "1e3", "+1", "01", "-0", "%31", "0x1", "1,2", "a" * 400, "1;v=1", "null"]
NOBODYS_IDS = ["0", "-1", str(UNKNOWN_ID), "9223372036854775807", "9223372036854775808", "-9223372036854775809", "9" * 400]


def test_show(token, business):
    expect_json(get(f"/api/businesses/{business['id']}", token), 200, {"data": business})


def with_id(method, token, id):
    return ask(method, f"/api/businesses/{id}", {"business": {}} if method in ("PUT", "PATCH") else None, token=token)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("id", NO_IDS)
def test_what_is_no_id(token, method, id):
    expect_detail(with_id(method, token, id), *BAD_REQUEST)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("id", NOBODYS_IDS)
def test_ids_nobody_has(token, method, id):
    expect_detail(with_id(method, token, id), *NOT_FOUND)


# ---- PUT and PATCH /api/businesses/:id ----
@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_update_changes_the_given_fields(token, business, method):
    path = f"/api/businesses/{business['id']}"
    for name, text in ("name", "New name"), ("description", "New description"), ("tag", "Marketing"):
        business[name] = text
        expect_json(ask(method, path, {"business": {name: text}}, token=token), 200, {"data": business})
    expect_json(get(path, token), 200, {"data": business})
    expect_json(ask(method, path, {"business": {}}, token=token), 200, {"data": business})


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_update_refuses_what_create_refuses(token, business, method):
    path = f"/api/businesses/{business['id']}"
    for fields, errors in (({"name": None}, {"name": ["can't be blank"]}), ({"tag": " "}, {"tag": ["can't be blank"]}),
                           ({"description": 7, "name": "fine"}, {"description": ["is invalid"]}),
                           ({"tag": "x" * 256, "name": []}, {"tag": ["should be at most 255 character(s)"], "name": ["is invalid"]})):
        expect_errors(ask(method, path, {"business": fields}, token=token), **errors)
    for body in {}, {"business": None}, {"business": "x"}, {"name": "x"}:
        expect_detail(ask(method, path, body, token=token), *BAD_REQUEST)
    expect_json(get(path, token), 200, {"data": business})


def test_any_user_may_write_any_business(business):
    other = sign_up()
    path = f"/api/businesses/{business['id']}"
    expect_status(ask("PATCH", path, {"business": {"name": "by another"}}, token=other), 200)
    expect_status(ask("DELETE", path, token=other), 204)


def test_update_does_not_move_date_or_id(token, business):
    answer = ask("PUT", f"/api/businesses/{business['id']}", {"business": {"id": 1, "date": "2000-01-01 00:00:00.000000"}}, token=token)
    expect_json(answer, 200, {"data": business})


# ---- DELETE /api/businesses/:id ----
def test_delete_works_once(token, business):
    path = f"/api/businesses/{business['id']}"
    answer = expect_status(ask("DELETE", path, token=token), 204)
    assert answer.raw == b"" and answer.headers["content-type"] is None
    expect_detail(ask("DELETE", path, token=token), *NOT_FOUND)
    expect_detail(get(path, token), *NOT_FOUND)
    assert business["id"] not in [row["id"] for row in get("/api/businesses", token).json["data"]]


# ---- _method ----
@pytest.mark.parametrize("verb", ["PUT", "PATCH", "put", "Patch"])
def test_a_post_can_be_an_update(token, business, verb):
    path = f"/api/businesses/{business['id']}"
    answer = post_json(path, {"_method": verb, "business": {"name": "other"}}, token)
    expect_json(answer, 200, {"data": {**business, "name": "other"}})
    answer = post_form(path, f"_method={verb}&business[name]=third", token)
    expect_json(answer, 200, {"data": {**business, "name": "third"}})


def test_a_post_can_be_a_delete(token, business):
    path = f"/api/businesses/{business['id']}"
    expect_unauthenticated(post_form(path, "_method=delete"))
    expect_status(post_form(path, "_method=delete", token), 204)
    expect_detail(get(path, token), *NOT_FOUND)


def test_only_the_body_of_a_post_can_change_the_method(token, business):
    path = f"/api/businesses/{business['id']}"
    expect_detail(post_json(path + "?_method=DELETE", {}, token), *NOT_FOUND)
    expect_status(get(path + "?_method=DELETE", token), 200)
    for verb in "GET", "TRACE", "", ["DELETE"], None:
        expect_detail(post_json(path, {"_method": verb}, token), *NOT_FOUND)
    expect_status(ask("PUT", path, {"_method": "DELETE", "business": {}}, token=token), 200)
    expect_status(get(path, token), 200)


# ---- anything else ----
@pytest.mark.parametrize("method,path", [("GET", "/nowhere"), ("GET", "/api"), ("GET", "/api/users"), ("GET", "/api/user/1"),
                                         ("GET", "/api/businesses/1/edit"), ("GET", "/API/businesses"), ("GET", "/api/Businesses"),
                                         ("GET", "/api/%62usinesses"), ("GET", "/api/businesses;v=1")])
def test_what_is_nowhere(method, path):
    expect_detail(ask(method, path), *NOT_FOUND)


@pytest.mark.parametrize("method,path", [("GET", "/api/users/signup"), ("PUT", "/api/users/signin"), ("DELETE", "/api/businesses"),
                                         ("PUT", "/api/businesses"), ("POST", "/api/businesses/1"), ("POST", "/"), ("DELETE", "/"),
                                         ("OPTIONS", "/api/businesses")])
def test_a_wrong_method_is_nowhere_too(method, path):
    answer = expect_detail(ask(method, path), *NOT_FOUND)
    assert answer.headers["allow"] is None


# ---- bodies ----
def test_malformed_json_comes_before_all_else(token):
    for method, path in ("POST", "/api/users/signup"), ("POST", "/api/businesses"), ("PUT", "/api/businesses/1"), ("POST", "/nowhere"):
        expect_detail(ask(method, path, b'{"a":'), *BAD_REQUEST)
    expect_detail(ask("POST", "/api/businesses", b"{]", token=token, headers={"accept": "text/html"}), *BAD_REQUEST)


def test_bytes_that_are_no_text(token):
    for body in b'{"business":{"name":"\xff"}}', b'{"\xc0\xaf":1}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\xf4\x90\x80\x80"}', b'{"a":"\xe2\x82"}':
        expect_detail(ask("POST", "/api/businesses", body, token=token), 415, "Unsupported Media Type")
    answer = ask("POST", "/api/businesses", b"business[name]=%ff", token=token, headers={"content-type": "application/x-www-form-urlencoded"})
    expect_detail(answer, 415, "Unsupported Media Type")


def test_bodies_past_the_limit(token):
    big = lambda n: b'{"business":{"name":"' + b"x" * n + b'"}}'
    expect_status(ask("POST", "/api/businesses", big(1048576 - 25), token=token), 422)
    expect_detail(ask("POST", "/api/businesses", big(1048576), token=token), 413, "Request Entity Too Large")
    expect_detail(ask("POST", "/api/users/signup", big(65536)), 413, "Request Entity Too Large")


def test_a_body_of_another_type_is_not_looked_at(token):
    expect_detail(ask("POST", "/api/businesses", b"{", token=token, headers={"content-type": "text/plain"}), *BAD_REQUEST)
    expect_detail(ask("PUT", f"/api/businesses/{UNKNOWN_ID}", b"\xff", token=token, headers={"content-type": "application/octet-stream"}),
                  *BAD_REQUEST)


def test_many_requests_on_one_connection(token):
    connection = http.client.HTTPConnection(HOST, int(PORT), timeout=5)
    for _ in range(50):
        connection.request("GET", "/api/businesses", headers={"authorization": "Bearer " + token})
        answer = connection.getresponse()
        assert answer.status == 200 and json.loads(answer.read())["data"] is not None
    connection.close()
