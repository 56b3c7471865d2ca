"""What browsers get at the ash surface, byte by byte: the cookie, where they are sent, what other sites cannot make them do."""
import html, re, urllib.parse
import pytest
from house import *
from mails import *
from test_pages import expect_page, heading

BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8", "accept-language": "en"}
OURS = BROWSER | {"sec-fetch-site": "same-origin"}
LONG = "correct horse"
REGISTER, SIGN_IN = "/auth/user/password/register", "/auth/user/password/sign_in"


class Ann:
    """Somebody with a browser, signed in by registering."""

    def __init__(self, **more):
        self.email = new_email()
        self.answer = submit(REGISTER, user_form(self.email, LONG, LONG), **more)
        self.cookie = cookie_of(self.answer)


def user_form(email, password=None, again=None, **more):
    fields = {"user[email]": email, "user[password]": password, "user[password_confirmation]": again} | more
    return urllib.parse.urlencode({name: value for name, value in fields.items() if value is not None})


def submit(path, body, cookie=None, headers=OURS, at=None):
    pairs = headers | {"content-type": "application/x-www-form-urlencoded"} | ({"cookie": f"busi_session={cookie}"} if cookie else {})
    return ask("POST", path, body.encode(), headers=pairs, at=at)


def visit(path, cookie=None, headers=BROWSER, at=None):
    return get(path, headers=headers | ({"cookie": f"busi_session={cookie}"} if cookie else {}), at=at)


def sign_in_page(ann, cookie=None, **more):
    return submit(SIGN_IN, user_form(ann.email, LONG, **more), cookie)


def set_cookies(answer):
    return answer.headers.get_all("set-cookie") or []


def cookie_of(answer):
    """The one session cookie that is set, with everything it must have."""
    (cookie,) = set_cookies(answer)
    match = re.fullmatch(r"busi_session=(\w{48}); Max-Age=1209600; Path=/; HttpOnly; SameSite=Lax", cookie)
    assert match and answer.headers["cache-control"] == "no-store", answer
    return match.group(1)


def expect_cleared(answer):
    assert set_cookies(answer) == ["busi_session=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"], answer


def expect_sent(answer, to):
    expect_status(answer, 303)
    assert answer.headers["location"] == to and answer.raw == b"", answer
    return answer


def is_alive(token):
    return get("/check", headers={"access-token": token}).status == 200


def expect_home(answer, email):
    expect_page(answer, 200, "Your account")
    assert html.escape(email) in answer.raw.decode(), answer


@pytest.fixture(scope="module")
def ann():
    return Ann()


# ---- C-01: the cookie ----
def test_who_registers_is_signed_in():
    ann = Ann()
    expect_sent(ann.answer, "/")
    expect_sent(visit("/", ann.cookie), "/account")
    expect_home(visit("/account", ann.cookie), ann.email)
    assert sql(f"SELECT count(*) FROM auth.users WHERE email = '{ann.email}'") == "1"


def test_each_sign_in_has_a_name_of_its_own(ann):
    one, two = (cookie_of(expect_sent(sign_in_page(ann), "/")) for _ in range(2))
    assert len({one, two, ann.cookie}) == 3 and is_alive(one) and is_alive(two)


@pytest.mark.parametrize("value", ["x" * 48, "x", "x" * 9000, '"' + "x" * 48 + '"', "a b", "é".encode().decode("latin-1")])
def test_no_name_is_taken_from_the_browser(ann, value):
    """Fixation: whatever the cookie said before, the session gets a name of the house's."""
    assert cookie_of(sign_in_page(ann, value)) != value if len(value) < 4000 else sign_in_page(ann, value).status == 431


def test_the_session_before_is_ended(ann):
    before, others = cookie_of(sign_in_page(ann)), cookie_of(sign_in_page(ann))
    after = cookie_of(sign_in_page(ann, before))
    assert is_alive(after) and is_alive(others) and not is_alive(before)
    bob = Ann()
    as_bob = cookie_of(sign_in_page(bob, after))
    assert is_alive(as_bob) and not is_alive(after)


def test_a_failed_sign_in_leaves_the_session(ann):
    cookie = cookie_of(sign_in_page(ann))
    answer = expect_page(submit(SIGN_IN, user_form(ann.email, "wrong horse"), cookie), 401, "Sign in")
    assert set_cookies(answer) == [] and is_alive(cookie)


