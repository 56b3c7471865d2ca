"""The magic surface, row by row as its clients know it: tickets, registration and what belongs to a user."""
import re, time
import pytest
from magic import *
from accesspass import change_password as finish_reset


@pytest.fixture(scope="module")
def ann():
    """A guest whose password and sessions no test ends."""
    return Account()


@pytest.fixture(scope="module")
def root():
    return make_root()


# ---- authenticate ----
def test_authenticate_answers_a_ticket(ann):
    answer = authenticate(ann.name)
    ticket = expect_ticket(answer)
    assert answer.json == {"ticket": ticket, "extra": {"email": ann.email}}
    assert answer.headers["cache-control"] == "no-store" and "x-request-id" in answer.headers
    assert is_good(ticket)


def test_authenticate_by_basic_and_by_email(ann):
    assert is_good(expect_ticket(get(AUTH + "authenticate", headers=basic(ann.name))))
    assert is_good(expect_ticket(get(AUTH + "authenticate", headers=basic(ann.email))))
    assert is_good(expect_ticket(authenticate(ann.email.upper())))
    assert is_good(expect_ticket(authenticate(ann.name.upper())))


def test_extra_has_the_name_and_is_left_out_when_nothing_is_known(root):
    ben = Account()
    expect_result(call("PUT", AUTH + "update-extra-info", ben.ticket, name="Ben Ää"), "success")
    assert authenticate(ben.name).json["extra"] == {"name": "Ben Ää", "email": ben.email}
    expect_result(call("PUT", AUTH + "update-extra-info", ben.ticket, name="B"), "success")
    assert authenticate(ben.name).json["extra"]["name"] == "B"
    name = new_name()
    expect_result(call("POST", ADMIN + "users", root, username=name, password=TICKET_PASSWORD), "success", 201)
    answer = authenticate(name)
    assert list(answer.json) == ["ticket"], answer


def test_authenticate_refuses(ann):
    expect_denied(authenticate(ann.name, "wrong password 12"))
    expect_denied(authenticate("nobody-" + new_name()))
    expect_denied(get(AUTH + "authenticate", headers=basic(ann.name, "wrong password 12")))
    expect_denied(authenticate("x" * 1000))
    for missing, query in [("username", ""), ("password", "?username=a"), ("username", "?password=b"), ("password", "?username=a&password="),
                           ("username", "?username=&password=b")]:
        expect_message(get(AUTH + "authenticate" + query), 400, f"Mandatory argument '{missing}' not given", missing)
    expect_message(get(AUTH + "authenticate?username=a&password=b&admin=true"), 400, "I don't know how to handle the 'admin' query parameter", "admin")


@pytest.mark.parametrize("header", ["Basic", "Basic ", "Basic !!!!", "Basic YQ==", "Basic YTpi\u00e4", "Basic YTpiYTpi="])
def test_authenticate_by_broken_basic(header):
    answer = get(AUTH + "authenticate", headers={"authorization": header.encode("latin1")})
    assert answer.status in (400, 401), answer
    assert "ticket" not in answer.json


def test_credentials_twice_are_refused(ann):
    expect_message(authenticate(ann.name, headers=basic(ann.name)), 400, "Bad Request")
    expect_message(get(AUTH + "authenticate", headers=list(basic(ann.name).items()) * 2), 400, "Bad Request")


def test_wrong_verbs_and_paths():
    for method, path in [("POST", AUTH + "authenticate"), ("GET", AUTH + "logout"), ("GET", AUTH + "nothing"), ("PATCH", ADMIN + "users"),
                         ("GET", "/magic"), ("GET", AUTH + "authenticate/")]:
        answer = ask(method, path)
        assert answer.status == 404 and answer.raw == b"", (path, answer)


def test_head_makes_no_ticket(root, ann):
    for path in ("authenticate?username=x&password=y", "refresh-ticket", f"impersonate?username={ann.name}",
                 f"generate-token?username={ann.name}&role=guest&expires=2099-01-01"):
        expect_status(ask("HEAD", AUTH + path, token=root), 404)
    mine = sign_up()
    expect_status(ask("HEAD", AUTH + "refresh-ticket", token=mine), 404)
    expect_status(get(AUTH + "verify-ticket", mine), 200)
    assert is_good(mine)


