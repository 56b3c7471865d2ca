"""The words the end-to-end tests are written in: requests to the running gateway, and what is expected of the answers."""
import base64, contextlib, hashlib, hmac, http.client, itertools, json, os, pathlib, re, socket, subprocess, sys, time, uuid

URL = os.environ["BUSI_TEST_URL"]
HOST, PORT = re.match(r"http://([^:/]+):(\d+)", URL).groups()
VAR = pathlib.Path(os.environ.get("BUSI_TEST_VAR", "/nonexistent"))
PASSWORD = "correct horse"
_count = itertools.count()


class Answer:
    def __init__(self, answer, raw):
        self.status, self.reason, self.headers, self.raw = answer.status, answer.reason, answer.headers, raw
        self.version = answer.version

    @property
    def json(self):
        assert self.headers["content-type"] == "application/json; charset=utf-8", self
        return json.loads(self.raw)

    def __repr__(self):
        return f"{self.status} {self.reason}\n{self.headers}{self.raw[:500]!r}"


def ask(method, path, body=None, token=None, headers=None, at=None):
    """One request on a connection of its own. body: bytes as they are, anything else as JSON. headers: a dict, or a list of
    pairs where one name may come twice. at: the port of another gateway than the house's own."""
    pairs = list(headers.items() if isinstance(headers, dict) else headers or [])
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
    names = [name.lower() for name, _ in pairs]
    if body is not None and "content-type" not in names:
        pairs.append(("content-type", "application/json"))
    if token is not None:
        pairs.append(("authorization", "Bearer " + token))
    connection = http.client.HTTPConnection(HOST, int(at or PORT), timeout=15)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in pairs:
            connection.putheader(name, value)
        if body is not None or method in ("POST", "PUT", "PATCH"):
            connection.putheader("content-length", str(len(body or b"")))
        connection.endheaders(body)
        answer = connection.getresponse()
        return Answer(answer, answer.read())
    finally:
        connection.close()


def get(path, token=None, **more):
    return ask("GET", path, token=token, **more)


def post_json(path, body, token=None, **more):
    return ask("POST", path, body, token=token, **more)


def post_form(path, body, token=None, headers=None):
    return ask("POST", path, body.encode(), token=token, headers={"content-type": "application/x-www-form-urlencoded"} | (headers or {}))


def post_multipart(path, fields, token=None):
    boundary = "boundary-of-the-house"
    parts = "".join(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
                    for name, value in fields.items())
    return ask("POST", path, f"{parts}--{boundary}--\r\n".encode(), token=token,
               headers={"content-type": f"multipart/form-data; boundary={boundary}"})


# ---- what is expected ----
def expect_status(answer, status):
    assert answer.status == status, answer
    return answer


def expect_json(answer, status, body):
    expect_status(answer, status)
    assert answer.json == body, answer
    return answer


def expect_detail(answer, status, detail):
    return expect_json(answer, status, {"errors": {"detail": detail}})


def expect_errors(answer, **errors):
    return expect_json(answer, 422, {"errors": errors})


def expect_unauthenticated(answer):
    expect_json(answer, 401, {"error": "unauthenticated"})
    assert answer.headers["www-authenticate"] == "Bearer", answer


def expect_invalid_token(answer):
    expect_json(answer, 401, {"error": "invalid_token"})
    assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"', answer


# ---- accounts ----
def new_email():
    return f"e2e-{os.getpid()}-{time.time_ns()}-{next(_count)}@example.com"


def sign_up(email=None, password=PASSWORD):
    """A new account: its first token."""
    answer = post_json("/api/users/signup", {"user": {"email": email or new_email(), "password": password}})
    return expect_status(answer, 201).json["token"]


def sign_in(email, password=PASSWORD):
    answer = post_json("/api/users/signin", {"email": email, "password": password})
    return expect_status(answer, 201).json["token"]


# ---- businesses ----
BUSINESS = {"name": "Company 1", "description": "Short description 1", "tag": "IT, Software"}


def create_business(token, **fields):
    answer = post_json("/api/businesses", {"business": {**BUSINESS, **fields}}, token)
    return expect_status(answer, 201).json["data"]


# ---- behind the gateway ----
def port(name):
    return int(re.findall(rf"^{name}=(\d+)", (VAR / "ports").read_text(), re.M)[-1])


