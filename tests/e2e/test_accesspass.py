"""The accesspass surface, row by row as its clients know it, with mails as they arrive."""
import json, re, statistics, time
import pytest
from accesspass import *
from mails import *

RESET_SENT = "password reset sent to accounts email"
REMINDED = "An email has been sent to you with your username"
RESENT = "confirmation email resent"
NO_RESET = "reset for account does not exist"
NO_CONFIRM = "email confirmation failed"
WRONG_LOGIN = "username or password is incorrect"


@pytest.fixture(scope="module")
def ann():
    """An account whose password and sessions no test ends."""
    return Account(meta={"role": "admin", "since": 2018})


# ---- register ----
def test_register_answers_a_token_record(ann):
    assert ann.record["type"] == "basic" and ann.record["access_expire_in"] == 300
    assert ann.record["access_token"] != ann.record["refresh_token"]


def test_register_from_a_form_and_in_parts():
    ben, cid = Nobody(), Nobody()
    form = "&".join(f"{name}={value.replace('@', '%40')}" for name, value in registration(ben).items()) + "&meta[role]=clerk"
    assert who(expect_record(post_form("/register", form))["access_token"])["meta"] == {"role": "clerk"}
    assert who(expect_record(post_multipart("/register", registration(cid)))["access_token"])["username"] == cid.name


@pytest.mark.parametrize("change, errors", [
    ({"email": "ann.example.com"}, {"email": ["has invalid format"]}),
    ({"email": "a@"}, {"email": ["should be at least 3 character(s)", "has invalid format"]}),
    ({"email": "a@" + "b" * 260 + ".de"}, {"email": ["should be at most 254 character(s)"]}),
    ({"username": "ab"}, {"username": ["should be at least 3 character(s)"]}),
    ({"username": "a" * 37}, {"username": ["should be at most 36 character(s)"]}),
    ({"username": "a b"}, {"username": ["has invalid format"]}),
    ({"username": "admin"}, {"username": ["is reserved"]}),
    ({"password": "12345", "password_confirm": "12345"}, {"password": ["should be at least 6 character(s)"]}),
    ({"password_confirm": "other"}, {"password_confirm": ["Password fields do not match"]}),
    ({"password_confirm": ""}, {"password_confirm": ["Password fields do not match"]}),
    ({"password": "12345", "password_confirm": "other"}, {"password": ["should be at least 6 character(s)"]}),
    ({"username": "", "email": None, "password": "  "}, {"username": ["can't be blank"], "email": ["can't be blank"],
                                                        "password": ["can't be blank"]}),
    ({"meta": []}, {"meta": ["is invalid"]}),
    ({"meta": "{}"}, {"meta": ["is invalid"]}),
    ({"meta": {"a": "x" * 4096}}, {"meta": ["should be at most 4096 character(s)"]}),
    ({"username": 5, "email": ["a@b.de"], "meta": 1, "password": "1"}, {"username": ["is invalid"], "email": ["is invalid"], "meta": ["is invalid"],
                                                                      "password": ["should be at least 6 character(s)"]}),
])
def test_register_refuses(change, errors):
    expect_error(post_json("/register", registration(Nobody()) | change), errors)


def test_register_without_a_body():
    blank = {"username": ["can't be blank"], "email": ["can't be blank"], "password": ["can't be blank"]}
    for answer in (ask("POST", "/register"), post_json("/register", {}), post_json("/register", [1]),
                   ask("POST", "/register", b'{"username":"x"}', headers={"content-type": "text/plain"})):
        expect_error(answer, blank)


def test_register_takes_each_name_once(ann):
    other = Nobody()
    expect_error(post_json("/register", registration(other) | {"username": ann.name.upper()}), {"username": ["has already been taken"]})
    expect_error(post_json("/register", registration(other) | {"email": ann.email.upper()}), {"email": ["has already been taken"]})


def test_nothing_undeclared_is_assigned():
    eve = Account(confirmed=True, email_confirmed=True, user_id="aaaaaa", id=1, role="root", password_reset_key="x", confirm_id="x",
                  password_reset_expire=9999999999, __proto__={"confirmed": True})
    data = who(eve.access)
    assert data["email_confirmed"] is False and data["user_id"] != "aaaaaa" and data["meta"] == {}
    expect_error(confirm("x"), NO_CONFIRM)
    expect_error(change_password("x", "secret2"), NO_RESET)