# ---- the ticket ----
def test_claims_of_a_ticket(ann):
    header, claims = json.loads(padded(ann.ticket.split(".")[0])), claims_of(ann.sign_in())
    assert header["alg"] == "HS256" and header["typ"] == "JWT"
    assert claims["unique_name"] == ann.name and claims["role"] == "guest"
    assert claims["exp"] - claims["iat"] == 720 * 60 and claims["nbf"] == claims["iat"]
    assert not {"iss", "aud", "jti"} & set(claims)


def test_role_is_absent_a_text_or_a_list(root):
    cid = Account()
    expect_json(call("DELETE", ADMIN + "users_roles", root, user=cid.name, role="guest"), 200, {"affected": 1})
    assert "role" not in claims_of(cid.sign_in())
    for role in ("guest", "admin"):
        expect_result(call("POST", ADMIN + "users_roles", root, user=cid.name, role=role), "success", 201)
    assert claims_of(cid.sign_in())["role"] == ["admin", "guest"]


def test_a_ticket_is_a_credential_everywhere(ann, token):
    expect_status(get("/api/businesses?limit=1", ann.ticket), 200)
    assert is_good(token)


def test_ticket_in_the_query_or_the_header_but_not_both(ann):
    expect_status(get(AUTH + "refresh-ticket?access_token=" + ann.ticket), 200)
    expect_result(get(AUTH + "verify-ticket?access_token=" + ann.ticket), "success")
    for path in ("refresh-ticket", "verify-ticket"):
        expect_message(get(AUTH + path + "?access_token=" + ann.ticket, ann.ticket), 400, "Bad Request")
    for cookies in ("ticket=" + ann.ticket, "access_token=" + ann.ticket):
        expect_denied(get(AUTH + "refresh-ticket", headers={"cookie": cookies}))


def test_query_credentials_can_be_turned_off(ann, tmp_path):
    with another_gateway(tmp_path, magic_query_credentials="off") as at:
        expect_message(authenticate(ann.name, at=at), 400, "I don't know how to handle the 'username' query parameter", "username")
        expect_message(get(AUTH + "refresh-ticket?access_token=" + ann.ticket, at=at), 400,
                       "I don't know how to handle the 'access_token' query parameter", "access_token")
        assert is_good(expect_ticket(get(AUTH + "authenticate", headers=basic(ann.name), at=at)))
        expect_ticket(get(AUTH + "refresh-ticket", ann.ticket, at=at))


def test_the_sources_endpoint(ann, tmp_path):
    path = "/magic/modules/crm/login"
    assert call("GET", path, username=ann.name, password=ann.password).status == 404
    with another_gateway(tmp_path, magic_module="crm/login") as at:
        answer = call("GET", path, username=ann.name, password=ann.password, at=at)
        assert list(answer.json) == ["ticket"] and is_good(expect_ticket(answer))
        expect_denied(call("GET", path, username=ann.name, password="wrong password 12", at=at))
        expect_message(get(path, at=at), 400, "Mandatory argument 'username' not given", "username")
        for other in ("crm/log", "crm/login2", "xcrm/login", "crm/x"):
            assert call("GET", "/magic/modules/" + other, username=ann.name, password=ann.password, at=at).status == 404


def test_refresh_gives_another_ticket_of_the_session_and_leaves_the_old_one():
    dan = Account()
    old = dan.sign_in()
    time.sleep(1.1)
    new = expect_ticket(get(AUTH + "refresh-ticket", old))
    assert new != old and claims_of(new)["exp"] > claims_of(old)["exp"] and is_good(old) and is_good(new)
    expect_result(ask("POST", AUTH + "logout", token=new), "success")
    assert not is_good(old) and not is_good(new)
    assert is_good(dan.ticket), "another session"
    expect_denied(get(AUTH + "refresh-ticket", old))
    expect_denied(get(AUTH + "refresh-ticket"))


def test_refresh_knows_the_roles_of_now(root):
    eve = Account()
    expect_result(call("POST", ADMIN + "users_roles", root, user=eve.name, role="admin"), "success", 201)
    assert claims_of(expect_ticket(get(AUTH + "refresh-ticket", eve.ticket)))["role"] == ["admin", "guest"]


def test_verify_ticket_never_fails(ann):
    expect_result(get(AUTH + "verify-ticket"), "failure")
    for bad in ("x", ann.ticket + "x", ann.ticket[:-4] + "AAAA", make_token(claims_of(ann.ticket))):
        expect_result(get(AUTH + "verify-ticket", bad), "failure")
    expect_result(get(AUTH + "verify-ticket", headers={"authorization": "Basic x"}), "failure")


