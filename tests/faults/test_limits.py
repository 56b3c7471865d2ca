"""Small limits in the running house: whoever tries too often is told so, before anything is hashed, and when to come back."""
import email.policy, itertools, json, re, sys, time
import pytest
import stack
from test_overload import burst

sys.path.append(str(stack.ROOT / "tests/wire"))
from client import Client, RpcError  # noqa: E402

ACCOUNT, NETWORK, WORKERS = 6, 20, 2  # tries; auth-svc replicas
SMALL = {"BUSI_LIMIT_SIGN_IN_ACCOUNT": f"{ACCOUNT}/1m", "BUSI_LIMIT_SIGN_IN_NETWORK": f"{NETWORK}/10s", "BUSI_LIMIT_KNOWN": "1h",
         "BUSI_LIMIT_SIGN_IN_PAIR": "8/1m", "BUSI_LIMIT_MAILS_ACCOUNT": "5/10m", "BUSI_LIMIT_SECRETS_NETWORK": "7/1m",
         "BUSI_LIMIT_REFRESH_NETWORK": "9/1m", "BUSI_LIMIT_SIGN_UP_NETWORK": "4/1m", "BUSI_LIMIT_NAMES_NETWORK": "5/1m",
         "BUSI_LIMIT_CHANGE_PASSWORD_ACCOUNT": "3/1m", "BUSI_TRUSTED_PROXIES": "127.0.0.1",
         "BUSI_LIMIT_SLOW_AFTER": "0", "BUSI_LIMIT_LOCK_AFTER": "0"}
numbers = itertools.count(1)


@pytest.fixture(scope="module", autouse=True)
def whole_stack():
    stack.local("up", **SMALL)
    yield
    stack.local("up")


@pytest.fixture(name="email")
def account_of_a_test():
    return new_account()


def new_account():
    name = f"limits-{time.time_ns()}@example.com"
    status, _, body = stack.ask("POST", "/api/users/signup", {"user": {"email": name, "password": stack.PASSWORD}},
                                {"content-type": "application/json", "x-forwarded-for": new_address()})
    assert status == 201, body
    return name


def new_address():
    n = next(numbers)
    return f"198.18.{n // 250}.{n % 250}"


def sign_in(email, password=stack.PASSWORD, address=None, path="/api/users/signin"):
    """From this address, as the trusted proxy in front tells it; from a new one each time without."""
    field = "username" if path == "/login" else "email"
    headers = {"content-type": "application/json", "x-forwarded-for": address or new_address()}
    return stack.ask("POST", path, {field: email, "password": password}, headers)


def statuses(n, *args, **more):
    return [sign_in(*args, **more)[0] for _ in range(n)]


def hashes():
    return sum(int(re.search(r"^busi_password_hashes_total (\d+)", stack.metrics(f"auth-{i}"), re.M)[1]) for i in (1, 2))


def test_parallel_guesses_find_no_gap(email):
    before = hashes()
    requests = []
    for i in range(200):
        body = f'{{"email":"{email if i % 2 else email.upper()}","password":"guess {i}"}}'
        requests.append((f"POST /api/users/signin HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
                         f"X-Forwarded-For: {new_address()}\r\nContent-Length: {len(body)}\r\n\r\n{body}").encode())
    answers = [a[0] for a in burst(200, requests)]
    assert len(answers) == 200 and answers.count(401) == ACCOUNT and answers.count(429) == 200 - ACCOUNT
    assert hashes() - before <= ACCOUNT + WORKERS


def test_a_network_that_sprays_is_stopped():
    address, before = new_address(), time.monotonic()
    answers = [sign_in(f"nobody-{i}@example.com", "guess", address)[0] for i in range(60)]
    refilled = (time.monotonic() - before) / (10 / NETWORK)
    assert NETWORK <= answers.count(401) <= NETWORK + refilled + 1 and set(answers) == {401, 429}
    assert sign_in("nobody-0@example.com", "guess")[0] == 401  # others go on


def test_the_answer_says_when_to_come_back_and_that_is_true(email):
    address = new_address()
    while (answer := sign_in(f"nobody-{next(numbers)}@example.com", "guess", address))[0] == 401:
        pass
    for _ in range(3):
        status, headers, body = answer
        assert status == 429 and body == {"errors": {"detail": "Too Many Requests"}}
        assert headers["cache-control"] == "no-store" and headers["x-request-id"]
        assert headers["ratelimit-policy"] == f'"default";q={NETWORK};w=10'
        left, reset = map(int, re.fullmatch(r'"default";r=(\d+);t=(\d+)', headers["ratelimit"]).groups())
        wait = int(headers["retry-after"])
        assert left == 0 and 1 <= wait <= reset <= 10
        time.sleep(wait)
        assert sign_in(email, address=address)[0] == 201
        while (answer := sign_in(f"nobody-{next(numbers)}@example.com", "guess", address))[0] == 401:
            pass


