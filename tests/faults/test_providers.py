"""Sign-in by an OpenID provider: a real one (oidc-provider), which logs in whoever is named; and one that is away."""
import base64, html, http.client, http.cookies, http.server, json, os, pathlib, re, shutil, socket, subprocess, sys, threading, time, urllib.parse
import pytest
import stack

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from house import sql
from mails import magic_link, password_id

HERE = pathlib.Path(__file__).resolve().parents[1] / "oidc"
NAME = "corp"
SECRET = "a/secret+with=signs"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Provider:
    def __init__(self):
        folder = stack.VAR / "oidc"
        folder.mkdir(exist_ok=True)
        for name in ("package.json", "package-lock.json", "provider.js", ".npmrc"):
            shutil.copy(HERE / name, folder)
        subprocess.run(["npm", "ci", "--silent"], cwd=folder, check=True, timeout=300)
        self.folder, self.port, self.process = folder, free_port(), None
        self.issuer = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self, **env):
        callback = f"http://127.0.0.1:{stack.PORT}/auth/user/{NAME}/callback"
        self.process = subprocess.Popen(["node", "provider.js", str(self.port), callback], cwd=self.folder, env=dict(os.environ, **env),
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def stop(self):
        self.process.kill()
        self.process.wait()

    def rotate(self):
        assert Browser().ask("POST", self.issuer + "/rotate", "").status == 200


class Browser:
    """Keeps cookies by host and path, and follows nothing by itself."""

    def __init__(self):
        self.cookies = {}  # (port, path, name) -> value

    def ask(self, method, url, body=None, headers=None):
        at = urllib.parse.urlsplit(url)
        headers = dict(headers or {})
        mine = [f"{name}={value}" for (port, path, name), value in self.cookies.items()
                if port == at.port and at.path.startswith(path)]
        if mine:
            headers["cookie"] = "; ".join(mine)
        if body is not None:
            headers["content-type"] = "application/x-www-form-urlencoded"
        connection = http.client.HTTPConnection(at.hostname, at.port, timeout=15)
        connection.request(method, at.path + ("?" + at.query if at.query else ""), body, headers)
        answer = connection.getresponse()
        answer.text = answer.read().decode()
        connection.close()
        for line in answer.headers.get_all("set-cookie") or []:
            for name, morsel in http.cookies.SimpleCookie(line).items():
                key = (at.port, morsel["path"] or "/", name)
                self.cookies[key] = morsel.value
                if morsel["max-age"] == "0" or not morsel.value:
                    del self.cookies[key]
        answer.url = url
        return answer

    def go(self, answer):
        return urllib.parse.urljoin(answer.url, answer.getheader("location"))


def ours(path):
    return f"http://127.0.0.1:{stack.PORT}{path}"


def log_in(browser, location, login):
    """From the provider's door back to ours: the URL the browser is sent to at last."""
    answer = browser.ask("GET", location)
    for _ in range(20):
        if answer.status in (302, 303):
            url = browser.go(answer)
            if url.startswith(ours("/")):
                return url
            answer = browser.ask("GET", url)
            continue
        assert answer.status == 200, (answer.status, answer.text)
        form = re.search(r'<form[^>]*action="([^"]+)"', answer.text).group(1)
        fields = dict(re.findall(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"', answer.text))
        if 'name="login"' in answer.text:
            fields |= {"login": login, "password": "any"}
        answer = browser.ask("POST", urllib.parse.urljoin(answer.url, html.unescape(form)), urllib.parse.urlencode(fields))
    raise AssertionError("the provider sends the browser in circles")


def begin(browser, **query):
    answer = browser.ask("GET", ours(f"/auth/user/{NAME}") + ("?" + urllib.parse.urlencode(query) if query else ""))
    assert answer.status == 302, (answer.status, answer.text)
    return browser.go(answer)


def sign_in(login, browser=None, headers=None):
    browser = browser or Browser()
    return browser.ask("GET", log_in(browser, begin(browser), login), headers=headers)


def bearer_of(answer):
    assert answer.status == 200, (answer.status, answer.text)
    body = json.loads(answer.text)
    assert body["authentication"]["status"] == "success", body
    return body["authentication"]["bearer"]


def expect_failed(answer):
    assert answer.status == 401, (answer.status, answer.text)
    assert json.loads(answer.text) == {"authentication": {"status": "failed"}}


def whose(token):
    status, _, body = stack.ask("GET", "/check", None, {"access-token": token})
    assert status == 200, body
    return body["ok"]


def user_id(token):
    """The sub of ash's tokens is user?id=N."""
    payload = token.split(".")[1]
    return int(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sub"].removeprefix("user?id="))


def new_email():
    return f"p{time.time_ns()}@example.org"


@pytest.fixture(scope="module")
def provider():
    provider = Provider()
    yield provider
    provider.stop()


@pytest.fixture(scope="module")
def silent():
    """A provider that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as listening:
        yield f"silent=http://127.0.0.1:{listening.getsockname()[1]} busi"


@pytest.fixture(scope="module")
def liar():
    """A provider that says of itself whatever it is told to."""
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps(self.server.says).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        server.issuer = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module", autouse=True)
def whole_stack(provider, silent, liar):
    stack.local("up", BUSI_OIDC_PROVIDERS=f"{NAME}={provider.issuer} busi; {silent}; liar={liar.issuer} busi", BUSI_OIDC_SECRETS=f"{NAME} {SECRET}",
                BUSI_OIDC_ANYWHERE="on", BUSI_LIMIT_SECRETS_NETWORK="off")
    yield
    stack.local("up")


def test_a_stranger_gets_an_account_and_the_same_one_next_time():
    email = new_email()
    first, second = bearer_of(sign_in(email)), bearer_of(sign_in(email))
    assert whose(first)["user_id"] == whose(second)["user_id"]
    assert whose(first)["email"] == email and whose(first)["email_confirmed"] is True
    status, _, _ = stack.request("GET", "/api/businesses", token=first)
    assert status == 200


def test_the_request_is_what_the_standards_ask_for(provider):
    browser = Browser()
    answer = browser.ask("GET", ours(f"/auth/user/{NAME}"))
    assert answer.status == 302 and answer.text == f"Redirecting to {NAME}"
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(answer.getheader("location")).query, strict_parsing=True)
    assert query["response_type"] == ["code"] and query["client_id"] == ["busi"]
    assert query["code_challenge_method"] == ["S256"] and len(query["code_challenge"][0]) == 43
    assert "openid" in query["scope"][0].split() and query["redirect_uri"] == [ours(f"/auth/user/{NAME}/callback")]
    assert len(query["state"][0]) == 43 and len(query["nonce"][0]) == 43
    again = urllib.parse.parse_qs(urllib.parse.urlsplit(begin(Browser())).query)
    assert again["state"] != query["state"] and again["nonce"] != query["nonce"]
    cookie = answer.getheader("set-cookie").lower()
    assert "httponly" in cookie and "samesite=lax" in cookie and f"path=/auth/user/{NAME}" in cookie and "max-age=600" in cookie


def test_an_account_that_confirmed_the_address_is_linked_and_keeps_its_password():
    email = new_email()
    stack.sign_up(email)
    user = confirm(email)
    assert user_id(bearer_of(sign_in(email))) == user
    status, _, _ = stack.request("POST", "/api/users/signin", {"email": email, "password": stack.PASSWORD})
    assert status in (200, 201)


def confirm(email):
    """By the operator's hand, as the address was confirmed long ago."""
    return int(sql(f"UPDATE auth.users SET confirmed_at = now() WHERE email = '{email}' RETURNING id"))


def test_whoever_made_an_account_with_anothers_address_loses_it():
    """A stranger signs up with the victim's address and waits for the victim to come by the provider."""
    email = new_email()
    strangers = stack.sign_up(email)
    token = bearer_of(sign_in(email))
    assert whose(token)["email"] == email
    assert stack.request("GET", "/api/businesses", token=strangers)[0] == 401
    status, _, _ = stack.request("POST", "/api/users/signin", {"email": email, "password": stack.PASSWORD})
    assert status == 401


@pytest.mark.parametrize("way", ["provider", "reset", "link"])
def test_whoever_moved_his_account_to_anothers_address_is_out(way):
    """His own way in was linked before: it does not stay open to what the owner of the address does with the account."""
    attacker, victim = new_email(), new_email()
    bait = bearer_of(sign_in(attacker))
    status, _, body = stack.request("PATCH", f"/api/users/{user_id(bait)}", {"email": victim}, bait)
    assert status == 200, body
    if way == "provider":
        owners = bearer_of(sign_in(victim))
    elif way == "link":
        stack.request("POST", "/auth/user/magic_link/request", {"user": {"email": victim}})
        owners = stack.request("GET", f"/auth/user/magic_link?token={magic_link(victim)}")[2]["authentication"]["bearer"]
    else:
        stack.request("POST", "/auth/user/password/reset_request", {"user": {"email": victim}})
        secrets = {"reset_token": password_id(victim), "password": "another password", "password_confirmation": "another password"}
        owners = stack.request("POST", "/auth/user/password/reset", {"user": secrets})[2]["authentication"]["bearer"]
    assert user_id(owners) == user_id(bait) and whose(owners)["email_confirmed"] is True
    assert stack.ask("GET", "/check", None, {"access-token": bait})[0] == 401
    assert user_id(bearer_of(sign_in(attacker))) != user_id(owners)
    assert whose(owners)["email"] == victim


@pytest.mark.parametrize("login", ["unverified:{}", "nomail:{}"])
def test_an_address_the_provider_did_not_verify_proves_nothing(login):
    email = new_email()
    stack.sign_up(email)
    expect_failed(sign_in(login.format(email)))
    expect_failed(sign_in(login.format("other" + email)))


def test_the_answer_belongs_to_the_browser_that_asked():
    mine, other = Browser(), Browser()
    url = log_in(mine, begin(mine), new_email())
    begin(other)
    expect_failed(other.ask("GET", url))      # login CSRF: the attacker's answer in the victim's browser
    expect_failed(Browser().ask("GET", url))  # no cookie at all
    bearer_of(mine.ask("GET", url))
    expect_failed(mine.ask("GET", url))       # a code works once, and the cookie is gone


@pytest.mark.parametrize("change", ["state", "code", "iss", "no state", "no code", "error"])
def test_a_changed_answer_is_none(change):
    browser = Browser()
    url = log_in(browser, begin(browser), new_email())
    at = urllib.parse.urlsplit(url)
    query = dict(urllib.parse.parse_qsl(at.query))
    if change == "error":
        query = {"error": "access_denied", "state": query["state"]}
    elif change.startswith("no "):
        del query[change[3:]]
    elif change == "iss":
        query["iss"] = "https://evil.example"
    else:
        query[change] = query[change][:-2] + ("AA" if query[change][-2:] != "AA" else "BB")
    expect_failed(browser.ask("GET", at._replace(query=urllib.parse.urlencode(query)).geturl()))


def test_there_is_no_other_provider():
    answer = Browser().ask("GET", ours("/auth/user/nobody"))
    assert answer.status == 404 and json.loads(answer.text) == {"error": "Not Found"}
    answer = Browser().ask("GET", ours("/auth/user/nobody/callback?state=a&code=b"))
    assert answer.status == 404 and json.loads(answer.text) == {"error": "Not Found"} and "set-cookie" not in answer.headers


def test_a_new_key_of_the_provider_is_fetched_when_it_signs(provider):
    bearer_of(sign_in(new_email()))
    time.sleep(10.1)  # it is not asked for keys more often
    provider.rotate()
    bearer_of(sign_in(new_email()))


def test_a_provider_that_is_away_is_told_from_one_that_says_no(provider):
    browser = Browser()
    url = log_in(browser, begin(browser), new_email())
    provider.stop()
    try:
        begun = time.monotonic()
        answer = browser.ask("GET", url)
        assert answer.status == 503 and answer.getheader("retry-after"), answer.text
        assert time.monotonic() - begun < 6
        stack.sign_up(new_email())  # nobody else waits for it
    finally:
        provider.start()
    bearer_of(sign_in(new_email()))


def test_who_waits_for_one_keeps_nobody_from_another():
    threads = [threading.Thread(target=Browser().ask, args=("GET", ours("/auth/user/silent"))) for _ in range(24)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    begun = time.monotonic()
    bearer_of(sign_in(new_email()))
    assert time.monotonic() - begun < 2 and any(thread.is_alive() for thread in threads)
    for thread in threads:
        thread.join()


def test_what_a_provider_says_of_itself_is_judged(liar):
    honest = {"issuer": liar.issuer, "jwks_uri": liar.issuer, "token_endpoint": liar.issuer, "authorization_endpoint": liar.issuer + "/auth"}
    for lie in ({"issuer": "https://accounts.example.com"}, {"authorization_endpoint": "javascript:alert(1)"},
                {"authorization_endpoint": liar.issuer + "/\v"}, {"authorization_endpoint": liar.issuer + "/\r\nSet-Cookie: a=b"}):
        liar.says = honest | lie
        answer = Browser().ask("GET", ours("/auth/user/liar"))
        assert answer.status == 503 and answer.getheader("retry-after") and not answer.getheader("location"), (lie, answer.text)
        time.sleep(3.2)  # it is not asked again before
    liar.says = honest
    assert Browser().ask("GET", ours("/auth/user/liar")).getheader("location").startswith(liar.issuer + "/auth?")


PAGE = {"accept": "text/html"}


def test_a_browser_gets_a_session_and_goes_where_it_wanted_to():
    browser = Browser()
    url = log_in(browser, begin(browser, return_to="/account?tab=1"), new_email())
    answer = browser.ask("GET", url, headers=PAGE)
    assert answer.status == 303 and answer.getheader("location") == "/account?tab=1", answer.text
    assert any(name == "busi_session" for _, _, name in browser.cookies), browser.cookies
    assert not any(name == f"busi_{NAME}" for _, _, name in browser.cookies), "what was for the visit is gone"


def test_a_browser_is_sent_nowhere_else():
    assert Browser().ask("GET", ours(f"/auth/user/{NAME}?return_to=https://evil.example/"), headers=PAGE).status == 400
    browser = Browser()
    url = log_in(browser, begin(browser), new_email())
    assert browser.ask("GET", url + "&return_to=//evil.example", headers=PAGE).status == 400


@pytest.mark.parametrize("path", ["/sign-in", "/register"])
def test_pages_name_the_providers(path):
    page = Browser().ask("GET", ours(path + "?return_to=/account"), headers=PAGE).text
    assert f'href="/auth/user/{NAME}?return_to=/account"' in page, page


def test_a_browser_that_failed_sees_the_form():
    answer = Browser().ask("GET", ours(f"/auth/user/{NAME}/callback?error=access_denied"), headers=PAGE)
    assert answer.status == 401 and "<form" in answer.text and "text/html" in answer.getheader("content-type")


def test_a_blocked_account_stays_outside():
    email = new_email()
    bearer_of(sign_in(email))
    sql(f"UPDATE auth.users SET blocked_at = now() WHERE email = '{email}'")
    expect_failed(sign_in(email))


def test_sixteen_strangers_of_one_name_at_once_are_one_account():
    email, urls, tokens = new_email(), [], []
    browsers = [Browser() for _ in range(16)]
    urls = [log_in(b, begin(b), email) for b in browsers]
    barrier = threading.Barrier(16)

    def finish(browser, url):
        barrier.wait()
        tokens.append(bearer_of(browser.ask("GET", url)))
    threads = [threading.Thread(target=finish, args=pair) for pair in zip(browsers, urls)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(tokens) == 16 and len({whose(t)["user_id"] for t in tokens}) == 1


def test_secrets_are_in_no_log():
    text = "".join(path.read_text(errors="replace") for path in (stack.VAR / "logs").glob("*.log"))
    assert SECRET not in text and "code_verifier" not in text