def test_sign_out_ends_exactly_this_session(ann):
    one, two = (cookie_of(sign_in_page(ann)) for _ in range(2))
    answer = expect_page(visit("/sign-out", one), 200, "Signed out")
    expect_cleared(answer)
    assert not is_alive(one) and is_alive(two)
    expect_sent(visit("/account", one), "/sign-in?return_to=/account")
    expect_cleared(expect_page(submit("/account/sign-out", "", two), 200, "Signed out"))
    assert not is_alive(two)
    expect_page(visit("/sign-out"), 200, "Signed out")


def test_https_makes_the_cookie_this_hosts_alone(tmp_path, ann):
    with another_gateway(tmp_path, base_url="https://accounts.example.com") as at:
        answer = submit(SIGN_IN, user_form(ann.email, LONG), at=at)
        (cookie,) = set_cookies(answer)
        match = re.fullmatch(r"__Host-busi_session=(\w{48}); Max-Age=1209600; Path=/; HttpOnly; SameSite=Lax; Secure", cookie)
        assert match, cookie
        expect_sent(visit("/account", match.group(1), at=at), "/sign-in?return_to=/account")
        expect_home(get("/account", headers=BROWSER | {"cookie": f"__Host-busi_session={match.group(1)}"}, at=at), ann.email)


# ---- C-05: cookies of all kinds ----
@pytest.mark.parametrize("cookie, who", [
    ("busi_session={0}", True), ("a=1; busi_session={0}; b=2", True), ('busi_session="{0}"', True), ('$Version=1; busi_session={0}; $Path="/"', True),
    ("busi_session={0}; busi_session=x", True), ("busi_session=x; busi_session={0}", False), ("busi_session=; busi_session={0}", False),
    ("Busi_Session={0}", False), ("xbusi_session={0}", False), ("busi_session={0}x", False), ("busi_session", False), ("__Host-busi_session={0}", False),
    (";;; ;=; busi_session={0}", True), ("; ".join(f"c{i}=v{i}" for i in range(100)) + "; busi_session={0}", True),
    ("big=" + "x" * 4096 + "; busi_session={0}", True), ("busi_session={0};" * 60, True)])
def test_the_first_cookie_of_the_name_counts(ann, cookie, who):
    answer = get("/account", headers=BROWSER | {"cookie": cookie.format(ann.cookie)})
    if who:
        expect_home(answer, ann.email)
    else:
        expect_sent(answer, "/sign-in?return_to=/account")


def test_two_cookie_headers_are_none(ann):
    assert ask("GET", "/account", headers=[("accept", "text/html"), ("cookie", f"busi_session={ann.cookie}"), ("cookie", "a=b")]).status == 400


# ---- cookies count on pages only ----
@pytest.mark.parametrize("path, status", [("/api/businesses", 401), ("/api/businesses/1", 401), ("/check", 401), ("/magic/system/magic/users", 401),
                                          ("/magic/system/auth/refresh-ticket", 401), ("/api/users/1", 401)])
def test_no_api_knows_the_cookie(ann, path, status):
    for headers in ({"accept": "application/json"}, {}, {"accept": "application/json", "sec-fetch-site": "same-origin"}):
        assert visit(path, ann.cookie, headers).status == status


def test_signing_out_of_the_api_leaves_the_browsers_session(ann):
    cookie = cookie_of(sign_in_page(ann))
    expect_json(visit("/sign-out", cookie, {"accept": "application/json"}), 200, {"status": "ok"})
    assert is_alive(cookie)
    expect_json(visit("/sign-out", cookie, {"accept": "application/json", "authorization": "Bearer " + sign_in(ann.email)}), 200, {"status": "ok"})
    assert is_alive(cookie)


def test_no_token_of_an_api_is_a_browsers_session(ann):
    opaque = post_json("/login", {"username": ann.email, "password": LONG}).json["ok"]
    for token in (sign_in(ann.email), opaque["access_token"], opaque["refresh_token"]):
        expect_sent(visit("/account", token), "/sign-in?return_to=/account")


def test_programs_get_no_cookie(ann):
    for accept in ("application/json", "*/*", "application/json, text/plain, */*", "text/html, application/json"):
        answer = ask("POST", SIGN_IN, {"user": {"email": ann.email, "password": LONG}}, headers={"accept": accept})
        assert expect_status(answer, 200).json["authentication"]["status"] == "success" and set_cookies(answer) == []


