"""What operators do by hand: auth-svc create-root, users, roles and sessions, beside the running house. What they do is in force when
they return, at the gateway, too."""
import json, os, pty, re, select, signal, subprocess, termios, time

import pytest

import house
from house import expect_status, get, sign_in, sign_up

PROGRAM = [os.environ["BUSI_TEST_BIN"] + "/auth-svc", "--config", str(house.VAR / "config/auth-1.conf")]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("BUSI_")}
LONG = "a rather long password"


def auth_svc(*words, input="", code=0):
    """What it wrote: (stdout, stderr)."""
    done = subprocess.run([*PROGRAM, *words], input=input, env=ENVIRONMENT, text=True, capture_output=True, timeout=40)
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    return done.stdout, done.stderr


class Terminal:
    """The same at a terminal: what is typed when it asks, and what a person sees."""

    def __init__(self, *words):
        self.seen = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(PROGRAM[0], [*PROGRAM, *words], ENVIRONMENT)

    def read(self, until=None):
        end = time.monotonic() + 30
        while until is None or until not in self.seen:
            ready, _, _ = select.select([self.fd], [], [], end - time.monotonic())
            assert ready, self.seen
            try:
                self.seen += os.read(self.fd, 4096).decode()
            except OSError:  # it has ended
                assert until is None, self.seen
                return self.seen

    def shows_what_is_typed(self):
        return bool(termios.tcgetattr(self.fd)[3] & termios.ECHO)

    def type(self, after, text):
        self.read(until=after)
        shown = self.shows_what_is_typed()
        os.write(self.fd, text.encode() + b"\n")
        return shown

    def end(self):
        self.read()
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def new_name():
    return "op" + house.new_email().split("@")[0].replace("e2e-", "").replace("-", "")[-28:]


def account(email):
    return json.loads(auth_svc("users", "show", email, "--json")[0])


@pytest.fixture(scope="module", autouse=True)
def somebody_else_is_root():
    """The last one cannot be taken away."""
    auth_svc("create-root", new_name(), input=LONG)


# ---- the first root ----
def sign_in_at_magic(username, password):
    answer = get(f"/magic/system/auth/authenticate?username={username}&password={password.replace(' ', '%20')}")
    return expect_status(answer, 200).json["ticket"]


def test_a_root_is_made_at_a_terminal_with_a_password_that_nobody_sees():
    name = new_name()
    terminal = Terminal("create-root", name)
    assert not terminal.type(f"New password of {name}: ", LONG)
    assert not terminal.type("The same again: ", LONG)
    assert terminal.end() == 0, terminal.seen
    assert LONG not in terminal.seen and f"{name} (id " in terminal.seen and "has the role root" in terminal.seen
    ticket = sign_in_at_magic(name, LONG)
    expect_status(get("/magic/system/magic/users?limit=1", ticket), 200)
    auth_svc("roles", "revoke", "root", name)
    assert get("/magic/system/magic/users?limit=1", ticket).status == 401  # by the next request


def test_two_different_passwords_make_nobody_root():
    name = new_name()
    terminal = Terminal("create-root", name)
    terminal.type("New password of ", LONG)
    terminal.type("The same again: ", LONG + "!")
    assert terminal.end() == 1 and "two different passwords" in terminal.seen
    assert "no such user" in auth_svc("users", "show", name, code=1)[1]


def test_a_terminal_is_left_as_it_was_by_whoever_changes_his_mind():
    terminal = Terminal("create-root", new_name())
    terminal.read(until="New password of ")
    while terminal.shows_what_is_typed():
        time.sleep(0.01)
    os.write(terminal.fd, b"half of a pass\x03")  # Ctrl-C
    end = time.monotonic() + 10
    while not terminal.shows_what_is_typed() and time.monotonic() < end:
        time.sleep(0.01)
    assert terminal.shows_what_is_typed()
    assert terminal.end() == -signal.SIGINT