def test_logout_ends_that_session_alone():
    fay = Account()
    other = fay.sign_in()
    expect_result(ask("POST", AUTH + "logout", token=fay.ticket), "success")
    assert not is_good(fay.ticket) and is_good(other)
    expect_result(ask("POST", AUTH + "logout", token=fay.ticket), "success")
    expect_result(ask("POST", AUTH + "logout", token=other[:-4] + "AAAA"), "success")
    assert is_good(other), "a forged one ends nothing"
    expect_denied(ask("POST", AUTH + "logout"))


# ---- passwords ----
def test_change_password_ends_all_other_sessions():
    gus = Account()
    other, new = gus.sign_in(), "another horse battery"
    expect_result(call("PUT", AUTH + "change-password", gus.ticket, password=new), "success")
    assert is_good(gus.ticket) and not is_good(other)
    expect_denied(authenticate(gus.name))
    assert is_good(gus.sign_in(new))


def test_change_password_is_judged_before_it_is_asked_who_asks(ann):
    for token in (None, ann.ticket, "x"):
        answer = call("PUT", AUTH + "change-password", token, password="s3cret-11ch")
        expect_message(answer, 400, "Not a valid string between 12 and 1024 in length for [password]", "password")
        expect_message(call("PUT", AUTH + "change-password", token), 400, "Mandatory argument 'password' not given", "password")
    expect_denied(call("PUT", AUTH + "change-password", password="long enough, that is"))
    expect_denied(call("PUT", AUTH + "change-password", "x", password="long enough, that is"))
    assert is_good(ann.sign_in())


def test_a_blocked_users_ticket(root):
    hal = Account()
    user_id = int(sql(f"SELECT id FROM auth.users WHERE username = '{hal.name}'"))
    with worker("auth") as client:
        client.call("auth.BlockUser", {1: user_id})
    assert not is_good(hal.ticket)
    expect_denied(authenticate(hal.name))
    expect_denied(get(AUTH + "refresh-ticket", hal.ticket))


# ---- registration ----
def test_register_confirm_and_be_a_guest():
    name, address = new_name(), new_email()
    expect_result(register(name, address), "confirm-email-address-email-sent")
    assert claims_of(expect_ticket(authenticate(name)))["role"] == "unconfirmed"
    secret = confirm_id(address)
    answer = call("POST", AUTH + "verify-email", username=name, token_=secret)
    ticket = expect_ticket(answer)
    assert answer.json["extra"] == {"email": address} and claims_of(ticket)["role"] == "guest"
    expect_denied(call("POST", AUTH + "verify-email", username=name, token_=secret))


def test_the_ticket_of_before_is_a_guests_once_confirmed():
    name, address = new_name(), new_email()
    register(name, address)
    early = expect_ticket(authenticate(name))
    expect_ticket(call("POST", AUTH + "verify-email", username=name, token_=confirm_id(address)))
    assert claims_of(expect_ticket(get(AUTH + "refresh-ticket", early)))["role"] == "guest"


def test_register_keeps_the_name():
    name, address = new_name(), new_email()
    answer = call("POST", AUTH + "register", username=name, password=TICKET_PASSWORD, extra={"email": address, "name": "Ida"})
    expect_result(answer, "confirm-email-address-email-sent")
    assert authenticate(name).json["extra"] == {"name": "Ida", "email": address}


def test_register_with_a_taken_name_or_address(ann):
    expect_result(register(ann.name.upper(), new_email()), "already-registered")
    expect_result(register(ann.name, ann.email), "already-registered")
    name = new_name()
    expect_result(register(name, ann.email.upper()), "confirm-email-address-email-sent")
    expect_denied(authenticate(name))
    assert ann.name in text_of(wait_for_mail(ann.email, "already_registered"))


def test_register_signs_nobody_in():
    name, address = new_name(), new_email()
    register(name, address)
    user_id = int(sql(f"SELECT id FROM auth.users WHERE username = '{name}'"))
    with worker("auth") as client:
        assert not client.call("auth.ListSessions", {1: user_id}).get(1)