# ---- where a browser is sent ----
GOOD = ["/", "/account", "/a/b?c=d&e=%2F%2Ff", "/x#y", "/?next=https://evil.example", "https://app.example.com/", "https://app.example.com/a?b#c",
        "https://app.example.com"]
BAD = ["//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example", "/\t/evil.example", "/\r\nset-cookie: a=b", "/%0d%0a".replace("%0d%0a", "\r\n"),
       "https:evil.example", "https:/evil.example", "https://evil.example", "http://app.example.com/", "https://app.example.com.evil.example/",
       "https://app.example.com@evil.example/", "https://app.example.com:444/", "https://user@app.example.com/", "https://xn--pp-yia.example.com/",
       "javascript:alert(1)", "data:text/html,x", "account", "?x", " /", "/ä", "/a b", "/" + "a" * 2048, "/..//evil.example", "/\x00", "/\x7f", "HTTPS://EVIL.example"]


@pytest.fixture(scope="module")
def at(tmp_path_factory):
    with another_gateway(tmp_path_factory.mktemp("return"), pages_return_to="https://app.example.com, http://localhost:3000", pages_home="/start") as port:
        yield port


def test_home_is_a_setting(ann, at):
    expect_sent(submit(SIGN_IN, user_form(ann.email, LONG), at=at), "/start")


@pytest.mark.parametrize("target", GOOD)
def test_return_to_is_followed(ann, at, target):
    expect_sent(submit(SIGN_IN, user_form(ann.email, LONG, return_to=target), at=at), target)
    page = visit("/sign-in?" + urllib.parse.urlencode({"return_to": target}), at=at)
    assert f'<input type="hidden" name="return_to" value="{html.escape(target, quote=True)}">' in page.raw.decode()
    onward = re.search(r'href="/register(\?[^"]*)"', page.raw.decode()).group(1)
    assert urllib.parse.parse_qs(onward[1:]) == {"return_to": [target]}
    assert "form-action 'self' https://app.example.com http://localhost:3000; " in page.headers["content-security-policy"]


@pytest.mark.parametrize("target", BAD)
def test_return_to_leads_to_no_strangers(ann, at, target):
    before = sql("SELECT count(*) FROM auth.users")
    for path, body in ((SIGN_IN, user_form(ann.email, LONG, return_to=target)), (REGISTER, user_form(new_email(), LONG, LONG, return_to=target)),
                       ("/auth/user/magic_link/request", user_form(ann.email, return_to=target))):
        answer = submit(path, body, at=at)
        assert answer.status == 400 and set_cookies(answer) == [] and "location" not in answer.headers, answer
    answer = visit("/sign-in?" + urllib.parse.urlencode({"return_to": target}), at=at)
    assert answer.status in (400, 414) and "evil" not in answer.raw.decode() and "\r\nset-cookie" not in str(answer.headers).lower(), answer
    assert sql("SELECT count(*) FROM auth.users") == before


def test_return_to_of_another_type(ann):
    assert submit(SIGN_IN, user_form(ann.email, LONG, **{"return_to[]": "/x"})).status == 400
    expect_sent(submit(SIGN_IN, user_form(ann.email, LONG, return_to="")), "/")


# ---- C-02: what other sites cannot do ----
FORGED = [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"sec-fetch-site": "cross-site", "origin": URL}, {"origin": "https://evil.example"},
          {"origin": "null"}, {"origin": f"http://{HOST}:1"}, {"origin": f"{URL}.evil.example"}, {"origin": ""}]
FORMS = [(SIGN_IN, "user[email]=x@example.com&user[password]=x"), (REGISTER, "user[email]=x@example.com&user[password]=x"),
         ("/auth/user/password/reset_request", "user[email]=x@example.com"), ("/auth/user/password/reset", "user[reset_token]=x"),
         ("/auth/user/magic_link/request", "user[email]=x@example.com"), ("/account/password", "password=x"), ("/account/confirmation", ""), ("/account/sessions", "others=yes"),
         ("/account/sign-out", ""), ("/confirm/x", ""), ("/magic-link/x", ""), ("/password-reset/x", "")]


