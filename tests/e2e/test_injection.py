"""Texts that mean something to SQL, Redis, printf, logs or mails (X-01 to X-20): they are kept letter by letter or refused, and nothing
behind the gateway takes them for anything but text."""
import concurrent.futures, itertools, json, re, subprocess, time
from urllib.parse import quote, urlencode

import msgpack
import pytest

import accesspass, ash, guardian
from magic import *

SQL = ["'", "''", '"', "\\", "\\'", "a'b", "'; DROP TABLE auth.users; --", "' OR '1'='1", "' OR 1=1 --", "\" OR \"\"=\"", "1; SELECT pg_sleep(10)", "'||pg_sleep(10)||'",
       "') RETURNING (SELECT 1) --", "$1", "$$; $$", "$tag$ $tag$", "/* */", "-- x", ";", "E'\\x41'", "U&'\\0041'", "\u02bc; SELECT 1", "\uff07 OR 1=1", "%27 OR 1=1", "\\x27",
       "{1,2}", "NULL", "CAST(1 AS int)", "\\copy", "\\!", "COPY auth.users TO PROGRAM 'id'", "'::text::int", "a\u0000"[:1] + "'"]
FORMATS = ["%s%s%s%s%s%s%s%s", "%n%n%n%n", "%x.%x.%x", "%p", "%99999999d", "%1$s%2$s", "%b", "%%", "{}", "{0}", "${jndi:ldap://x}", "$(id)", "`id`", "%d\\n"]
RESP = ["*1\r\n$8\r\nFLUSHALL\r\n", "\r\nFLUSHALL\r\n", "a b c", "{a}{b}", "}", "{", "{}", "busi:s:{x}", "busi:watchers", "*", "?", "[a-z]*", "x" * 9000]
LOGS = ['"}\n{"level":"error","event":"made_up"}', "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "a\u2028b\u2029c", "\u202eabc", "\u0085x", "\x7f", "a\tb", "\ufeff"]
TEXTS = SQL + FORMATS + RESP + LOGS


@pytest.fixture(scope="module")
def root():
    return make_root()


@pytest.fixture(scope="module")
def ann():
    return Account()


def postgres_log():
    return (VAR / "logs/postgres.log").read_text(errors="replace")


@pytest.fixture(autouse=True)
def nothing_is_taken_for_sql():
    """What Postgres itself says of each test: no statement of it was ill-formed, no value of another type or coding than announced."""
    before = len(postgres_log())
    yield
    wrong = [line for line in postgres_log()[before:].splitlines()
             if re.search(r"(ERROR|FATAL|PANIC): .*(syntax|unterminated|byte sequence|invalid input|does not exist|permission denied|malformed|escape)", line)]
    assert not wrong, wrong


def as_text(text):
    """As JSON and Postgres can hold it."""
    return text.replace("\0", "")


# ---- kept letter by letter ----
@pytest.mark.parametrize("texts", [SQL, FORMATS, RESP, LOGS], ids=["sql", "formats", "resp", "logs"])
def test_x01_x17_x19_what_is_free_text_is_kept(texts, token, root, ann):
    for text in texts:
        name, tag = f"{text}"[:255], f"{text}"[:50]
        answer = post_json("/api/businesses", {"business": {"name": name, "description": text, "tag": tag}}, token)
        if answer.status == 201:
            made = answer.json["data"]
            assert (made["name"], made["description"], made["tag"]) == (name, text, tag)
            assert get(f"/api/businesses/{made['id']}", token).json["data"] == made
            changed = expect_status(ask("PUT", f"/api/businesses/{made['id']}", {"business": {"name": name, "description": tag, "tag": tag}}, token), 200).json["data"]
            assert changed["description"] == tag
            expect_status(ask("DELETE", f"/api/businesses/{made['id']}", token=token), 204)
        else:
            assert answer.status == 422 and set(answer.json["errors"]) <= {"name", "description", "tag"}, answer
        extra = {"user": ann.name, "type": "free", "value": text}
        answer = call("POST", ADMIN + "users_extra", root, **extra)
        if answer.status == 201:
            shown = expect_status(call("GET", ADMIN + "users_extra", root, **{"user.eq": ann.name, "type.eq": extra["type"]}), 200).json
            assert shown == [{"type": "free", "value": text, "user": ann.name}]
            expect_json(call("DELETE", ADMIN + "users_extra", root, user=ann.name, type="free"), 200, {"affected": 1})
        else:
            assert answer.status == 400 and answer.json["field"] == "value", answer


def places(text, token, root):
    """Everything a client may say where a text is not just kept: names, passwords, secrets, filters, ids, headers."""
    raw, q = as_text(text), quote(as_text(text))
    yield lambda: post_json("/api/users/signup", {"user": {"email": raw, "password": PASSWORD}})
    yield lambda: post_json("/api/users/signup", {"user": {"email": f"{raw}@example.com", "password": raw}})
    yield lambda: post_json("/api/users/signin", {"email": raw, "password": raw})
    yield lambda: guardian.register({"email": new_email(), "username": raw, "password": raw})
    yield lambda: guardian.log_in(raw, raw)
    yield lambda: post_json("/register", {"username": raw, "email": raw, "password": raw, "password_confirm": raw, "meta": {raw[:64]: raw}})
    yield lambda: accesspass.log_in(raw, raw)
    yield lambda: accesspass.confirm(raw)
    yield lambda: post_json("/reset_password", {"username": raw})
    yield lambda: post_json("/forgot_username", {"email": raw})
    yield lambda: accesspass.change_password(raw, "secret2")
    yield lambda: ash.register(raw)
    yield lambda: ash.act("magic_link/request", email=raw)
    yield lambda: get(f"/auth/user/magic_link?token={q}")
    yield lambda: get(f"/auth/user/confirm?confirm={q}")
    yield lambda: get(f"/auth/user/{q}")
    yield lambda: get(f"/confirm/{q}")
    yield lambda: get(f"/password-reset/{q}")
    yield lambda: get(AUTH + f"authenticate?username={q}&password={q}")
    yield lambda: register(raw, f"{raw}@example.com", raw)
    yield lambda: get(AUTH + f"username-taken?username={q}")
    yield lambda: get(ADMIN + f"users?username.eq={q}", root)
    yield lambda: get(ADMIN + f"users_roles?role.eq={q}&user.eq={q}", root)
    yield lambda: call("POST", ADMIN + "roles", root, name=raw, description=raw)
    yield lambda: get(f"/api/businesses/{q}", token)
    yield lambda: get(f"/api/businesses?after_id={q}&limit={q}", token)
    yield lambda: get("/api/businesses?limit=1", raw.encode().decode("latin-1") if "\r" not in raw and "\n" not in raw else "x")


def test_x01_x16_x17_nothing_else_takes_them_for_anything(token, root):
    with concurrent.futures.ThreadPoolExecutor(4) as several:
        for text in ("'", "\\'", "'; DROP TABLE auth.users; --", "' OR 1=1 --", "'||pg_sleep(10)||'", "%n%s%p", RESP[0], "{a} {b} *", "x" * 2000):
            asked = time.monotonic()
            for answer in several.map(lambda send: send(), places(text, token, root)):
                assert answer.status < 500, (text, answer)
            assert time.monotonic() - asked < 8, text  # nobody has slept in the database
    expect_status(get("/api/businesses?limit=1", token), 200)


# ---- X-16 ----
KEY = re.compile(r"busi:(s:\{[\w-]{11,22}\}|[un]:\{\d+\}|l:\{limits\}:[\w:-]{1,100}|watchers|ended|journal|retired)")


def redis(*words):
    return subprocess.run(["redis-cli", "-p", str(port("redis")), "--no-auth-warning", *words], text=True, capture_output=True, timeout=20,
                          env={"REDISCLI_AUTH": (VAR / "secrets/redis").read_text().strip(), "PATH": "/usr/bin:/bin"}).stdout


def test_x16_keys_are_prefixes_and_hashes_or_numbers(token):
    for text in RESP + SQL[:5]:
        post_json("/login", {"username": as_text(text), "password": "x"})
        post_json("/api/users/signin", {"email": as_text(text), "password": "x"})
    keys = redis("--scan").splitlines()
    assert keys and not [key for key in keys if not KEY.fullmatch(key)], [key for key in keys if not KEY.fullmatch(key)][:5]


def test_x17_no_text_becomes_a_format_of_hiredis():
    """Its functions that take one are called nowhere."""
    root_folder = pathlib.Path(__file__).resolve().parents[2]
    sources = [file for part in ("common", "gateway", "auth-svc", "directory-svc", "mailer-svc") for file in (root_folder / part).rglob("*.c")]
    assert len(sources) > 100
    calls = [f"{file}:{n}" for file in sources for n, line in enumerate(file.read_text().splitlines(), 1)
             if re.search(r"\bredis(v?Command|AppendCommand|vAppendCommand|AsyncCommand|vAsyncCommand|(v)?FormatCommand)\s*\(", line)]
    assert not calls, calls


# ---- X-02 ----
BROKEN = [b"\xbf'", b"\xc0'", b"\xe0\x80'", b"\xf0\x80\x80'", b"\xff", b"\xc0\xa7", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"a\x80", b"\xe2\x82", b"\xa1\x5c'", b"\x81'", b"\xfe\xff\x00a"]


def test_x02_broken_utf8_is_refused_before_anything_reads_it(token, root):
    for bad in BROKEN:
        q = quote(bad)
        for send in (lambda: ask("POST", "/api/users/signin", b'{"email":"' + bad + b'","password":"x"}'),
                     lambda: ask("POST", "/api/businesses", b'{"business":{"name":"' + bad + b'","description":"d","tag":"t"}}', token),
                     lambda: ask("POST", "/register", b'{"username":"' + bad + b'"}'),
                     lambda: ask("POST", "/api/users", b'{"username":"' + bad + b'"}'),
                     lambda: ask("POST", AUTH + "register", b'{"username":"' + bad + b'","password":"correct horse battery"}'),
                     lambda: ask("POST", "/login", b"username=" + q.encode() + b"&password=x", headers={"content-type": "application/x-www-form-urlencoded"}),
                     lambda: get(ADMIN + "users?username.eq=" + q, root), lambda: get(ADMIN + "users?username.like=" + q, root),
                     lambda: get(LOG + "list?query=" + q, root), lambda: get("/auth/user/confirm?confirm=" + q), lambda: get(f"/api/businesses/{q}", token)):
            answer = send()
            assert 400 <= answer.status < 500 and answer.status != 401, (bad, answer)


# ---- X-03 ----
@pytest.mark.parametrize("name, value", itertools.product(["order", "direction"], [
    "id", "password_hash", "username;--", "username desc", "USERNAME", "1", "(SELECT 1)", "asc, id", "asc--", " ", "created.x", "username,created", "'", "desc nulls first"]))
def test_x03_what_is_sorted_by_is_one_of_a_list(root, name, value):
    answer = call("GET", ADMIN + "users", root, **{name: value})
    assert answer.status == 400 and answer.json["field"] == name, answer


@pytest.mark.parametrize("name", ["password_hash.eq", "username.eq; DROP", "users.username.eq", "username.ilike", "username.in", "id.eq", "1=1", "username.eq'", "extra"])
def test_x03_what_is_asked_for_is_one_of_a_list(root, name):
    answer = call("GET", ADMIN + "users", root, **{name: "x"})
    assert answer.status == 400, answer


# ---- X-04, X-05 ----
def entries(root, query):
    return [entry["content"] for entry in expect_status(call("GET", LOG + "list", root, query=query, max=200), 200).json]


def test_x04_x05_a_search_is_for_the_very_text(root, ann):
    mark = new_name()
    contents = [f"{mark} {text}" for text in ("100%", "a_b", "a\\b", "axb", "a.b", "(a+)+$", "a & b | !c", "a:*", "<->", "[a-z]", "^x", "\\d+", "''")]
    for content in contents:
        expect_result(call("POST", LOG + "log", ann.ticket, type="info", content=content), "success")
    for content in contents:
        assert entries(root, content) == [content]
    for pattern in ("%", "_", ".*", ".", "\\", "[a-z]+", "!", "x | a", "%%%"):
        assert entries(root, f"{mark} {pattern}" if pattern not in "\\." else f"{mark}{pattern}") == [], pattern
    assert len(entries(root, mark)) == len(contents)


def test_x04_wildcards_within_a_name_are_letters_where_a_name_is_meant(root):
    stem = new_name().replace("-", ".")
    for name in (stem + "a", stem + "b"):
        expect_result(call("POST", ADMIN + "users", root, username=name, password=TICKET_PASSWORD), "success", 201)
    for pattern in (stem + "%", stem + "_", "%", "_" * len(stem + "a")):
        assert call("GET", ADMIN + "users", root, **{"username.eq": pattern}).json == []
    shown = [user["username"] for user in call("GET", ADMIN + "users", root, **{"username.like": stem + "_", "order": "username"}).json]
    assert shown == [stem + "a", stem + "b"]
    assert call("GET", ADMIN + "users", root, **{"username.like": stem + "\\_"}).json == []


@pytest.fixture(scope="module")
def long_extra(root, ann):
    """Much to look through."""
    for i in range(10):
        expect_result(call("POST", ADMIN + "users_extra", root, user=ann.name, type=f"long{i}", value="a" * 1000), "success", 201)


@pytest.mark.parametrize("pattern", ["%a" * 150, "%_" * 150, "_" * 300, "%" * 300, "%a%b%c%d%e%f%g%h%" * 15, "%" + "a%" * 100 + "b", "\\" * 201, "%\\", "a\\", "\\"])
def test_x04_no_pattern_takes_its_time(root, long_extra, pattern):
    for path, name in ((ADMIN + "users", "username.like"), (ADMIN + "users_extra", "value.like"), (ADMIN + "roles", "name.like"),
                       (ADMIN + "roles-count", "name.like"), (ADMIN + "users-count", "username.like"), (ADMIN + "users_extra-count", "value.like")):
        asked = time.monotonic()
        answer = call("GET", path, root, **{name: pattern[:255] if name == "name.like" else pattern})
        assert answer.status in (200, 400) and time.monotonic() - asked < 3, answer


# ---- X-13 ----
HOSTS = [{"host": "evil.example"}, {"x-forwarded-host": "evil.example"}, {"forwarded": "host=evil.example;proto=https"}, {"x-forwarded-proto": "https", "x-forwarded-port": "1"},
         {"x-original-url": "//evil.example/"}, {"x-host": "evil.example"}, {"origin": "https://evil.example"}, {"referer": "https://evil.example/"}]


def test_x13_no_request_says_where_a_mailed_link_leads():
    base = re.search(r"^base_url = (\S+)$", (VAR / "config/mailer-1.conf").read_text(), re.M)[1]
    bob = ash.Person()
    wait_for_mail(bob.email, "confirm_email")
    for headers in HOSTS:
        ask("POST", "/auth/user/password/reset_request", {"user": {"email": bob.email}}, headers=list({"host": HOST, **headers}.items()) if "host" in headers else headers)
    ask("POST", "http://evil.example/auth/user/password/reset_request", {"user": {"email": bob.email}})
    time.sleep(0.5)
    sent = mails(bob.email, "reset_password") + mails(bob.email, "confirm_email")
    assert len(sent) > 2
    for mail in sent:
        whole = mail.as_string() + text_of(mail) + text_of(mail, "html")
        assert "evil" not in whole
        assert all(link.startswith(base + "/") for link in re.findall(r"https?://[^\s\"<>]+", text_of(mail)))


# ---- M-36: the logs ----
def test_x19_x20_m36_a_log_line_is_one_line_whoever_speaks(token):
    mark = new_name()
    before = {name: len(text) for name, text in logs().items()}
    for text in LOGS + FORMATS + ["x" * 7000]:
        sent = "".join(c for c in text if c not in "\r\n\0").encode().decode("latin-1")[:7000]
        for name in ("user-agent", "x-request-id", "accept-language", "traceparent", "referer", "x-forwarded-for"):
            try:
                assert get("/api/businesses?limit=1", token, headers={name: mark + sent}).status in (200, 400, 401, 431), (name, text)
            except OSError:
                pass
        post_json("/api/users/signin", {"email": mark + as_text(text), "password": "x"})
        get(f"/{mark}{quote(as_text(text))}")
    with worker("auth") as auth:  # a caller within the house, whatever it says
        for key, value in itertools.product((5, 6, 8, 15, 16, 17, 19, 20), LOGS + ["%n%s", "x" * 400]):
            frame = {1: 1, 2: "auth.CheckToken", 3: 7, 4: 500, key: value, 9: {1: mark}}
            auth.socket.send(msgpack.packb(frame))
        auth.call("auth.ListProviders", request_id=mark[:60])
    time.sleep(0.5)
    seen = 0
    for name, text in logs().items():
        for line in text[before.get(name, 0):].split("\n"):
            if not line or (line[0] != "{" and name.startswith("bootstrap")):
                continue
            entry = json.loads(line)
            assert all(" " <= c and c not in "\x7f\u2028\u2029\u0085" for c in line), line[:300]
            assert entry.get("event") != "made_up" and all(len(value.encode()) <= 256 + 3 for value in entry.values() if isinstance(value, str)), line[:600]
            seen += mark in line
    assert seen > 0, "nothing of it was logged at all"


# ---- X-23 ----
def test_x23_there_is_no_listing_a_spreadsheet_would_run(root, token):
    """Listings are JSON, for people tables; a value keeps its first letter in both."""
    for path in (ADMIN + "users", ADMIN + "users_extra", LOG + "list", "/api/businesses"):
        for kind in ("text/csv", "application/vnd.ms-excel", "text/csv, */*"):
            answer = get(path, root if path != "/api/businesses" else token, headers={"accept": kind})
            assert answer.status in (200, 406) and "json" in answer.headers["content-type"], answer
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BUSI_")}
    for binary in ("gateway", "auth-svc", "directory-svc", "mailer-svc"):
        said = subprocess.run([os.environ["BUSI_TEST_BIN"] + "/" + binary, "--help"], env=environment, text=True, capture_output=True, timeout=20).stdout
        assert "export" not in said.lower(), binary