@contextlib.contextmanager
def worker(service):
    """A client of one of the workers, with the gateway's own key."""
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "wire"))
    from client import Client
    client = Client(f"tcp://127.0.0.1:{port(service + '-1')}", VAR / "keys/gateway.key", VAR / f"keys/servers/{service}-svc.pub")
    try:
        yield client
    finally:
        client.close()


@contextlib.contextmanager
def another_gateway(folder, **settings):
    """A second one in front of the same services, with settings of its own: its port."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        at = free.getsockname()[1]
    settings = {"http_port": at, "health_bind": "127.0.0.1:0"} | settings
    lines = [line for line in (VAR / "config/gateway.conf").read_text().splitlines() if line.split(" =")[0] not in settings]
    file = folder / "gateway.conf"
    file.touch(mode=0o600)
    file.write_text("\n".join(lines + [f"{name} = {value}" for name, value in settings.items()]) + "\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BUSI_")}
    process = subprocess.Popen([os.environ["BUSI_TEST_BIN"] + "/gateway", "--config", file], env=environment, stderr=open(folder / "log", "w"))
    try:
        end = time.monotonic() + 20
        while process.poll() is None and time.monotonic() < end:
            with contextlib.suppress(OSError):
                if ask("POST", "/logout", headers={"access-token": "x" * 48}, at=at).status != 503:
                    break
            time.sleep(0.1)
        assert process.poll() is None, (folder / "log").read_text()
        yield at
    finally:
        process.terminate()
        assert process.wait(20) == 0, (folder / "log").read_text()


def give_role(user_id, role):
    """At once: sessions the user has got already know of it, too."""
    with worker("auth") as auth:
        auth.call("auth.GrantRole", {1: role, 2: user_id}, timeout_ms=4000)


def take_role(user_id, role):
    with worker("auth") as auth:
        auth.call("auth.RevokeRole", {1: role, 2: user_id}, timeout_ms=4000)


def logs():
    """Everything the services have logged so far."""
    return {path.name: path.read_text(errors="replace") for path in (VAR / "logs").glob("*.log")
            if re.match(r"(gateway|auth|directory|mailer)", path.name)}


def metrics(name):
    connection = http.client.HTTPConnection(HOST, port(name + "-health"), timeout=5)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return text


# ---- tokens ----
def unpadded(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def padded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def claims_of(token):
    return json.loads(padded(token.split(".")[1]))


def secret():
    """The running house's key, to make what only it could make."""
    return (VAR / "secrets/jwt").read_bytes().rstrip(b"\n")


HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


def derived(secret, purpose):
    """The key of another door, as auth-svc derives it from busi's."""
    key = hashlib.sha256(secret).digest()
    return b"".join(hashlib.blake2b(f"busi jwt key {purpose}{half}".encode(), digest_size=32, key=key).digest() for half in "12")


# The algorithm of each door that hands out JWTs, and the claims all of its tokens have besides the times and sid.
JWT_DOORS = {"busi": ("HS512", {"aud", "iss", "jti", "sub", "typ"}), "guardian": ("HS512", {"aud", "iss", "jti", "sub", "typ"}),
             "ash": ("HS256", {"aud", "iss", "jti", "sub", "purpose"}), "magic": ("HS256", {"unique_name"})}


def door_key(door):
    return secret() if door == "busi" else derived(secret(), door)


def issue(door, user_id, claims=None, lifetime_ms=0):
    """A session for somebody, whom we vouch for: its token."""
    with worker("auth") as auth:
        return auth.call("auth.IssueToken", {1: door, 2: user_id, **({3: claims} if claims else {}), 4: lifetime_ms})[5]


def make_token(claims, header='{"alg":"HS512","typ":"JWT"}', key=None, hash="HS512"):
    """Signed for real, whatever is in it. claims and header: text, or what becomes JSON."""
    text = lambda part: part if isinstance(part, str) else json.dumps(part, separators=(",", ":"))
    signed = unpadded(text(header).encode()) + "." + unpadded(text(claims).encode())
    return signed + "." + unpadded(hmac.new(key or secret(), signed.encode(), HASHES[hash]).digest())


def is_uuid4(text):
    return str(uuid.UUID(text, version=4)) == text


def sql(statement):
    """What the house's own database says, or does."""
    dsn = f"host=127.0.0.1 port={port('postgres')} dbname=busi user=postgres"
    done = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement, dsn], text=True, capture_output=True, timeout=20,
                          env=os.environ | {"PGPASSWORD": (VAR / "secrets/postgres").read_text().strip()})
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