@pytest.mark.parametrize("meta", [{}, {"": ""}, {"role": "admin"}, {"n": 9007199254740993, "x": -0.5, "t": True, "f": False, "z": None},
                                  {"b": [1, [2, [3]], {}], "a": {"é\n\"\\": "\u2028<script>"}}, {"deep": [[[[[[[[[[[[1]]]]]]]]]]]]}])
def test_meta_comes_back_as_it_was(meta):
    assert who(Account(meta=meta).access)["meta"] == meta


def test_meta_keeps_order_and_digits():
    fields = json.dumps(registration(Nobody()))[:-1] + ', "meta": { "z" : 1.50 , "a": 12345678901234567 }}'
    record = expect_record(ask("POST", "/register", fields.encode()))
    assert b'"meta":{"z":1.50,"a":12345678901234567}}}' in check(record["access_token"]).raw


# ---- check ----
def test_check_tells_whose_token_it_is(ann):
    answer = check(ann.access)
    data = expect_status(answer, 200).json["ok"]
    assert re.fullmatch("[a-z1-9]{6}", data["user_id"]), data
    want = (f'{{"ok":{{"user_id":"{data["user_id"]}","email_confirmed":false,"email":"{ann.email}","username":"{ann.name}",'
            f'"meta":{{"role":"admin","since":2018}}}}}}')
    assert answer.raw.decode() == want
    assert answer.headers["cache-control"] == "no-store"


def test_check_refuses_alike(ann):
    answers = [get("/check"), check("x"), check("x" * 48), check(ann.access[:-1]), check(ann.access + "A"), check(ann.access.swapcase()),
               check(ann.refresh), check("a b"), check(" "), check("x" * 6000), get("/check", headers=[("access-token", ann.access)] * 2),
               get("/check", headers={"refresh-token": ann.refresh}), get(f"/check?access_token={ann.access}")]
    for answer in answers:
        expect_unauthorized(answer)
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_tokens_of_every_kind_open_every_door(ann, token):
    data = who(token)
    assert data["username"] is None and data["email_confirmed"] is False and data["meta"] == {}
    expect_status(get("/api/businesses?limit=1", ann.access), 200)
    expect_status(get("/check", ann.access), 200)
    expect_invalid_token(get("/api/businesses?limit=1", ann.refresh))
    expect_unauthenticated(get("/api/businesses?limit=1", headers={"access-token": ann.access}))


def test_check_by_head(ann):
    answer = ask("HEAD", "/check", headers={"access-token": ann.access})
    expect_status(answer, 200)
    assert answer.raw == b"" and int(answer.headers["content-length"]) == len(check(ann.access).raw)


# ---- refresh ----
def test_refresh_answers_a_new_access_token(ann):
    first, second = (expect_status(refresh(ann.refresh), 200).json["ok"] for _ in range(2))
    assert is_token(first) and is_token(second) and len({first, second, ann.access}) == 3
    assert who(first) == who(second) == who(ann.access)


def test_refresh_refuses_alike(ann):
    answers = [get("/refresh"), refresh("x"), refresh("x" * 48), refresh(ann.access), refresh(""), refresh(ann.refresh[:-1]),
               get("/refresh", headers=[("refresh-token", ann.refresh)] * 2), get("/refresh", headers={"access-token": ann.access}),
               get("/refresh", ann.refresh)]
    for answer in answers:
        expect_error(answer, "refresh token expired")
    expect_alike(*answers)


# ---- login ----
def test_login_by_name_or_address_in_any_case(ann):
    for login in (ann.name, ann.name.upper(), ann.email, ann.email.upper()):
        record = expect_record(log_in(login, ann.password))
        assert who(record["access_token"])["username"] == ann.name


def test_login_refuses_alike(ann):
    answers = [log_in(ann.name, "secret2"), log_in(ann.email, "Secret1"), log_in(Nobody().name, "secret1"), log_in("", ""), log_in(ann.name, ""),
               log_in("nobody@example.com", "secret1"), log_in("x" * 10000, "secret1"), log_in(ann.name, "x" * 10000), post_json("/login", {}),
               log_in(ann.name + " ", ann.password), log_in("' OR 1=1 --", "secret1"), log_in(None, None)]
    for answer in answers:
        expect_error(answer, WRONG_LOGIN)
    expect_alike(*answers)