@pytest.mark.parametrize("forged", FORGED)
def test_a_form_of_another_site_does_nothing(ann, forged):
    """With and without a cookie: to be signed in as somebody else is harm, too."""
    for path, body in FORMS:
        for cookie in (ann.cookie, None):
            expect_page(submit(path, body, cookie, BROWSER | forged), 403, "This did not come from our page")
    expect_page(submit(SIGN_IN, user_form(ann.email, LONG), headers=BROWSER | forged), 403)
    assert is_alive(ann.cookie)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_json_in_a_form_of_another_site_does_nothing(ann, kind):
    body = json.dumps({"user": {"email": ann.email, "password": LONG}}).encode()
    answer = ask("POST", SIGN_IN, body, headers=BROWSER | {"content-type": kind, "sec-fetch-site": "cross-site"})
    expect_status(answer, 403 if "multipart" not in kind else 400)
    assert set_cookies(answer) == []


@pytest.mark.parametrize("headers, signed_out", [({}, True), ({"sec-fetch-site": "same-origin"}, True), ({"sec-fetch-site": "none"}, True),
                                                 ({"referer": URL + "/"}, True), ({"sec-fetch-site": "cross-site"}, False),
                                                 ({"sec-fetch-site": "same-site"}, False), ({"referer": "https://evil.example/"}, False),
                                                 ({"sec-fetch-site": "same-origin", "sec-purpose": "prefetch"}, False)])
def test_a_link_of_another_site_shows_a_button(ann, headers, signed_out):
    cookie = cookie_of(sign_in_page(ann))
    answer = visit("/sign-out", cookie, BROWSER | headers)
    expect_page(answer, 200, "Signed out" if signed_out else "Sign out?")
    assert is_alive(cookie) != signed_out and (set_cookies(answer) == []) != signed_out


def test_head_signs_nobody_out(ann):
    assert ask("HEAD", "/sign-out", headers=BROWSER | {"cookie": f"busi_session={ann.cookie}"}).status == 405
    assert is_alive(ann.cookie)


# ---- what is typed stays text ----
NASTY = ['"><script>alert(1)</script>@example.com', "'onfocus='alert(1)", "</title><script>", "{{style}}", "a\x00b", "<img src=x onerror=alert(1)>", "\u202e\ud83d\ude00@x"]


@pytest.mark.parametrize("typed", NASTY)
def test_what_was_typed_is_shown_as_text(typed):
    for path, title in ((SIGN_IN, "Sign in"), (REGISTER, "Create an account")):
        body = user_form(typed.encode("utf-16", "surrogatepass").decode("utf-16"), LONG, LONG)
        answer = submit(path, body)
        if "\x00" in typed:
            assert answer.status == 400
            continue
        text = expect_status(answer, 401).raw.decode()
        assert heading(answer) == title and "<script" not in text and "<img" not in text and "'onfocus" not in text and LONG not in text, text
        assert html.unescape(re.search(r'id="email"[^>]*? value="([^"]*)"', text).group(1)) == typed.encode("utf-16", "surrogatepass").decode("utf-16")


@pytest.mark.parametrize("header", ['"><script>', "de\"><script>", "x" * 4000, "de;q=1,<b>", "{{style}}"])
def test_the_language_is_one_of_ours(header):
    page = visit("/sign-in", headers=BROWSER | {"accept-language": header})
    assert re.search(r'<html lang="(en|de)">', page.raw.decode()) and page.headers["content-language"] in ("en", "de")


def test_faults_are_told_beside_their_fields(ann):
    def faults(**fields):
        text = submit(REGISTER, user_form(**fields)).raw.decode()
        return {name: html.unescape(fault) for name, fault in re.findall(r'<p class="fault" id="(\w+)-fault">(.*?)</p>', text)}
    assert faults(email=new_email(), password="short", again="short") == {"password": "Please use at least 8 characters."}
    assert faults(email=new_email(), password=LONG, again="other") == {"again": "The two are not the same."}
    assert faults(email=ann.email, password=LONG, again=LONG) == {"email": "There is an account with this address already."}
    assert faults(email="nobody", password="", again="") == {"email": "This is not an e-mail address.", "password": "Please fill this in."}
    assert faults(email=new_email(), password=LONG, again=LONG, **{"user[password][]": "x"}).keys() <= {"password", "again"}


# ---- links ----
def mailed(to, kind, number=1):
    return re.search(r"^http://[^/]+(/[\w-]+/(\w{48}))\r?$", text_of(wait_for_mail(to, kind, number)), re.M).groups()


