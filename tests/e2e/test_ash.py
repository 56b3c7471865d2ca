"""Every route of the ash surface for programs, with what it answers and what it leaves behind."""
import concurrent.futures, time
import pytest
from ash import *

BUSI_NOT_FOUND = {"errors": {"detail": "Not Found"}}


def user(email, column):
    return sql(f"SELECT {column} FROM auth.users WHERE email_key = lower('{email}')")


# ---- password: register, sign in ----
def test_register_signs_in_and_mails_a_confirmation():
    email = new_email()
    bearer = expect_success(register(email))
    assert is_good(bearer)
    claims = claims_of(bearer)
    assert claims["sub"] == f"user?id={user(email, 'id')}" and claims["iss"] == "AshAuthentication v4.0.4" and claims["aud"] == "~> 4.0"
    assert claims["exp"] - claims["iat"] == 14 * 86400 and claims["nbf"] <= claims["iat"] and claims["purpose"] == "user"
    assert re.fullmatch("[0-9a-v]{24}", claims["jti"])
    wait_for_mail(email, "confirm_email")
    assert is_good(expect_success(sign_in(email)))  # unconfirmed as it is


def test_who_registered_signs_in_whatever_the_case():
    ann = Person()
    assert is_good(expect_success(sign_in(ann.email.upper())))
    assert claims_of(ann.sign_in())["jti"] != claims_of(ann.sign_in())["jti"]


@pytest.mark.parametrize("fields", [
    {"password": "1234567", "password_confirmation": "1234567"}, {"password": ""}, {"password_confirmation": "another one"}, {"password_confirmation": ""},
    {"password_confirmation": None}, {"email": "nobody"}, {"email": "a@"}, {"email": ""}, {"email": "a" * 250 + "@example.com"}, {"username": "a b"},
    {"username": 7}, {"username": ["a"]}, {"username": "admin"}, {"password": "x" * 1025, "password_confirmation": "x" * 1025}])
def test_register_fails_alike_whatever_it_was(fields):
    email = new_email()
    expect_failure(act("password/register", **{"email": email, "password": PASSWORD, "password_confirmation": PASSWORD} | fields))
    assert user(email, "count(*)") == "0"


@pytest.mark.parametrize("missing", ["email", "password", "password_confirmation"])
def test_register_needs_all_three(missing):
    email = new_email()
    fields = {"email": email, "password": PASSWORD, "password_confirmation": PASSWORD}
    del fields[missing]
    expect_failure(act("password/register", **fields))
    assert user(email, "count(*)") == "0"


def test_eight_characters_are_enough():
    expect_success(register(new_email(), "12345678"))


def test_an_address_registers_once():
    ann = Person()
    expect_failure(register(ann.email.upper(), "some other password"))
    assert is_good(ann.sign_in())


def test_a_user_name_is_the_one_further_field():
    name = f"ash{time.time_ns()}"
    ann = Person(username=name, id=1, confirmed_at="2020-01-01", confirmed=True, roles="root", role="root", hashed_password="x", password_hash="x",
                 meta={"role": "admin"}, __proto__={"a": 1})
    assert user(ann.email, "username, confirmed_at, roles, meta") == f"{name}|||{{}}"
    expect_failure(register(new_email(), username=name.upper()))


def test_wrong_password_and_nobody_are_told_apart_by_nothing():
    ann = Person()
    expect_alike(expect_failure(sign_in(ann.email, "wrong password")), expect_failure(sign_in(new_email(), "wrong password")),
                 expect_failure(sign_in("", "")), expect_failure(sign_in("no address", "x")), expect_failure(post_json(f"{USER}/password/sign_in", {})))


def test_a_blocked_account_fails_as_any():
    ann = Person()
    with worker("auth") as auth:
        auth.call("auth.BlockUser", {1: int(user(ann.email, "id"))}, timeout_ms=4000)
    expect_alike(expect_failure(sign_in(ann.email)), expect_failure(sign_in(new_email())))
    assert not is_good(ann.bearer)


# ---- password: reset ----
def test_a_reset_sets_the_password_signs_in_and_ends_what_was_before():
    ann = Person()
    other = ann.sign_in()
    expect_taken(request_reset(ann.email))
    secret = password_id(ann.email)
    bearer = expect_success(reset(secret))
    assert is_good(bearer) and not is_good(ann.bearer) and not is_good(other)
    expect_failure(sign_in(ann.email))
    expect_success(sign_in(ann.email, NEW))
    expect_failure(reset(secret, "a third password"))
    assert is_good(bearer)