@pytest.mark.parametrize("change, message, field", [
    ({"username": ""}, "Mandatory argument 'username' not given", "username"),
    ({"username": "ab"}, "Not a valid string of at least 3 in length for [username]", "username"),
    ({"username": "a" * 37}, "Not a valid string of at most 36 in length for [username]", "username"),
    ({"username": "a b c"}, "'a b c' is not a valid name for [username]", "username"),
    ({"username": 5}, "Not a valid string for [username]", "username"),
    ({"password": "s3cret"}, "Not a valid string between 12 and 1024 in length for [password]", "password"),
    ({"password": None}, "Mandatory argument 'password' not given", "password"),
    ({"extra": {}}, "Mandatory argument 'email' not given", "email"),
    ({"extra": {"email": "x"}}, "'x' is not a valid email address", "email"),
    ({"extra": {"email": ["x"]}}, "Not a valid string for [email]", "email"),
    ({"extra": {"email": "a@b.de", "role": "root"}}, "Unsupported extra field 'role' supplied to endpoint", "role"),
    ({"extra": {"email": "a@b.de", "name": "x" * 1025}}, "Not a valid string of at most 1024 in length for [name]", "name"),
    ({"extra": "x"}, "Not a valid object for [extra]", "extra"),
    ({"role": "root"}, "I don't know how to handle the 'role' argument", "role"),
    ({"frontendUrl": "https://evil.example.org/"}, "'https://evil.example.org/' is not a valid URL for [frontendUrl]", "frontendUrl"),
    ({"frontendUrl": "javascript:alert(1)"}, "'javascript:alert(1)' is not a valid URL for [frontendUrl]", "frontendUrl"),
])
def test_register_refuses(change, message, field):
    arguments = {"username": new_name(), "password": TICKET_PASSWORD, "extra": {"email": new_email()}} | change
    expect_message(call("POST", AUTH + "register", **arguments), 400, message, field)


def test_mailed_links_lead_to_the_frontend_where_it_is_allowed(tmp_path):
    with another_gateway(tmp_path, magic_frontend_urls="https://app.example.com", base_url="https://api.example.com") as at:
        name, address = new_name(), new_email()
        expect_result(register(name, address, frontendUrl="https://app.example.com/welcome", at=at), "confirm-email-address-email-sent")
        link = re.search(r"https://app\.example\.com/welcome\S+", text_of(wait_for_mail(address, "confirm_email")))[0]
        secret = re.fullmatch(rf"https://app\.example\.com/welcome\?token=(\w{{48}})&username={name}&url=https%3A%2F%2Fapi\.example\.com", link)[1]
        expect_result(call("POST", AUTH + "resend-confirm", username=name, frontendUrl="https://app.example.com/b", at=at), "new-email-sent")
        second = text_of(wait_for_mail(address, "confirm_email", 2))
        assert "https://app.example.com/b?token=" in second and secret not in second
        expect_denied(call("POST", AUTH + "verify-email", username=name, token_=secret))
        newer = re.search(r"token=(\w{48})", second)[1]
        expect_ticket(call("POST", AUTH + "verify-email", username=name, token_=newer))
        expect_message(register(new_name(), new_email(), frontendUrl="https://api.example.com/x", at=at), 400,
                       "'https://api.example.com/x' is not a valid URL for [frontendUrl]", "frontendUrl")


def test_verify_email_wants_the_name_of_the_secrets_account(ann):
    name, address = new_name(), new_email()
    register(name, address)
    secret = confirm_id(address)
    for wrong in (ann.name, "nobody-" + name):
        expect_denied(call("POST", AUTH + "verify-email", username=wrong, token_=secret))
    expect_denied(call("POST", AUTH + "verify-email", username=name, token_="x" * 48))
    expect_denied(call("POST", AUTH + "verify-email", username=name, token_=secret[:-1]))
    expect_ticket(call("POST", AUTH + "verify-email", username=name.upper(), token_=secret))


def test_resend_confirm_tells_nothing(ann):
    answers = [call("POST", AUTH + "resend-confirm", username=who) for who in (ann.name, ann.email, "nobody-" + new_name(), "a b")]
    for answer in answers:
        expect_result(answer, "new-email-sent")
    expect_message(call("POST", AUTH + "resend-confirm"), 400, "Mandatory argument 'username' not given", "username")
    expect_message(call("POST", AUTH + "resend-confirm", username="x", frontendUrl="http://x.org"), 400,
                   "'http://x.org' is not a valid URL for [frontendUrl]", "frontendUrl")