def test_every_surface_words_it_itself(email):
    statuses(ACCOUNT, email, "guess")
    status, headers, body = sign_in(email, path="/login")
    assert status == 429 and body == {"error": "too many requests"}
    assert headers["retry-after"] and headers["ratelimit"] and headers["ratelimit-policy"]


def ask_for_mail(path, name, address=None):
    field = "email" if path == "/forgot_username" else "username"
    headers = {"content-type": "application/json", "x-forwarded-for": address or new_address()}
    return stack.ask("POST", path, {field: name}, headers)


@pytest.mark.parametrize("path", ["/reset_password", "/resend_confirm", "/forgot_username"])
def test_mails_are_limited_alike_for_every_name(path):
    def story(name):
        return [(a[0], a[2]) for a in (ask_for_mail(path, name) for _ in range(8))]
    ann, nobody = (f"{who}{time.time_ns()}" for who in ("ann", "nobody"))
    body = {"username": ann, "email": f"{ann}@example.com", "password": stack.PASSWORD, "password_confirm": stack.PASSWORD}
    headers = {"content-type": "application/json", "x-forwarded-for": new_address()}
    assert stack.ask("POST", "/register", body, headers)[0] == 200
    domain = "@example.com" if path == "/forgot_username" else ""
    answers = story(ann + domain)
    assert [a[0] for a in answers] == [200] * 5 + [429] * 3 and answers[-1][1] == {"error": "too many requests"}
    assert answers == story(nobody + domain)


@pytest.mark.parametrize("method, path, body, headers, tries", [
    ("POST", "/confirm", {"confirm_id": "x" * 48}, {}, 7),
    ("POST", "/change_password", {"password_id": "x" * 48, "new_password": "correct horse", "password_confirm": "correct horse"}, {}, 7),
    ("GET", "/refresh", None, {"refresh-token": "x" * 48}, 9),
    ("POST", "/register", {"username": "ann", "email": "taken@example.com", "password": "correct horse", "password_confirm": "correct horse"}, {}, 4)])
def test_guesses_of_one_network_are_limited(method, path, body, headers, tries):
    headers = headers | {"content-type": "application/json", "x-forwarded-for": new_address()}
    answers = [stack.ask(method, path, body, headers) for _ in range(tries + 3)]
    assert [a[0] for a in answers[tries:]] == [429] * 3 and 429 not in [a[0] for a in answers[:tries]], answers
    assert answers[-1][2] == {"error": "too many requests"} and answers[-1][1]["cache-control"] == "no-store"


GUARDIAN, ASH = {"status": "too many requests"}, {"authentication": {"status": "failed"}}
MAGIC = {"message": "Too many requests"}
X, LONG = "x" * 48, "correct horse battery"
BOTH = {"password": LONG, "password_confirmation": LONG}


@pytest.mark.parametrize("method, path, body, tries, refusal", [
    ("POST", "/api/users", {"email": "taken@example.com", "password": LONG}, 4, GUARDIAN),
    ("POST", "/api/users/sign_in", {"email": "EMAIL", "password": "guess"}, ACCOUNT, GUARDIAN),
    ("POST", "/auth/user/password/register", {"user": {"email": "taken@example.com"} | BOTH}, 4, ASH),
    ("POST", "/auth/user/password/sign_in", {"user": {"email": "EMAIL", "password": "guess"}}, ACCOUNT, ASH),
    ("POST", "/auth/user/password/reset_request", {"user": {"email": "EMAIL"}}, 5, ASH),
    ("POST", "/auth/user/password/reset", {"user": {"reset_token": X} | BOTH}, 7, ASH),
    ("GET", "/auth/user/password/sign_in_with_token?token=" + X, None, 7, ASH),
    ("POST", "/auth/user/magic_link/request", {"user": {"email": "EMAIL"}}, 5, ASH),
    ("GET", "/auth/user/magic_link?token=" + X, None, 7, ASH),
    ("GET", "/auth/user/confirm?confirm=" + X, None, 7, ASH),
    ("GET", "/magic/system/auth/authenticate?username=EMAIL&password=guess", None, ACCOUNT, MAGIC),
    ("POST", "/magic/system/auth/register", {"username": "somebody", "password": LONG, "extra": {"email": "taken@example.com"}}, 4, MAGIC),
    ("POST", "/magic/system/auth/verify-email", {"username": "somebody", "token": X}, 7, MAGIC),
    ("POST", "/magic/system/auth/resend-confirm", {"username": "EMAIL"}, 5, MAGIC),
    ("POST", "/magic/system/auth/send-reset-password-link", {"username": "EMAIL"}, 5, MAGIC)])