def test_what_fails_uses_up_no_secret():
    ann = Person()
    request_reset(ann.email)
    secret = password_id(ann.email)
    for password, confirmation in (("1234567", None), ("", None), (NEW, "something else"), (NEW, ""), ("x" * 1025, None)):
        expect_failure(reset(secret, password, confirmation))
    expect_failure(act("password/reset", reset_token=secret, password=NEW))
    assert is_good(ann.bearer)
    expect_success(reset(secret))


def test_a_reset_confirms_the_address():
    ann = Person()
    request_reset(ann.email)
    expect_success(reset(password_id(ann.email)))
    assert user(ann.email, "confirmed_at IS NOT NULL") == "t"


def test_a_reset_of_nobody_is_answered_as_any():
    ann, blocked = Person(), Person()
    sql(f"UPDATE auth.users SET blocked_at = now() WHERE email_key = '{blocked.email}'")
    expect_alike(*(expect_taken(request_reset(email)) for email in (ann.email, blocked.email, new_email(), "nobody", "a@b@c", " ")))
    wait_for_mail(ann.email, "reset_password")
    time.sleep(1)
    assert not mails(blocked.email, "reset_password")


@pytest.mark.parametrize("path", ["password/reset_request", "magic_link/request"])
@pytest.mark.parametrize("body", [{}, {"user": {}}, {"user": {"email": None}}, {"user": {"email": ""}}, {"user": {"email": 7}}, {"user": {"email": ["a@b.de"]}},
                                  {"user": {"email": {"a": "b"}}}, {"user": "a@b.de"}, {"user": []}, {"user": None}, {"email": "a@b.de"}])
def test_a_mail_needs_an_address(path, body):
    expect_failure(post_json(f"{USER}/{path}", body))


def test_an_old_reset_fails():
    ann = Person()
    request_reset(ann.email)
    secret = password_id(ann.email)
    sql(f"UPDATE auth.one_time_secrets SET expires_at = now() FROM auth.users WHERE user_id = id AND email_key = '{ann.email}'")
    expect_failure(reset(secret))
    for nonsense in ("x", "x" * 48, "'", "%00"):
        expect_failure(reset(nonsense))


# ---- confirm ----
def test_confirm_signs_in_once():
    ann = Person()
    secret = confirm_id(ann.email)
    assert user(ann.email, "confirmed_at IS NULL") == "t"
    bearer = expect_success(confirm(secret))
    assert is_good(bearer) and is_good(ann.bearer)
    assert user(ann.email, "confirmed_at IS NOT NULL") == "t"
    expect_alike(expect_failure(confirm(secret)), expect_failure(confirm("x" * 48)), expect_failure(confirm("")), expect_failure(get(f"{USER}/confirm")),
                 expect_failure(get(f"{USER}/confirm?confirm[]={secret}")), expect_failure(get(f"{USER}/confirm?token={secret}")))


def test_an_old_confirmation_fails():
    ann = Person()
    secret = confirm_id(ann.email)
    sql(f"UPDATE auth.one_time_secrets SET expires_at = now() FROM auth.users WHERE user_id = id AND email_key = '{ann.email}'")
    expect_failure(confirm(secret))
    assert user(ann.email, "confirmed_at IS NULL") == "t"


def test_a_confirmation_asked_for_at_one_door_is_good_at_the_other():
    ann = Person()
    expect_status(post_json("/confirm", {"confirm_id": confirm_id(ann.email)}), 200)
    bob = Person()
    expect_success(confirm(confirm_id(bob.email)))


# ---- magic link ----
def test_a_link_signs_in_once_and_confirms_the_address():
    ann = Person()
    expect_taken(request_link(ann.email.upper()))
    secret = magic_link(ann.email)
    assert is_good(expect_success(sign_in_by_link(secret)))
    assert user(ann.email, "confirmed_at IS NOT NULL") == "t"
    expect_failure(sign_in_by_link(secret))


def test_who_signs_in_by_a_link_first_is_alone_in_the_account():
    """A stranger signs up with the address, and waits for its owner to come by a link."""
    stranger = Person()
    request_link(stranger.email)
    secret, confirmation = magic_link(stranger.email), confirm_id(stranger.email)
    owners = expect_success(sign_in_by_link(secret))
    assert is_good(owners) and not is_good(stranger.bearer)
    expect_failure(sign_in(stranger.email))
    expect_failure(confirm(confirmation))
    wait_for_mail(stranger.email, "password_removed")
    request_reset(stranger.email)
    expect_success(reset(password_id(stranger.email)))
    assert is_good(expect_success(sign_in(stranger.email, NEW)))