def test_send_reset_password_link():
    jon = Account()
    for who in (jon.name, "nobody-" + new_name()):
        expect_result(call("POST", AUTH + "send-reset-password-link", username=who), "success")
    new = "another horse battery"
    expect_status(finish_reset(password_id(jon.email), new), 200)
    assert not is_good(jon.ticket) and is_good(jon.sign_in(new))


def test_verify_password(ann):
    verify = lambda password, token=ann.ticket, **more: call("GET", AUTH + "verify-password", token, password=password, **more)
    expect_result(verify(ann.password), "success")
    expect_result(verify("wrong password 12"), "failure")
    expect_result(verify("x"), "failure")
    expect_denied(verify(ann.password, None))
    expect_message(get(AUTH + "verify-password", ann.ticket), 400, "Mandatory argument 'password' not given", "password")


# ---- what anybody may know ----
def test_what_is_taken_is_told_where_it_is_allowed(ann, tmp_path):
    for query in (f"username-taken?username={ann.name}", f"email-taken?email={ann.email}"):
        assert get(AUTH + query).status == 404
    with another_gateway(tmp_path, magic_tells_taken="on") as at:
        taken = lambda what, name: call("GET", AUTH + what + "-taken", at=at, **{what: name})
        expect_result(taken("username", ann.name.upper()), "username-taken")
        expect_result(taken("username", new_name()), "username-available")
        expect_result(taken("email", ann.email.upper()), "email-taken")
        expect_result(taken("email", new_email()), "email-available")
        expect_message(get(AUTH + "email-taken", at=at), 400, "Mandatory argument 'email' not given", "email")


def test_endpoints():
    answer = expect_status(get(AUTH + "endpoints"), 200)
    assert answer.headers["cache-control"] == "public, max-age=300", answer
    rows = {(row["verb"], row["path"]): row["auth"] for row in answer.json}
    assert all(list(row) == ["path", "verb", "auth"] for row in answer.json)
    assert rows["get", "magic/system/auth/authenticate"] == []
    assert rows["get", "magic/system/auth/refresh-ticket"] == ["*"]
    assert rows["get", "magic/system/magic/users"] == ["root"]
    assert rows["get", "api/businesses"] == ["*"]


def test_endpoints_show_the_roles_of_guard_rules(tmp_path):
    rules = "POST /api/businesses role=clerk,admin; GET /magic/system/magic/users role=auditor"
    with another_gateway(tmp_path, guard_rules=rules) as at:
        rows = {(row["verb"], row["path"]): row["auth"] for row in get(AUTH + "endpoints", at=at).json}
        assert sorted(rows["post", "api/businesses"]) == ["admin", "clerk"]
        assert rows["get", "magic/system/magic/users"] == ["auditor"]


def test_recaptcha_key():
    expect_result(get(AUTH + "recaptcha-key"), None)


def test_the_surface_can_be_moved_and_turned_off(ann, tmp_path):
    for folder in ("moved", "off"):
        (tmp_path / folder).mkdir()
    with another_gateway(tmp_path / "moved", surface_magic_prefix="/old/magic") as at:
        expect_ticket(get("/old" + AUTH + "authenticate", headers=basic(ann.name), at=at))
        assert get(AUTH + "authenticate", at=at).status == 404
    with another_gateway(tmp_path / "off", surface_magic="off") as at:
        expect_detail(get(AUTH + "authenticate", at=at), 404, "Not Found")


# ---- secrets ----
def test_no_query_and_no_password_is_logged(root):
    password, other = "canary-" + new_name(), "canary-" + new_name()
    kim = Account()
    expect_result(call("PUT", AUTH + "change-password", kim.ticket, password=password), "success")
    ticket = expect_ticket(authenticate(kim.name, password))
    authenticate(kim.name, other)
    get(AUTH + "authenticate?username=" + kim.name + "&password=" + other + "&x=1")
    get(AUTH + "verify-ticket?access_token=" + ticket)
    answers = [call("PUT", AUTH + "change-password", kim.ticket, password=[other]), call("POST", AUTH + "register", username="x", password=other, extra={}),
               call("POST", ADMIN + "users", root, username="a b", password=other), call("PUT", ADMIN + "users", root, username=kim.name, password=other[:5]),
               call("GET", AUTH + "authenticate", username=kim.name, password=other)]
    for answer in answers:
        assert answer.status >= 400 and other[:5] not in answer.raw.decode(), answer
    for name, log in logs().items():
        for text in (password, other, ticket, ticket.split(".")[2], "password=", "access_token="):
            assert text not in log, (name, text)