def test_login_takes_as_long_for_nobody(ann):
    """A hash is computed either way; medians of interleaved tries, so that a busy machine hurts both alike."""
    def seconds(name):
        began = time.perf_counter()
        log_in(name, "secret2")
        return time.perf_counter() - began
    pairs = [(seconds(ann.name), seconds(Nobody().name)) for _ in range(15)]
    known, unknown = (statistics.median(times) for times in zip(*pairs))
    assert 0.6 < unknown / known < 1.67, (known, unknown)


@pytest.mark.parametrize("wrong", [1, 1.5, True, [], ["x"], {}, {"x": 1}])
def test_login_with_wrong_types(ann, wrong):
    expect_error(log_in(wrong, ann.password), {"username": ["is invalid"]})
    expect_error(log_in(wrong, wrong), {"username": ["is invalid"], "password": ["is invalid"]})


def test_each_login_is_a_session_of_its_own():
    bob = Account()
    phone, laptop = bob.log_in(), bob.log_in()
    expect_ok(log_out(phone["access_token"]), "logged out")
    expect_unauthorized(check(phone["access_token"]))
    expect_error(refresh(phone["refresh_token"]), "refresh token expired")
    for record in (laptop, bob.record):
        assert is_good(record["access_token"])
        expect_status(refresh(record["refresh_token"]), 200)


# ---- logout ----
def test_logout_ends_every_token_of_the_session():
    bob = Account()
    later = refresh(bob.refresh).json["ok"]
    expect_ok(log_out(later), "logged out")
    for token in (later, bob.access):
        expect_unauthorized(check(token))
        expect_invalid_token(get("/api/businesses?limit=1", token))
    expect_error(refresh(bob.refresh), "refresh token expired")


def test_logout_always_answers_alike():
    bob = Account()
    answers = [ask("POST", "/logout"), log_out("x"), log_out("x" * 48), log_out(bob.refresh),
               ask("POST", "/logout", headers=[("access-token", bob.access)] * 2), post_json("/logout", {"access_token": bob.access})]
    assert is_good(bob.access)
    answers += [log_out(bob.access), log_out(bob.access)]
    for answer in answers:
        expect_ok(answer, "logged out")
    expect_alike(*answers)
    assert not is_good(bob.access)


def test_logout_with_two_tokens_ends_none_and_says_so():
    bob = Account()
    expect_error(ask("POST", "/logout?access_token=x", token=bob.access), "bad request")
    expect_error(ask("POST", "/logout", headers=[("authorization", "Bearer " + bob.access)] * 2), "bad request")
    assert is_good(bob.access)


# ---- confirm ----
def test_confirm_answers_a_record_once():
    bob = Account()
    secret = confirm_id(bob.email)
    record = expect_record(confirm(secret))
    assert who(record["access_token"])["email_confirmed"] is True
    for used in (secret, secret, "x" * 48, "", secret.lower()):
        expect_error(confirm(used), NO_CONFIRM)
    assert is_good(record["access_token"])


def test_a_token_says_what_was_so_at_its_sign_in():
    bob = Account()
    confirm(confirm_id(bob.email))
    assert who(bob.access)["email_confirmed"] is False
    assert who(refresh(bob.refresh).json["ok"])["email_confirmed"] is False
    assert who(bob.log_in()["access_token"])["email_confirmed"] is True


@pytest.mark.parametrize("wrong", [1, True, [], {}, ["x" * 48]])
def test_secrets_of_wrong_types(wrong):
    expect_error(confirm(wrong), {"confirm_id": ["is invalid"]})
    expect_error(post_json("/change_password", {"password_id": wrong, "new_password": wrong, "password_confirm": wrong}),
                 {"password_id": ["is invalid"], "password": ["is invalid"], "password_confirm": ["is invalid"]})


def test_resend_confirm_voids_the_older_one():
    bob = Account()
    first = confirm_id(bob.email)
    expect_ok(post_json("/resend_confirm", {"username": bob.name}), RESENT)
    second = confirm_id(bob.email, 2)
    expect_error(confirm(first), NO_CONFIRM)
    expect_record(confirm(second))


def test_resend_confirm_answers_alike(ann):
    done = Account()
    expect_record(confirm(confirm_id(done.email)))
    answers = [post_json("/resend_confirm", body) for body in
               ({"username": Account().name}, {"username": done.name}, {"username": Nobody().name}, {}, {"username": ""}, {"username": "x" * 9999})]
    for answer in answers:
        expect_ok(answer, RESENT)
    expect_alike(*answers)
    assert len(mails(done.email, "confirm_email")) == 1


