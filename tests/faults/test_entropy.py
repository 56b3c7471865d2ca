"""When the system gives no random bytes nobody gets a token: the process ends with a line that says why, and does not begin before it gives some."""
import base64, contextlib, json, sys, time
import pytest
import stack
from preloads import Entropy, Loaded

sys.path.append(str(stack.ROOT / "tests/wire"))
from client import Client, RpcError  # noqa: E402

WHY, ABORTED = '"event":"no_random_bytes"', 128 + 6
ZEROS = base64.urlsafe_b64encode(bytes(9)).decode()  # in what is made of bytes that are none


@pytest.fixture(scope="module")
def email():
    email = f"entropy-{time.time_ns()}@example.com"
    stack.sign_up(email)
    return email


@pytest.fixture
def auth():
    with Loaded("auth-1", Entropy(stack.VAR / "run/auth-1.entropy")) as auth:
        yield auth


def sign_in(email):
    """The session that auth-1 opens, or None."""
    client = Client(f"tcp://127.0.0.1:{stack.port('auth-1')}", stack.VAR / "keys/gateway.key", stack.VAR / "keys/servers/auth-svc.pub")
    with contextlib.closing(client), contextlib.suppress(RpcError):
        return client.call("auth.SignIn", {1: "busi", 2: email, 3: stack.PASSWORD}, timeout_ms=3000)


def is_weak(session):
    claims = json.loads(base64.urlsafe_b64decode(session[5].split(".")[1] + "=="))
    return any(ZEROS in text for text in (claims["sid"], session[2]))


def test_a_token_of_no_randomness_would_be_seen(auth, email):
    assert not is_weak(sign_in(email))
    auth.page.set(Entropy.ZERO)
    session = sign_in(email)
    auth.page.calm()
    assert is_weak(session)
    assert stack.request("POST", "/logout", {}, headers={"access-token": session[5]})[0] == 200


def test_no_token_without_random_bytes(auth, email):
    assert sign_in(email)
    auth.page.set(Entropy.REFUSED)
    assert sign_in(email) is None and auth.page["asked"] > 0
    status, said = auth.end()
    assert status == ABORTED and WHY in said, said
    stack.wait_until(lambda: stack.request("POST", "/api/users/signin", {"email": email, "password": stack.PASSWORD})[0] == 201, 5,
                     "the other replica signs in")


def test_nobody_serves_without_random_bytes(auth, email):
    stack.local("stop", "auth-1")
    auth.page.set(Entropy.REFUSED)
    auth.launch()
    status, said = auth.end()
    assert status == ABORTED and '"event":"listening"' not in said, said  # libzmq is the first who wants some, and says nothing
    auth.page.calm()
    auth.start()
    assert sign_in(email)


def test_a_gateway_opens_no_link_without_random_bytes():
    with Loaded("gateway", Entropy(stack.VAR / "run/gateway.entropy")) as gateway:
        gateway.page.set(Entropy.REFUSED)
        with Loaded("auth-1", Entropy(stack.VAR / "run/auth-1.entropy")):  # gone, and there again
            status, said = gateway.end()
    assert status == ABORTED and WHY in said, said