def test_a_roots_password_comes_from_a_file_or_from_stdin_and_never_from_the_command_line(tmp_path):
    file, one, two = tmp_path / "password", new_name(), new_name()
    file.write_text(LONG + "\r\nwhat else stands there\n")
    address = house.new_email()
    out, _ = auth_svc("create-root", one, "--password-file", str(file), "--email", address)
    assert out == f"{one} (id {account(one)['user_id']}) is made and has the role root\n"
    assert account(one)["email"] == address and account(one)["email_confirmed"] and account(one)["roles"] == "root"
    auth_svc("create-root", two, "--password-file=-", input=LONG)
    assert "email" not in account(two)
    for name in one, two:
        sign_in_at_magic(name, LONG)
    assert "unknown option --password" in auth_svc("create-root", new_name(), "--password", LONG, code=2)[1]
    assert "No such file" in auth_svc("create-root", new_name(), "--password-file", "/nonexistent", code=1)[1]
    assert "stdin has no password" in auth_svc("create-root", new_name(), code=1)[1]


def test_a_root_is_not_made_of_what_is_wrong_or_taken():
    name = new_name()
    assert "password should be at least 12 character(s)" in auth_svc("create-root", name, input="elevenchars", code=1)[1]
    assert "username has invalid format" in auth_svc("create-root", "no name", input=LONG, code=1)[1]
    assert "email has invalid format" in auth_svc("create-root", name, "--email", "nonsense", input=LONG, code=1)[1]
    email = house.new_email()
    token = sign_up(email)
    before = account(email)
    assert "email has already been taken" in auth_svc("create-root", name, "--email", email, input=LONG, code=1)[1]
    assert "--grant" in auth_svc("create-root", email, input=LONG, code=1)[1]  # it says how
    assert "leaves an account as it is" in auth_svc("create-root", email, "--grant", "--email", email, code=2)[1]
    assert "has the role root" in auth_svc("create-root", email, "--grant")[0]
    auth_svc("create-root", email, "--grant")  # once more: nothing happens
    assert account(email)["roles"] == "root" and account(email)["created_at"] == before["created_at"]
    expect_status(get("/api/businesses", token), 200)  # the session lives on, and has the role
    expect_status(get("/magic/system/magic/users?limit=1", token), 200)
    auth_svc("roles", "revoke", "root", email)
    assert "no such user" in auth_svc("create-root", new_name(), "--grant", code=1)[1]


# ---- users ----
def test_users_are_listed_and_shown():
    emails = sorted(house.new_email() for _ in range(3))
    tag = f"%{emails[0].split('-')[1]}%"
    for email in emails:
        sign_up(email)
    lines = auth_svc("users", "list", "--email", emails[0].upper())[0].splitlines()
    assert re.fullmatch(r"ID +USER NAME +E-MAIL +STATE +ROLES +CREATED \(UTC\)", lines[0])
    assert re.fullmatch(rf"\d+ +- +{emails[0]} +active|\d+ +- +{emails[0]} +unconfirmed +- +20\d\d-\d\d-\d\d \d\d:\d\d:\d\d", lines[1])
    rows = [json.loads(line) for line in auth_svc("users", "list", "--email", tag, "--order", "email", "--json", "--limit", "1000")[0].splitlines()]
    listed = [row["email"] for row in rows]
    assert set(emails) <= set(listed) and listed == sorted(listed, key=str.lower)
    assert not any("hash" in key or "password" in key for row in rows for key in row)
    out, err = auth_svc("users", "list", "--limit", "2")
    assert len(out.splitlines()) == 3 and "--limit 2 --offset 2" in err
    shown = auth_svc("users", "show", str(account(emails[0])["user_id"]))[0]
    assert re.search(rf"^e-mail +{emails[0]} \(not confirmed\)$", shown, re.M)
    assert "no such user: '999999999'" in auth_svc("users", "show", "999999999", code=1)[1]
    assert "order is invalid" in auth_svc("users", "list", "--order", "password_hash", code=1)[1]
    assert "--limit: '0'" in auth_svc("users", "list", "--limit", "0", code=2)[1]


def test_no_terminal_is_moved_by_what_somebody_calls_himself():
    email = house.new_email()
    sign_up(email)
    house.sql(f"UPDATE auth.users SET meta = E'{{\"a\":\"\\x1b[2J\\u009b1m\"}}' WHERE email_key = '{email}'")
    shown = auth_svc("users", "show", email)[0]
    assert "\x1b" not in shown and "\x9b" not in shown and '"?[2J?1m"' in shown