# ---- reset_password and change_password ----
def start_reset(account, number=1):
    expect_ok(post_json("/reset_password", {"username": account.name}), RESET_SENT)
    return password_id(account.email, number)


def test_a_mailed_id_changes_the_password_once():
    bob = Account()
    phone = bob.log_in()
    secret = start_reset(bob)
    expect_ok(change_password(secret, "secret2"), "password changed")
    expect_error(change_password(secret, "secret3"), NO_RESET)
    for record in (bob.record, phone):
        expect_unauthorized(check(record["access_token"]))
        expect_error(refresh(record["refresh_token"]), "refresh token expired")
    expect_error(log_in(bob.name, "secret1"), WRONG_LOGIN)
    bob.log_in("secret2")
    assert "password" in text_of(wait_for_mail(bob.email, "password_changed")).lower()


def test_a_refused_password_leaves_the_id_good():
    bob = Account()
    secret = start_reset(bob)
    expect_error(change_password(secret, "12345"), {"password": ["should be at least 6 character(s)"]})
    expect_error(change_password(secret, ""), {"password": ["can't be blank"]})
    expect_error(change_password(secret, "x" * 1025), {"password": ["should be at most 1024 character(s)"]})
    expect_error(change_password(secret, "secret2", "secret3"), {"password_confirm": ["Password fields do not match"]})
    expect_error(post_json("/change_password", {"password_id": secret, "new_password": "secret2"}),
                 {"password_confirm": ["Password fields do not match"]})
    assert is_good(bob.access)
    bob.log_in()
    expect_ok(change_password(secret, "secret2"), "password changed")


def test_a_newer_id_voids_the_older():
    bob = Account()
    first = start_reset(bob)
    second = start_reset(bob, 2)
    expect_error(change_password(first, "secret2"), NO_RESET)
    expect_ok(change_password(second, "secret2"), "password changed")


def test_an_id_that_has_expired():
    bob = Account()
    secret = start_reset(bob)
    sql(f"UPDATE auth.one_time_secrets s SET expires_at = now() - interval '1 second' FROM auth.users u "
        f"WHERE u.id = s.user_id AND u.email = '{bob.email}' AND s.kind = 'reset_password'")
    expect_error(change_password(secret, "secret2"), {"password_reset_expire": ["Password reset expired."]})
    bob.log_in()


def test_secrets_are_good_for_their_kind_only():
    bob = Account()
    confirming, resetting = confirm_id(bob.email), start_reset(bob)
    expect_error(change_password(confirming, "secret2"), NO_RESET)
    expect_error(confirm(resetting), NO_CONFIRM)
    for secret in (confirming, resetting):
        expect_unauthorized(check(secret))
        expect_error(refresh(secret), "refresh token expired")
    for token in (bob.access, bob.refresh):
        expect_error(confirm(token), NO_CONFIRM)
        expect_error(change_password(token, "secret2"), NO_RESET)
    expect_record(confirm(confirming))
    expect_ok(change_password(resetting, "secret2"), "password changed")


def test_reset_password_answers_alike(ann):
    bodies = ({"username": Account().name}, {"username": Nobody().name}, {"username": ann.email}, {}, {"username": ""}, {"username": None}, {"username": "x" * 9999},
              {"username": "x\n@y"})
    answers = [post_json("/reset_password", body) for body in bodies]
    for answer in answers:
        expect_ok(answer, RESET_SENT)
    expect_alike(*answers)


def test_mails_are_asked_for_by_user_name_alone():
    bob = Account()
    for path, text in (("/reset_password", RESET_SENT), ("/resend_confirm", RESENT)):
        expect_ok(post_json(path, {"username": bob.email}), text)
    start_reset(bob)
    wait_for_mail(bob.email, "confirm_email")
    assert len(mails(bob.email, "reset_password")) == len(mails(bob.email, "confirm_email")) == 1


def test_unknown_ids_are_refused_alike():
    answers = [change_password(secret, "secret2") for secret in ("", "x", "x" * 48, "x" * 9999, "' OR 1=1 --", None)]
    for answer in answers:
        expect_error(answer, NO_RESET)
    expect_alike(*answers)