def test_a_link_is_a_button_before_it_does_anything():
    ann = Ann()
    expect_sent(submit("/auth/user/magic_link/request", user_form(ann.email)), "/mail-sent")
    for kind, path, name in (("magic_link", "/auth/user/magic_link", "token"), ("confirm_email", "/auth/user/confirm", "confirm")):
        link, secret = mailed(ann.email, kind)
        for _ in range(3):
            expect_sent(visit(f"{path}?{name}={secret}"), link)
            expect_page(visit(link), 200)
        assert ask("HEAD", f"{path}?{name}={secret}", headers=BROWSER).status == 405
        expect_status(ask("HEAD", link, headers=BROWSER), 200)
        for bad in ("", "../../x", "a%2Fb", "x" * 200, "%22%3E"):
            answer = visit(f"{path}?{name}={bad}")
            assert answer.status == 401 and "location" not in answer.headers, answer
    link, secret = mailed(ann.email, "magic_link")
    onward = expect_status(submit(link, ""), 303).headers["location"]
    assert re.fullmatch(r"/auth/user/password/sign_in_with_token\?token=\w{48}", onward), onward
    expect_page(visit(onward, headers=BROWSER | {"sec-fetch-site": "cross-site"}), 403)
    expect_home(visit("/account", cookie_of(expect_sent(visit(onward), "/"))), ann.email)
    expect_page(visit(onward), 401, "This link does not work any more")
    expect_page(submit(link, ""), 400, "This link does not work any more")


def test_who_confirms_is_signed_in_unless_somebody_is():
    ann, bob = Ann(), Ann()
    expect_page(submit(mailed(bob.email, "confirm_email")[0], "", ann.cookie), 200, "Address confirmed")
    expect_home(visit("/account", ann.cookie), ann.email)
    onward = expect_status(submit(mailed(ann.email, "confirm_email")[0], ""), 303).headers["location"]
    answer = visit(onward)
    expect_home(visit(expect_sent(answer, "/account?done=confirmed").headers["location"], cookie_of(answer)), ann.email)


def test_without_sign_in_tokens(tmp_path):
    ann = Ann()
    submit("/auth/user/magic_link/request", user_form(ann.email))
    with another_gateway(tmp_path, sign_in_tokens="off") as at:
        answer = submit(mailed(ann.email, "confirm_email")[0], "", at=at)
        expect_page(answer, 200, "Address confirmed")
        assert set_cookies(answer) == []
        expect_home(visit("/account", cookie_of(expect_sent(submit(mailed(ann.email, "magic_link")[0], "", at=at), "/")), at=at), ann.email)


def test_no_session_is_left_over():
    """But the one in the cookie."""
    ann = Ann()
    submit("/auth/user/magic_link/request", user_form(ann.email))
    answer = visit(submit(mailed(ann.email, "magic_link")[0], "", ann.cookie).headers["location"], ann.cookie)
    page = visit("/account", cookie_of(answer)).raw.decode()
    assert page.count("<li>\n<div>") == 1 and not is_alive(ann.cookie)


def test_a_mail_is_promised_to_everybody(ann):
    for path in ("/auth/user/magic_link/request", "/auth/user/password/reset_request"):
        known, unknown = submit(path, user_form(ann.email)), submit(path, user_form(new_email()))
        shown = lambda answer: (answer.status, answer.raw, [(name, value) for name, value in answer.headers.items() if name.lower() not in ("date", "x-request-id")])
        assert shown(known) == shown(unknown) and expect_sent(known, "/mail-sent")
        expect_page(submit(path, "user[email]="), 401)
        expect_page(submit(path, ""), 401)


# ---- the account's own page ----
def test_nobody_ends_sessions_of_others(ann):
    bob = Ann()
    sid = re.search(r'value="([\w-]+)"', visit("/account", cookie_of(sign_in_page(bob))).raw.decode())
    theirs = [re.findall(r'name="session" value="([\w-]+)"', visit("/account", cookie).raw.decode()) for cookie in (bob.cookie,)][0]
    assert theirs and sid
    expect_sent(submit("/account/sessions", "session=" + theirs[0], ann.cookie), "/account?done=session")
    assert theirs[0] in visit("/account", bob.cookie).raw.decode()
    expect_sent(submit("/account/sessions", "session=" + theirs[0], bob.cookie), "/account?done=session")
    assert theirs[0] not in visit("/account", bob.cookie).raw.decode()
    assert submit("/account/sessions", "session=" + "x" * 200, bob.cookie).status == submit("/account/sessions", "", bob.cookie).status == 400