def test_every_door_is_limited(method, path, body, tries, refusal):
    email = f"limits-{time.time_ns()}@example.com"
    headers = {"content-type": "application/json", "x-forwarded-for": new_address()}
    body = json.loads(json.dumps(body).replace("EMAIL", email))
    answers = [stack.ask(method, path.replace("EMAIL", email), body, headers) for _ in range(tries + 2)]
    assert [a[0] == 429 for a in answers] == [False] * tries + [True] * 2, answers
    assert all(a[2] == refusal and int(a[1]["retry-after"]) > 0 and a[1]["cache-control"] == "no-store" for a in answers[tries:]), answers


@pytest.mark.parametrize("path, body, tries", [
    ("/magic/system/auth/verify-password?password=guess", None, 3), ("PASSWORD", {"password": LONG}, 3),
    ("/magic/system/auth/change-password", {"password": LONG}, 3), ("NAME", {"username": "taken"}, 5)])
def test_what_an_account_may_ask_is_limited(path, body, tries):
    address = {"x-forwarded-for": new_address()}
    signed_up = stack.ask("POST", "/api/users", {"email": f"limits-{time.time_ns()}@example.com", "password": stack.PASSWORD}, address |
                          {"content-type": "application/json"})
    assert signed_up[0] == 201, signed_up
    headers = address | {"content-type": "application/json", "authorization": "Bearer " + signed_up[2]["token"]}
    method = "GET" if body is None else "PUT"
    path = signed_up[1]["location"] if path in ("PASSWORD", "NAME") else path
    answers = [stack.ask(method, path, body and {name: value + (str(time.time_ns())[-9:] if name == "username" else "")
                                                 for name, value in body.items()}, headers) for _ in range(tries + 2)]
    assert [a[0] == 429 for a in answers] == [False] * tries + [True] * 2, answers


def test_an_account_there_is_and_one_there_is_not_look_alike(email):
    def story(name):
        answers = [sign_in(name, "guess") for _ in range(ACCOUNT + 3)]
        return [(a[0], a[2], sorted(k.lower() for k in a[1].keys()), a[1]["ratelimit-policy"]) for a in answers]
    assert story(email) == story(f"nobody-{time.time_ns()}@example.com")


def test_one_name_in_many_spellings_is_one_account(email):
    local, domain = email.split("@")
    spellings = [email, email.upper(), f"{local}@{domain.title()}", f"{email}.", f"{local.upper()}@{domain}."]
    assert [sign_in(spellings[i % 5], "guess")[0] for i in range(ACCOUNT)] == [401] * ACCOUNT
    assert [sign_in(s)[0] for s in spellings] == [429] * 5


@pytest.mark.parametrize("first, other, is_free", [
    ("2001:db8:7:1::{}", "2001:db8:7:2::1", True),  # one of the two to the power of 64 addresses a customer has
    ("::ffff:203.0.113.7", "203.0.113.7", False)])
def test_a_client_is_its_network(first, other, is_free):
    begin = time.monotonic()
    answers = [sign_in(f"nobody-{next(numbers)}@example.com", "guess", first.format(i))[0] for i in range(50)]
    assert answers.count(401) <= NETWORK + (time.monotonic() - begin) * 2 + 1 and 429 in answers
    # a try may have come back meanwhile, but not four
    assert ([sign_in("nobody@example.com", "guess", other)[0] for _ in range(4)] == [401] * 4) == is_free


def test_strangers_do_not_lock_the_owner_out(email):
    home = new_address()
    assert sign_in(email, address=home)[0] == 201
    assert statuses(ACCOUNT, email, "guess")[-1] == 429  # one was the owner's
    assert sign_in(email)[0] == 429
    assert statuses(3, email, address=home) == [201] * 3  # a right password gives the pair's tries back
    assert statuses(9, email, "guess", home) == [401] * 8 + [429]