# ---- forgot_username ----
def test_forgot_username_mails_it():
    bob = Account()
    expect_ok(post_json("/forgot_username", {"email": bob.email}), REMINDED)
    mail = wait_for_mail(bob.email, "forgot_username")
    assert bob.name in text_of(mail) and mail["subject"] == "Forgot Username"


def test_forgot_username_answers_alike():
    bodies = ({"email": Account().email}, {"email": Nobody().email}, {}, {"email": ""}, {"email": "x" * 9999}, {"email": "a@b.de\r\nBcc: c@d.de"})
    answers = [post_json("/forgot_username", body) for body in bodies]
    for answer in answers:
        expect_ok(answer, REMINDED)
    expect_alike(*answers)


@pytest.mark.parametrize("path, name", [("/resend_confirm", "username"), ("/reset_password", "username"), ("/forgot_username", "email")])
@pytest.mark.parametrize("wrong", [1, True, [], {}])
def test_names_of_wrong_types(path, name, wrong):
    expect_error(post_json(path, {name: wrong}), {name: ["is invalid"]})


# ---- mails ----
def test_the_mails_of_an_account():
    bob = Account()
    mail = wait_for_mail(bob.email, "confirm_email")
    assert mail["subject"] == "Confirmation email" and bob.name in text_of(mail)
    start_reset(bob)
    assert wait_for_mail(bob.email, "reset_password")["subject"] == "Reset your password"
    for kind in ("confirm_email", "reset_password"):
        path, secret = link_of(wait_for_mail(bob.email, kind))
        assert secret in text_of(mails(bob.email, kind)[0], "html") and path.endswith(secret)


def test_mails_speak_the_clients_language():
    eva = Nobody()
    expect_record(post_json("/register", registration(eva), headers={"accept-language": "de-AT,de;q=0.9,en;q=0.5"}))
    mail = wait_for_mail(eva.email, "confirm_email")
    assert mail["content-language"] == "de" and "Guten Tag" in text_of(mail)


# ---- the shape of everything else ----
ROUTES = {"/register": "POST", "/confirm": "POST", "/resend_confirm": "POST", "/login": "POST", "/reset_password": "POST",
          "/change_password": "POST", "/forgot_username": "POST", "/logout": "POST", "/check": "GET, HEAD", "/refresh": "GET, HEAD"}


@pytest.mark.parametrize("path", ROUTES)
def test_a_wrong_verb_is_told_the_right_ones(path):
    for verb in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        if verb not in ROUTES[path]:
            answer = expect_error(ask(verb, path), "method not allowed", 405)
            assert answer.headers["allow"] == ROUTES[path]


def test_a_body_cannot_change_the_verb():
    expect_error(post_json("/login", {"_method": "DELETE"}), WRONG_LOGIN)


def test_errors_of_the_front_have_the_surfaces_shape():
    expect_error(ask("POST", "/login", b"{"), "bad request")
    expect_error(ask("POST", "/login", b'{"username":"a","username":"b"}'), "bad request")
    expect_error(ask("POST", "/login", b'{"username":"\xff"}'), "unsupported media type", 415)
    expect_error(ask("POST", "/login", b"x" * 65537), "request entity too large", 413)
    expect_error(get("/check", headers=[("host", "a"), ("host", "b")]), "bad request")


@pytest.mark.parametrize("path", ["/Check", "/check/", "//check", "/check/x", "/login/", "/register//"])
def test_paths_are_exact(path):
    expect_detail(get(path), 404, "Not Found")


@pytest.mark.parametrize("accept", ["text/html", "*/*;q=0", "image/png", "x" * 4000])
def test_accept_is_not_looked_at(ann, accept):
    expect_status(get("/check", headers={"access-token": ann.access, "accept": accept}), 200)


def test_every_answer_has_a_request_id(ann):
    for answer in (check(ann.access), check("x"), log_in("x", "y"), ask("PUT", "/login")):
        assert re.fullmatch(r"[\w.-]{8,64}", answer.headers["x-request-id"]), answer


def test_no_secret_is_logged():
    bob = Account(password="Geheim-5519", password_confirm="Geheim-5519")
    log_in(bob.name, "Geheim-5519")
    secrets = [bob.access, bob.refresh, confirm_id(bob.email), start_reset(bob), "Geheim-5519", bob.email]
    change_password(secrets[3], "Geheim-5519-2")
    get("/confirm/" + secrets[2])
    for name, log in logs().items():
        for secret in secrets:
            assert secret not in log, (name, secret)