def test_the_mail_that_confirms_can_be_had_again():
    ann = Ann()
    page = visit("/account", ann.cookie).raw.decode()
    assert 'action="/account/confirmation"' in page and "not confirmed yet" in page
    mailed(ann.email, "confirm_email")
    answer = expect_sent(submit("/account/confirmation", "email=bob@example.com", ann.cookie), "/account?done=mail")
    assert "A new mail is on its way." in visit(answer.headers["location"], ann.cookie).raw.decode()
    link, _ = mailed(ann.email, "confirm_email", 2)
    expect_page(submit(link, "", ann.cookie), 200, "Address confirmed")
    page = visit("/account", ann.cookie).raw.decode()
    assert "/account/confirmation" not in page and "not confirmed yet" not in page
    expect_sent(submit("/account/confirmation", "", ann.cookie), "/account?done=mail")


@pytest.mark.parametrize("path, body", [("/account/sessions", "others=yes"), ("/account/confirmation", ""), ("/account/password", "password=x&new_password=correct+horse")])
def test_who_is_not_signed_in_is_sent_to(path, body):
    for cookie in (None, "x" * 48):
        expect_sent(submit(path, body, cookie), "/sign-in?return_to=/account")


def test_a_password_is_changed():
    ann = Ann()
    other = cookie_of(sign_in_page(ann))
    change = lambda old, new, again: submit("/account/password", urllib.parse.urlencode({"password": old, "new_password": new, "password_confirm": again}), ann.cookie)
    for answer, fault in ((change("wrong", "another horse", "another horse"), "This is not your password."), (change(LONG, "short", "short"), "Please use at least 8 characters."),
                          (change(LONG, "another horse", "other"), "The two are not the same.")):
        expect_page(answer, 400, "Your account")
        assert f">{fault}</p>" in answer.raw.decode() and "another horse" not in answer.raw.decode()
    expect_sent(change(LONG, "another horse", "another horse"), "/account?done=password")
    assert is_alive(ann.cookie) and not is_alive(other)
    expect_page(sign_in_page(ann), 401)


# ---- for browsers alone ----
def test_errors_of_browsers_are_pages():
    expect_page(visit(SIGN_IN), 405, "That did not work")
    expect_page(ask("POST", SIGN_IN, b"{", headers=OURS | {"content-type": "application/json"}), 400, "That did not work")
    expect_page(submit(SIGN_IN, "user[email]=%ff"), 415)
    expect_page(submit(SIGN_IN, "user=x"), 401, "Sign in")
    expect_page(ask("PUT", "/sign-in", b"", headers=OURS), 405)
    assert get("/register").status == 405 and get("/register").headers["allow"] == "POST"


def test_a_house_without_these_pages(tmp_path, ann):
    with another_gateway(tmp_path, surface_account="off") as at:
        assert visit("/sign-in", at=at).status == visit("/account", ann.cookie, at=at).status == 404
        answer = submit(SIGN_IN, user_form(ann.email, LONG), at=at)
        assert answer.json["authentication"]["status"] == "success" and set_cookies(answer) == []
        expect_status(visit("/", ann.cookie, at=at), 200)


def test_pages_that_stand_elsewhere(tmp_path, ann):
    with another_gateway(tmp_path, surface_account_prefix="/people", surface_ash_prefix="/in", surface_pages_prefix="/mails") as at:
        page = visit("/people/sign-in", at=at).raw.decode()
        assert 'action="/in/user/password/sign_in"' in page and 'href="/people/reset"' in page
        cookie = cookie_of(submit("/in/user/password/sign_in", user_form(ann.email, LONG), at=at))
        expect_home(visit("/people/account", cookie, at=at), ann.email)
        expect_sent(visit("/people/account", at=at), "/people/sign-in?return_to=/people/account")
        expect_sent(visit("/", cookie, at=at), "/people/account")
        expect_sent(visit("/in/user/confirm?confirm=" + "x" * 48, at=at), "/mails/confirm/" + "x" * 48)


def test_no_secret_of_pages_is_logged():
    ann = Ann()
    visit("/account", ann.cookie)
    submit("/auth/user/magic_link/request", user_form(ann.email))
    onward = submit(mailed(ann.email, "magic_link")[0], "").headers["location"]
    visit(onward)
    for log in logs().values():
        assert ann.cookie not in log and onward.split("=")[1] not in log and LONG not in log