def test_the_numbers_travel_within_the_house(email):
    client = Client(f"tcp://127.0.0.1:{stack.port('auth-1')}", stack.VAR / "keys/gateway.key", stack.VAR / "keys/servers/auth-svc.pub")
    request = {1: "busi", 2: email, 3: "guess"}
    try:
        for _ in range(ACCOUNT):
            with pytest.raises(RpcError) as wrong:
                client.call("auth.SignIn", request, timeout_ms=5000)
            assert wrong.value.code == "UNAUTHENTICATED"
        with pytest.raises(RpcError) as limited:
            client.call("auth.SignIn", request, timeout_ms=5000, remote_addr=new_address())
    finally:
        client.close()
    limit, window_ms, left, reset_ms = limited.value.quota
    assert limited.value.code == "RESOURCE_EXHAUSTED" and (limit, window_ms, left) == (ACCOUNT, 60000, 0)
    assert 0 < limited.value.retry_after_ms <= 10000 and 50000 < reset_ms <= 60000


def test_decisions_are_counted_by_limit_and_outcome():
    text = stack.metrics("auth-1") + stack.metrics("auth-2")
    for code in ("OK", "RESOURCE_EXHAUSTED"):
        assert re.search(rf'^busi_limit_duration_total\{{limit="sign_in",code="{code}"\}} [1-9]', text, re.M), text[-3000:]


def test_wrong_passwords_in_a_row_slow_down_and_then_shut_strangers_out():
    email = new_account()
    stack.local("up", **SMALL | {"BUSI_LIMIT_SLOW_AFTER": "3", "BUSI_LIMIT_LOCK_AFTER": "5", "BUSI_LIMIT_LOCK_FOR": "1h",
                                 "BUSI_LIMIT_SIGN_IN_ACCOUNT": "off"})
    home, elsewhere = new_address(), new_address()
    headers = {"content-type": "application/json", "x-forwarded-for": home}
    assert stack.ask("POST", "/magic/system/auth/resend-confirm", {"username": email}, headers)[0] == 200
    stack.wait_until(lambda: mail_to(email, "confirm_email"), 15, "a link that confirms is mailed")
    secret = re.search(r"/confirm/(\w{48})", mail_to(email, "confirm_email"))[1]
    assert stack.ask("POST", "/confirm", {"confirm_id": secret}, headers)[0] == 200
    assert sign_in(email, address=home)[0] == 201
    assert statuses(3, email, "guess") == [401] * 3
    for _ in range(2):
        status, headers, body = sign_in(email, "guess", path="/login")
        assert (status, headers["retry-after"], body) == (429, "1", {"error": "too many requests"})
        time.sleep(1.01)
        assert sign_in(email, "guess")[0] == 401
    status, headers, _ = sign_in(email, address=elsewhere)
    assert status == 429 and 3500 < int(headers["retry-after"]) <= 3600
    assert statuses(2, email, address=home) == [201] * 2  # where the owner is known nothing has changed
    stack.wait_until(lambda: mail_to(email, "sign_in_paused"), 15, "the owner hears of it")
    headers = {"content-type": "application/json", "x-forwarded-for": elsewhere}
    assert stack.ask("POST", "/auth/user/magic_link/request", {"user": {"email": email}}, headers)[0] == 200
    stack.wait_until(lambda: mail_to(email, "magic_link"), 15, "a link is mailed")
    secret = re.search(r"/magic-link/(\w{48})", mail_to(email, "magic_link"))[1]
    assert stack.ask("GET", "/auth/user/magic_link?token=" + secret, None, headers)[0] == 200
    assert sign_in(email, address=elsewhere)[0] == 201


def mail_to(address, kind):
    """The text of the newest, or nothing."""
    mails = [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in
             sorted((stack.VAR / "mail").glob(f"*-{kind}.eml"), key=lambda path: path.stat().st_mtime)]
    return next((mail.get_body(("plain",)).get_content() for mail in reversed(mails) if str(mail["to"]) == address), "")


def test_a_header_of_anybody_is_no_address():
    """The last of the module: without a trusted proxy, whatever the header says."""
    stack.local("up", **SMALL | {"BUSI_TRUSTED_PROXIES": ""})
    answers = [sign_in(f"nobody-{next(numbers)}@example.com", "guess")[0] for i in range(60)]
    assert 429 in answers and answers.count(401) < 45
