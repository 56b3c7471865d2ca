"""When the system gives no random bytes nobody gets a token: the process ends with a line that says why, and does not begin before it gives some."""
import base64, contextlib, json, os, subprocess, sys, time
import pytest
import stack
from preloads import BIN, Entropy, Loaded

sys.path.append(str(stack.ROOT / "tests/wire"))
from client import Client, RpcError  # noqa: E402

WHY, ABORTED = '"event":"no_random_bytes"', 128 + 6
SAID, REFUSED = "the system gives no random bytes\n", 1  # of who has not begun
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


@pytest.mark.parametrize("name", ["gateway", "auth-1", "directory-1", "mailer-1"])
def test_nobody_begins_without_random_bytes(name):
    """One line says why, before keys are read: libzmq would abort over them, and say nothing."""
    with Loaded(name, Entropy(stack.VAR / f"run/{name}.entropy")) as process:
        stack.local("stop", name)
        process.end()
        process.page.set(Entropy.REFUSED)
        process.launch()
        assert process.end() == (REFUSED, SAID)
        process.page.calm()
        process.start()


@pytest.mark.parametrize("words", [["--check-config"], ["gen-secret"], ["gen-keys", ".", "ann"]])
def test_nothing_is_made_without_random_bytes(tmp_path, words):
    page = Entropy(tmp_path / "entropy")
    page.set(Entropy.REFUSED)
    config = ["--config", stack.VAR / "config/auth-1.conf"] if words[0].startswith("-") else []
    env = {key: value for key, value in os.environ.items() if not key.startswith("BUSI_")} | page.environment()
    done = subprocess.run([BIN / "auth-svc", *config, *words], env=env, cwd=tmp_path, text=True, capture_output=True, timeout=20)
    assert (done.returncode, done.stdout, done.stderr) == (REFUSED, "", SAID)
    assert [file.name for file in tmp_path.iterdir()] == ["entropy"]


def test_a_gateway_opens_no_link_without_random_bytes():
    with Loaded("gateway", Entropy(stack.VAR / "run/gateway.entropy")) as gateway:
        gateway.page.set(Entropy.REFUSED)
        with Loaded("auth-1", Entropy(stack.VAR / "run/auth-1.entropy")):  # gone, and there again
            status, said = gateway.end()
    assert status == ABORTED and WHY in said, said