def test_a_link_to_an_account_whose_address_is_confirmed_ends_nothing():
    ann = Person()
    expect_success(confirm(confirm_id(ann.email)))
    request_link(ann.email)
    assert is_good(expect_success(sign_in_by_link(magic_link(ann.email)))) and is_good(ann.bearer)
    assert is_good(ann.sign_in())


def test_a_newer_link_voids_the_older():
    ann = Person()
    request_link(ann.email)
    first = magic_link(ann.email)
    request_link(ann.email)
    second = magic_link(ann.email, 2)
    expect_failure(sign_in_by_link(first))
    expect_success(sign_in_by_link(second))


def test_a_link_for_nobody_is_answered_as_any():
    ann, blocked = Person(), Person()
    sql(f"UPDATE auth.users SET blocked_at = now() WHERE email_key = '{blocked.email}'")
    expect_alike(*(expect_taken(request_link(email)) for email in (ann.email, blocked.email, new_email(), "nobody")))
    magic_link(ann.email)
    time.sleep(1)
    assert not mails(blocked.email, "magic_link")


def test_links_that_are_old_or_of_a_blocked_account_fail():
    ann, bob = Person(), Person()
    request_link(ann.email), request_link(bob.email)
    old, blocked = magic_link(ann.email), magic_link(bob.email)
    sql(f"UPDATE auth.one_time_secrets SET expires_at = now() FROM auth.users WHERE user_id = id AND kind = 'magic_link' AND email_key = '{ann.email}'")
    sql(f"UPDATE auth.users SET blocked_at = now() WHERE email_key = '{bob.email}'")
    expect_alike(expect_failure(sign_in_by_link(old)), expect_failure(sign_in_by_link(blocked)), expect_failure(sign_in_by_link("x" * 48)),
                 expect_failure(sign_in_by_link("")), expect_failure(get(f"{USER}/magic_link")))


def test_links_live_ten_minutes_and_resets_two_hours():
    ann = Person()
    request_link(ann.email), request_reset(ann.email)
    magic_link(ann.email), password_id(ann.email)
    lives = sql("SELECT kind, round(extract(epoch FROM expires_at - one_time_secrets.created_at)) FROM auth.one_time_secrets"
                f" JOIN auth.users ON user_id = id WHERE email_key = '{ann.email}' ORDER BY kind")
    assert lives.split() == ["confirm_email|259200", "magic_link|600", "reset_password|7200"]


def test_no_secret_is_good_for_another_purpose():
    ann = Person()
    request_link(ann.email), request_reset(ann.email)
    secrets = {"confirm": confirm_id(ann.email), "magic_link": magic_link(ann.email), "reset": password_id(ann.email), "token": sign_in_token(ann.bearer)}
    uses = {"confirm": confirm, "magic_link": sign_in_by_link, "token": sign_in_with_token, "reset": reset}
    for kind, secret in secrets.items():
        for use in uses:
            if use != kind:
                expect_failure(uses[use](secret))
        assert not is_good(secret)
    for kind in ("confirm", "magic_link", "token", "reset"):
        expect_success(uses[kind](secrets[kind]))


# ---- tokens of a minute ----
def test_a_token_of_a_minute_signs_in_once():
    ann = Person()
    secret = sign_in_token(ann.bearer)
    assert is_good(expect_success(sign_in_with_token(secret)))
    expect_failure(sign_in_with_token(secret))
    assert user(ann.email, "confirmed_at IS NULL") == "t"
    old = sign_in_token(ann.bearer)
    sql(f"UPDATE auth.one_time_secrets SET expires_at = expires_at - interval '60 seconds' FROM auth.users WHERE user_id = id"
        f" AND kind = 'sign_in_token' AND email_key = '{ann.email}'")
    expect_failure(sign_in_with_token(old))


# ---- sign-out ----
def test_sign_out_ends_the_session_of_the_token_and_no_other():
    ann = Person()
    other = ann.sign_in()
    expect_signed_out(sign_out(ann.bearer))
    assert not is_good(ann.bearer) and is_good(other)
    expect_alike(expect_signed_out(sign_out(ann.bearer)), expect_signed_out(sign_out()), expect_signed_out(sign_out("nonsense")))


