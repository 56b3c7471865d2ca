"""X-22: nothing a client says becomes a path. Copies of all processes run under strace while clients say what looks like one, in every
place; the files they touch meanwhile are those of their configuration, by name."""
import concurrent.futures, contextlib, os, pathlib, re, subprocess, sys, time
from urllib.parse import quote

import pytest

import accesspass, ash, guardian, magic
from house import *
from mails import FOLDER, wait_for_mail
from second import second

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/wire"))
from client import Client, RpcError

BAIT = "x22bait"
PATHS = [f"../../../../etc/{BAIT}", f"/etc/{BAIT}", f"..%2f..%2f{BAIT}", f"....//....//{BAIT}", f"..\\..\\{BAIT}", f"/proc/self/{BAIT}", f"file:///etc/{BAIT}", f"~/{BAIT}", f"{BAIT}/.", f"./{BAIT}"]

# ---- what a process may look at once it runs ----
ALLOWED = {
    "every process": r"/proc/(self|sys|\d+)/\S*|/sys/\S*|/dev/\S*|/etc/(hosts|resolv\.conf|nsswitch\.conf|localtime|host\.conf|gai\.conf|services|ld\.so\.\w+)"
                     r"|/usr/share/zoneinfo/\S*|(/usr)?/lib\S*|/etc/ssl/\S*|/usr/lib/ssl/\S*",
    "its key and its clients'": re.escape(str(VAR / "keys")) + r"/[\w./-]*",
    "mails by their numbers": rf"(?:{re.escape(str(FOLDER))}/?)?(\.?\d+-[a-z_]+\.eml(\.[0-9a-f]+\.tmp)?|\.\.?probe(\.[0-9a-f]+\.tmp)?)?",
    "sanitizers": r"/usr/bin/(llvm-symbolizer|addr2line)\S*"}


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    """(port of the gateway, endpoint of the mailer, the files that strace writes) of a house in which everything is watched."""
    if subprocess.run(["strace", "-qq", "-o", "/dev/null", "true"]).returncode:
        pytest.skip("strace may watch nobody here")
    folder, opened = tmp_path_factory.mktemp("traced"), contextlib.ExitStack()
    watch = lambda name: ["strace", "-D", "-f", "-qq", "-ttt", "-s", "300", "-e", "trace=%file", "-o", str(folder / f"{name}.trace")]
    calm = {"ASAN_OPTIONS": "detect_leaks=0:" + os.environ.get("ASAN_OPTIONS", "").replace("detect_leaks=1", "")}
    with opened:
        start = lambda name, **settings: opened.enter_context(second(name, folder, watch(name), calm, **settings))
        mailer = start("mailer-1")
        auth = start("auth-1", mailer_endpoints=mailer.endpoint)
        directory = start("directory-1")
        gateway = start("gateway", auth_endpoints=auth.endpoint, directory_endpoints=directory.endpoint)
        yield gateway.port, mailer.endpoint, [folder / f"{name}.trace" for name in ("mailer-1", "auth-1", "directory-1", "gateway")]


def everything(path, at, token):
    """Each place where a client may say something."""
    q = quote(path, safe="")
    headers = {"accept-language": path, "user-agent": path, "x-request-id": path, "referer": path, "cookie": f"busi_session={path}; a={path}", "accept": path, "origin": path}
    yield "POST", "/api/users/signup", {"user": {"email": path, "password": PASSWORD}}, headers
    yield "POST", "/api/users/signin", {"email": path, "password": path}, headers
    yield "POST", "/api/businesses", {"business": {"name": path, "description": path, "tag": path}}, headers
    yield "POST", "/register", {"username": path, "email": f"{path}@example.com", "password": "secret1", "password_confirm": "secret1", "meta": {"avatar": path}}, headers
    yield "POST", "/login", {"username": path, "password": path}, headers
    yield "POST", "/reset_password", {"username": path}, headers
    yield "POST", magic.AUTH + "register", {"username": path, "password": magic.TICKET_PASSWORD, "template": path, "subject": path, "frontendUrl": path, "extra": {"email": path}}, headers
    yield "POST", magic.AUTH + "register", {"username": magic.new_name(), "password": magic.TICKET_PASSWORD, "template": path, "extra": {"email": new_email()}}, headers
    yield "POST", magic.AUTH + "send-reset-password-link", {"username": path, "template": path, "frontendUrl": path}, headers
    yield "GET", f"/auth/user/{q}", None, headers
    yield "GET", f"/auth/user/{q}/callback?state={q}&code={q}", None, headers
    yield "GET", f"/confirm/{q}", None, headers
    yield "GET", f"/{q}", None, headers
    yield "GET", f"/style.css?{q}", None, headers
    yield "GET", f"/sign-in?return_to={q}", None, headers
    yield "GET", f"/api/businesses/{q}", None, headers
    yield "POST", "/auth/user/password/reset_request", {"user": {"email": path}}, headers
    yield "POST", "/auth/user/password/register", {"user": {"email": new_email(), "password": PASSWORD, "password_confirmation": PASSWORD}}, headers