def test_blocking_ends_sessions_at_once_and_unblocking_lets_in_again():
    email = house.new_email()
    token = sign_up(email)
    expect_status(get("/api/businesses", token), 200)  # the gateway remembers it
    assert "is blocked; its sessions have ended" in auth_svc("users", "block", email)[0]
    house.expect_invalid_token(get("/api/businesses", token))
    assert email in auth_svc("users", "list", "--blocked", "--email", email)[0]
    assert house.post_json("/api/users/signin", {"email": email, "password": house.PASSWORD}).status == 401
    auth_svc("users", "unblock", email)
    house.expect_invalid_token(get("/api/businesses", token))
    expect_status(get("/api/businesses", sign_in(email)), 200)


def test_a_password_is_set_sessions_end_and_a_mail_tells_of_it():
    email = house.new_email()
    token = sign_up(email)
    assert "at least 12" in auth_svc("users", "set-password", email, input="short", code=1)[1]
    expect_status(get("/api/businesses", token), 200)
    terminal = Terminal("users", "set-password", email)
    terminal.type("New password of ", LONG)
    terminal.type("The same again: ", LONG)
    assert terminal.end() == 0 and LONG not in terminal.seen, terminal.seen
    house.expect_invalid_token(get("/api/businesses", token))
    sign_in(email, LONG)
    end = time.monotonic() + 15
    while not any(email in text and "password_changed" in path.name
                  for path in (house.VAR / "mail").glob("*password_changed*") for text in [path.read_text()]):
        assert time.monotonic() < end, "no mail tells of it"
        time.sleep(0.2)
    assert "no such user" in auth_svc("users", "set-password", "nobody-of-this-name", code=1)[1]  # before a password is asked for


def test_an_address_is_taken_for_confirmed():
    email = house.new_email()
    token = sign_up(email)
    assert not account(email)["email_confirmed"]
    auth_svc("users", "confirm", email)
    assert account(email)["email_confirmed"]
    with house.worker("auth") as auth:
        assert auth.call("auth.CheckToken", {1: token})[8]  # the session knows


def test_accounts_are_deleted_only_by_somebody_who_means_it():
    email = house.new_email()
    token = sign_up(email)
    assert "say --yes" in auth_svc("users", "delete", email, code=1)[1]
    terminal = Terminal("users", "delete", email)
    terminal.type("for good? [y/N] ", "n")
    assert terminal.end() == 1 and "nothing was deleted" in terminal.seen
    expect_status(get("/api/businesses", token), 200)
    terminal = Terminal("users", "delete", email)
    terminal.type("for good? [y/N] ", "y")
    assert terminal.end() == 0, terminal.seen
    house.expect_invalid_token(get("/api/businesses", token))
    sign_up(email)
    auth_svc("users", "delete", email, "--yes")
    assert "no such user" in auth_svc("users", "show", email, code=1)[1]


def test_users_are_called_by_id_user_name_or_address():
    digits = str(time.time_ns() % 10**12)
    email = house.new_email()
    sign_up(email)
    auth_svc("create-root", digits, input=LONG)  # digits alone are a user name, too
    assert account("name:" + digits)["username"] == digits
    assert account(f"id:{account(email)['user_id']}")["email"] == email
    assert account(email.upper())["email"] == email
    auth_svc("users", "delete", "name:" + digits, "--yes")


# ---- roles ----
def test_roles_are_made_granted_revoked_and_deleted():
    role, email = "role" + new_name(), house.new_email()
    token = sign_up(email)
    auth_svc("roles", "create", role, "--description", "For a test")
    assert "ALREADY_EXISTS" in auth_svc("roles", "create", role.upper(), code=1)[1]
    assert auth_svc("roles", "grant", role, email)[0].endswith(f"has the role {role}\n")
    assert "already" in auth_svc("roles", "grant", role, email)[0]
    with house.worker("auth") as auth:
        assert auth.call("auth.CheckToken", {1: token})[12] == role
    assert re.search(rf"^{role} +1 +For a test$", auth_svc("roles", "list")[0], re.M)
    assert {"name": role, "description": "For a test"} in [json.loads(line) for line in auth_svc("roles", "list", "--json")[0].splitlines()]
    assert email in auth_svc("users", "list", "--role", role)[0]
    auth_svc("roles", "revoke", role, email)
    assert "does not have this role" in auth_svc("roles", "revoke", role, email, code=1)[1]
    auth_svc("roles", "grant", role, email)
    auth_svc("roles", "delete", role)
    assert account(email)["roles"] == ""
    assert "NOT_FOUND" in auth_svc("roles", "delete", role, code=1)[1]
    assert "NOT_FOUND" in auth_svc("roles", "grant", role, email, code=1)[1]
    assert "FAILED_PRECONDITION" in auth_svc("roles", "delete", "root", code=1)[1]