def test_a_forged_token_ends_nothing():
    ann = Person()
    head, claims, signature = ann.bearer.split(".")
    forged = make_token(padded(claims).decode(), '{"alg":"HS256","typ":"JWT"}', b"x" * 64, "HS256")
    for token in (forged, f"{head}.{claims}.", f"{head}.{claims}.{signature[:-2]}AA", f"{head}.{claims}"):
        expect_signed_out(sign_out(token))
    expect_signed_out(sign_out(headers={"authorization": "Basic " + ann.bearer}))
    expect_signed_out(get("/sign-out?access_token=" + ann.bearer))
    assert is_good(ann.bearer)


def test_of_two_tokens_none_is_ended():
    ann, bob = Person(), Person()
    answer = sign_out(headers=[("authorization", "Bearer " + ann.bearer), ("authorization", "Bearer " + bob.bearer)])
    expect_no(answer, 400, "Bad Request")
    assert is_good(ann.bearer) and is_good(bob.bearer)


def test_the_way_out_may_have_another_path(tmp_path):
    ann = Person()
    with another_gateway(tmp_path, ash_sign_out="/users/log-out", surface_ash_site_prefix="/id", guard_rules="GET /id/users/log-out confirmed") as at:
        expect_status(get("/id/users/log-out", ann.bearer, at=at), 401)
    with another_gateway(tmp_path, ash_sign_out="/users/log-out", surface_ash_site_prefix="/id") as at:
        for path in "/sign-out", "/id/sign-out", "/users/log-out":
            expect_status(get(path, ann.bearer, at=at), 404)
        assert {"path": "id/users/log-out", "verb": "get", "auth": []} in get("/magic/system/auth/endpoints", at=at).json
        assert is_good(ann.bearer)
        expect_signed_out(get("/id/users/log-out", ann.bearer, at=at))
    assert not is_good(ann.bearer)


def test_tokens_of_other_doors_sign_out_here():
    token = sign_up()
    expect_signed_out(sign_out(token))
    assert not is_good(token)


# ---- paths and verbs ----
@pytest.mark.parametrize("path", ["/auth", "/auth/", "/auth/user", "/auth/user/password/nothing", "/auth/admin/password/sign_in",
                                  "/auth/user/password/sign_in/", "/auth//user/password/sign_in", "/auth/user/magic_link/", "/auth/user/confirm/x"])
def test_what_is_not_there(path):
    for verb in ("GET", "POST", "DELETE"):
        expect_no(ask(verb, path), 404, "Not Found")


def test_beside_the_prefix_it_is_another_surface():
    for path in ("/authority", "/sign-out/now"):
        expect_json(get(path), 404, BUSI_NOT_FOUND)


POSTS = ["password/register", "password/sign_in", "password/reset_request", "password/reset", "magic_link/request"]
GETS = ["password/sign_in_with_token", "confirm", "magic_link"]


@pytest.mark.parametrize("path", [f"{USER}/{name}" for name in POSTS + GETS] + ["/sign-out"])
@pytest.mark.parametrize("verb", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_only_the_advertised_verbs(path, verb):
    is_post = path.removeprefix(USER + "/") in POSTS
    if verb == ("POST" if is_post else "GET"):
        return
    answer = expect_no(ask(verb, path), 405, "Method Not Allowed")
    assert answer.headers["allow"] == ("POST" if is_post else "GET"), answer


def test_a_posted_method_is_a_field_like_others():
    expect_failure(post_json(f"{USER}/password/sign_in", {"_method": "DELETE", "user": {"email": new_email(), "password": "x"}}))


def test_head_makes_nothing_happen():
    ann = Person()
    request_link(ann.email)
    for path in (f"{USER}/confirm?confirm={confirm_id(ann.email)}", f"{USER}/magic_link?token={magic_link(ann.email)}",
                 f"{USER}/password/sign_in_with_token?token={sign_in_token(ann.bearer)}"):
        answer = expect_status(ask("HEAD", path), 405)
        assert answer.headers["allow"] == "GET", answer
        expect_success(get(path))
    expect_status(ask("HEAD", "/sign-out", token=ann.bearer), 405)
    for path in (f"{USER}/corp", f"{USER}/corp/callback?state=x&code=y"):
        assert expect_status(ask("HEAD", path), 405).headers["allow"] == "GET"
        expect_no(get(path), 404, "Not Found")
    assert is_good(ann.bearer)


# ---- who reads ----
@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "application/json, text/plain, */*", "text/html;q=0.5, application/json", "text/html;q=0",
                                    "application/xml", "text/*", "garbage"])