def touched(traces, since):
    """Paths of all calls about files since then: {path: a line of the trace}."""
    paths = {}
    for trace in traces:
        for line in trace.read_text(errors="replace").splitlines():
            found = re.match(r"\d+ +(\d+\.\d+) (\w+)\((.*)", line)
            if found and float(found[1]) >= since:
                assert found[2] not in ("execve", "execveat"), line
                for path in re.findall(r'"((?:[^"\\]|\\.)*)"', found[3])[:2 if found[2].startswith(("rename", "link", "symlink")) else 1]:
                    paths[path] = line
    return paths


def test_x22_no_word_of_a_client_is_a_path(traced, token):
    at, mailer, traces = traced
    expect_status(ask("GET", "/api/businesses?limit=1", token=token, at=at), 200)
    sign_in_mail = new_email()
    since = time.time()
    with concurrent.futures.ThreadPoolExecutor(4) as several:
        requests = [request for path in PATHS for request in everything(path, at, token)]
        for answer in several.map(lambda request: ask(request[0], request[1], request[2], token, request[3], at), requests):
            assert answer.status < 500, answer
    client = Client(f"tcp://{mailer}", VAR / "keys/auth-svc.key", VAR / "keys/servers/mailer-svc.pub")
    for language in ("de", "../../en", "de/../../x22bait", "x22bait"):
        with contextlib.suppress(RpcError):  # refused for its language, or not
            client.call("mailer.Enqueue", {1: "account_created", 2: sign_in_mail, 3: language, 4: [{1: "login", 2: PATHS[0]}]}, idempotency_key=f"{time.time_ns()}")
    client.close()
    wait_for_mail(sign_in_mail, "account_created")
    time.sleep(1.2)  # templates and keys are looked at once a second
    paths = touched(traces, since)
    assert paths and any(str(VAR / "keys") in path for path in paths), "the trace is empty"
    assert not [line for path, line in paths.items() if BAIT in path]
    allowed = re.compile("|".join(f"(?:{pattern})" for pattern in ALLOWED.values()))
    strange = {path: line for path, line in paths.items() if path and not allowed.fullmatch(path)}
    assert not strange, strange


# ---- and in the sources ----
# Who opens files at all, and where the name comes from.
OPENERS = {
    "auth-svc/import/command.c": "the operator's command line", "common/rpc/allow.c": "BUSI_CURVE_ALLOW_DIR", "common/rpc/certificate.c": "BUSI_CURVE_KEY_FILE and files of folders of keys",
    "common/rpc/curve.c": "BUSI_CURVE_KEY_FILE", "common/crypto/secret.c": "/dev/urandom", "common/service/process_metrics.c": "/proc/self", "common/service/serve.c": "scheduling of this process below /proc",
    "common/service/small_file.c": "files of settings", "common/service/accept.c": "/dev/null", "gateway/pages/site.c": "BUSI_PAGES_LOGO and the like", "mailer-svc/mail_folder.c": "BUSI_MAIL_FOLDER and a mail's number",
    "mailer-svc/route.c": "BUSI_SMTP_CA_FILE", "mailer-svc/templates.c": "BUSI_MAIL_TEMPLATES, a language and a kind of fixed lists"}
CALLS = re.compile(r"\b(open|openat|creat|fopen|freopen|opendir|scandir|glob|stat|lstat|fstatat|access|unlink|unlinkat|rename|renameat|link|symlink|mkdir|rmdir|readlink|realpath|truncate|"
                   r"chmod|chown|mkstemp|mkdtemp|dlopen|execve?|execvp?|posix_spawnp?|system|popen)\s*\(")


def test_x22_who_opens_files_is_known():
    """A module that is not in this list and opens a file makes this fail: say in the list where its paths come from."""
    found = set()
    for part in ("common", "gateway", "auth-svc", "directory-svc", "mailer-svc"):
        for file in (ROOT / part).rglob("*.c"):
            if "client" in file.parts:  # the library for others
                continue
            text = re.sub(r'/\*.*?\*/|"(?:[^"\\\n]|\\.)*"', "", file.read_text(), flags=re.S)
            if CALLS.search(text):
                found.add(str(file.relative_to(ROOT)))
    assert found == set(OPENERS), found ^ set(OPENERS)