# ---- sessions ----
def test_sessions_are_listed_and_ended():
    email = house.new_email()
    one, two, three = sign_up(email), sign_in(email), sign_in(email)
    rows = [json.loads(line) for line in auth_svc("sessions", "list", email, "--json")[0].splitlines()]
    assert len(rows) == 3 and all(row["door"] == "busi" and row["remote_addr"] == "127.0.0.1" for row in rows)
    lines = auth_svc("sessions", "list", email)[0].splitlines()
    assert re.fullmatch(r"SESSION +DOOR +BEGAN \(UTC\) +ENDS \(UTC\) +ADDRESS +PROGRAM", lines[0]) and len(lines) == 4
    auth_svc("sessions", "end", email, house.claims_of(two)["sid"])
    house.expect_invalid_token(get("/api/businesses", two))
    expect_status(get("/api/businesses", one), 200)
    assert "has no session" in auth_svc("sessions", "end", email, house.claims_of(two)["sid"], code=1)[1]
    assert auth_svc("sessions", "end-all", email)[0].startswith("2 sessions of ")
    for token in one, three:
        house.expect_invalid_token(get("/api/businesses", token))
    expect_status(get("/api/businesses", sign_in(email)), 200)


# ---- all of them ----
def test_what_was_done_is_in_the_audit_log_under_the_operators_name():
    email = house.new_email()
    sign_up(email)
    auth_svc("users", "block", email)
    user_id = account(email)["user_id"]
    rows = [json.loads(line) for line in auth_svc("audit", "--user", str(user_id), "--event", "block_user", "--json")[0].splitlines()]
    assert len(rows) == 1 and rows[0]["actor"].startswith("operator "), rows


@pytest.mark.parametrize("words", [["users"], ["roles"], ["sessions"], ["users", "list"], ["users", "show"], ["users", "block"], ["users", "unblock"],
                                   ["users", "delete"], ["users", "set-password"], ["users", "confirm"], ["roles", "list"], ["roles", "create"],
                                   ["roles", "delete"], ["roles", "grant"], ["roles", "revoke"], ["sessions", "list"], ["sessions", "end"],
                                   ["sessions", "end-all"], ["create-root"], ["audit"], ["import-users"]])
def test_each_says_how_it_is_used(words):
    out, err = auth_svc(*words, "--help")
    assert out.startswith("auth-svc " + words[0]) and err == ""
    assert max(map(len, out.splitlines())) <= 120, out


@pytest.mark.parametrize("words", [["users"], ["users", "nonsense"], ["users", "show"], ["users", "show", "a", "b"], ["users", "list", "--nonsense"],
                                   ["users", "list", "more"], ["roles", "grant", "root"], ["sessions", "end", "a"], ["create-root"],
                                   ["users", "list", "--limit"], ["users", "list", "--json=yes"],
                                   ["audit", "--event", "nonsense"], ["audit", "--limit", "0"], ["audit", "--by", "ann"], ["audit", "--since", "yesterday"],
                                   ["import-users"]])
def test_wrong_usage_is_said_and_exits_with_2(words):
    out, err = auth_svc(*words, code=2)
    assert out == "" and err


def test_a_store_that_is_away_is_said(tmp_path):
    lines = (house.VAR / "config/auth-1.conf").read_text()
    file = tmp_path / "own.conf"
    file.touch(mode=0o600)
    file.write_text(re.sub(r"^redis = .*$", "redis = redis://127.0.0.1:1", lines, flags=re.M))
    words = [PROGRAM[0], "--config", file, "sessions", "end-all", "1"]
    done = subprocess.run(words, env=ENVIRONMENT, text=True, capture_output=True, timeout=40)
    assert done.returncode == 1 and "BUSI_REDIS" in done.stderr, done