def test_programs_are_answered_in_json(accept):
    headers = {} if accept is None else {"accept": accept}
    ann = Person()
    request_link(ann.email)
    expect_failure(post_json(f"{USER}/password/sign_in", {"user": {"email": ann.email, "password": "wrong"}}, headers=headers))
    expect_success(get(f"{USER}/magic_link?token={magic_link(ann.email)}", headers=headers))
    expect_signed_out(sign_out(headers=headers))
    expect_no(get("/auth/nothing", headers=headers), 404, "Not Found")


# ---- settings ----
def test_it_stands_where_it_is_told_to(tmp_path):
    ann = Person()
    with another_gateway(tmp_path, surface_ash_prefix="/id", surface_ash_site_prefix="/id") as at:
        body = {"user": {"email": ann.email, "password": ann.password}}
        bearer = expect_success(post_json("/id/user/password/sign_in", body, at=at))
        expect_json(post_json(f"{USER}/password/sign_in", body, at=at), 404, BUSI_NOT_FOUND)
        expect_no(get("/id/nothing", at=at), 404, "Not Found")
        expect_json(get("/sign-out", bearer, at=at), 404, BUSI_NOT_FOUND)
        expect_signed_out(get("/id/sign-out", bearer, at=at))
    assert not is_good(bearer)


def test_it_can_be_off(tmp_path):
    with another_gateway(tmp_path, surface_ash="off") as at:
        for path in (f"{USER}/password/sign_in", "/sign-out", "/auth"):
            expect_json(ask("POST", path, at=at), 404, BUSI_NOT_FOUND)
            expect_json(get(path, at=at), 404, BUSI_NOT_FOUND)


# ---- what is left behind ----
def test_no_secret_is_logged():
    ann = Person()
    request_link(ann.email), request_reset(ann.email)
    secrets = [ann.bearer, confirm_id(ann.email), magic_link(ann.email), password_id(ann.email), sign_in_token(ann.bearer), PASSWORD, NEW]
    confirm(secrets[1]), sign_in_by_link(secrets[2]), sign_in_with_token(secrets[4]), reset(secrets[3]), sign_out(ann.bearer)
    time.sleep(0.5)
    for name, text in logs().items():
        for secret in secrets:
            assert secret not in text, name
    stored = sql("SELECT string_agg(s::text, ' ') FROM auth.one_time_secrets AS s") + sql("SELECT string_agg(o::text, ' ') FROM auth.mail_requests AS o")
    assert not any(secret in stored for secret in secrets)


# ---- at once ----
RACERS = 64


def many(ask):
    with concurrent.futures.ThreadPoolExecutor(RACERS) as pool:
        answers = list(pool.map(lambda _: ask(), range(RACERS)))
    assert {answer.status for answer in answers} <= {200, 401, 503}, answers
    return [expect_success(answer) for answer in answers if answer.status == 200]


@pytest.mark.parametrize("kind", ["confirm", "magic_link", "token", "reset"])
def test_of_many_at_once_one_is_signed_in(kind):
    """The gateway spreads them over both workers."""
    ann = Person()
    if kind == "magic_link":  # it ends the registration's session otherwise
        expect_success(confirm(confirm_id(ann.email)))
    request_link(ann.email), request_reset(ann.email)
    begin = {"confirm": lambda: (confirm, confirm_id(ann.email)), "magic_link": lambda: (sign_in_by_link, magic_link(ann.email)),
             "token": lambda: (sign_in_with_token, sign_in_token(ann.bearer)), "reset": lambda: (reset, password_id(ann.email))}
    use, secret = begin[kind]()
    won = many(lambda: use(secret))
    assert len(won) == 1 and is_good(won[0]), won
    with worker("auth") as auth:
        sessions = auth.call("auth.ListSessions", {1: int(user(ann.email, "id"))})[1]
    assert len(sessions) == {"reset": 1, "magic_link": 3}.get(kind, 2), sessions  # with that of the registration, where it has not ended


def test_of_many_registrations_one_is_an_account():
    email = new_email()
    assert len(many(lambda: register(email))) == 1
    assert user(email, "count(*)") == "1"


def test_a_sign_out_beside_many_checks_ends_all_of_them():
    ann = Person()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        checks = [pool.submit(is_good, ann.bearer) for _ in range(200)]
        expect_signed_out(sign_out(ann.bearer))
        assert not any(pool.map(lambda _: is_good(ann.bearer), range(50)))
        [check.result() for check in checks]
