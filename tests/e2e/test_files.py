"""D-08: files a process is given at its start that are missing, cannot be read or are not what they should be. It does not start, and
says in one line which file of which setting is to blame; no byte of a secret is in it."""
import os, pathlib, shutil, subprocess, tempfile

import pytest

from house import VAR

BIN = pathlib.Path(os.environ["BUSI_TEST_BIN"])
SECRET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
MEBIBYTE = 1 << 20


@pytest.fixture
def folder():
    """Others than its owner get there, too."""
    with tempfile.TemporaryDirectory(prefix="busi-files-") as name:
        path = pathlib.Path(name)
        path.chmod(0o755)
        yield path


def run(binary, file, *words, user=None):
    """(exit code, what it said): it ends by itself, or the test fails."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BUSI_")}
    program = BIN / binary if user is None else shutil.copy(BIN / binary, file.parent)  # others may not get to where it is
    done = subprocess.run([program, "--config", file, *words], env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, user=user)
    return done.returncode, (done.stdout + done.stderr).decode()


def own_config(folder, line=None, process="auth-1"):
    """The running house's file of a process, with a line in place of its own."""
    name = line and line.split(" =")[0]
    kept = [old for old in (VAR / f"config/{process}.conf").read_text().splitlines() if not name or old.split(" =")[0] not in (name, name.removesuffix("_file"))]
    file = folder / "own.conf"
    file.touch(mode=0o600)
    file.write_text("\n".join(kept + ([line] if line else [])) + "\n")
    return file


def place(path, content, mode=0o600):
    """content: bytes, or a word for what is no file with bytes in it."""
    if content == "missing":
        return path
    if content == "folder":
        path.mkdir()
    elif content == "pipe":
        os.mkfifo(path, 0o600)
    elif content == "broken link":
        path.symlink_to(path.with_name("nowhere"))
    elif content == "link to itself":
        path.symlink_to(path)
    else:
        path.touch(mode=0o600)
        path.write_bytes(content)
        path.chmod(mode)
    return path


def expect_refused(outcome, *names):
    code, said = outcome
    assert code == 78, (code, said[:2000])
    lines = said.splitlines()
    assert len(lines) == 1 and len(said) < 600, said[:2000]
    for name in names:
        assert str(name) in said, said
    assert all(" " <= c <= "~" for c in lines[0]), repr(said)
    assert SECRET[:8] not in said and SECRET[-8:] not in said


# ---- the configuration ----
def house_lines():
    return (VAR / "config/auth-1.conf").read_bytes()


CONFIGS = [(what, what) for what in ("missing", "folder", "pipe", "broken link", "link to itself")] + [
    ("10 MiB of comments", b"# nothing\n" * MEBIBYTE), ("10 MiB in a line", b"jwt_secret = " + b"a" * 10 * MEBIBYTE), ("10 MiB of nothing", b"\0" * 10 * MEBIBYTE),
    ("just too large", b"#" * (64 * 1024 + 1))]
NOT_LINES = [("UTF-16 with its mark", lambda text: text.decode().encode("utf-16")), ("UTF-16", lambda text: text.decode().encode("utf-16-be")),
             ("line ends of another time", lambda text: text.replace(b"\n", b"\r")), ("noise", lambda text: bytes(range(256)) * 8),
             ("a NUL", lambda text: text + b"log_level = in\0fo\n"), ("a mark within", lambda text: b"log_level = info\n\xef\xbb\xbf" + text),
             ("Latin-1", lambda text: text + b"mail_from = M\xfcller <a@b.de>\n".replace(b"mail_from", b"log_level")), ("a program", lambda text: (BIN / "gateway").read_bytes()[:60000])]


@pytest.mark.parametrize("words", [["--check-config"], []])
@pytest.mark.parametrize("what, content", CONFIGS)
def test_a_configuration_that_is_no_file(folder, what, content, words):
    file = place(folder / "busi.conf", content)
    expect_refused(run("auth-svc", file, *words), file)


@pytest.mark.parametrize("what, change", NOT_LINES)
def test_a_configuration_that_is_no_text(folder, what, change):
    file = place(folder / "busi.conf", change(house_lines()))
    for words in (["--check-config"], []):
        code, said = run("auth-svc", file, *words)
        assert code == 78 and str(file) in said and "line " in said, said[:2000]
        assert (VAR / "secrets/jwt").read_text()[:16] not in said


@pytest.mark.parametrize("change", [lambda text: b"\xef\xbb\xbf" + text, lambda text: text.replace(b"\n", b"\r\n"), lambda text: text.rstrip(b"\n"),
                                    lambda text: b"\n \n\t\n" + text + b"\n\n", lambda text: b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n")])
def test_what_editors_leave_in_a_configuration_is_no_fault(folder, change):
    assert run("auth-svc", place(folder / "busi.conf", change(house_lines())), "--check-config") == (0, "configuration is fine\n")


def as_nobody(folder, file):
    """What a process says that may not read the file: it runs as somebody else, unless we are nobody already."""
    if os.geteuid() != 0:
        file.chmod(0)
        return run("auth-svc", file, "--check-config")
    return run("auth-svc", file, "--check-config", user=65534)


def test_a_configuration_that_may_not_be_read(folder):
    file = place(folder / "busi.conf", house_lines())
    expect_refused(as_nobody(folder, file), file, "Permission denied")


# ---- secrets and keys ----
ENCODED = SECRET.encode()
SECRETS = [(what, what) for what in ("missing", "folder", "pipe", "broken link")] + [
    ("nothing", b""), ("a line end alone", b"\n"), ("too short", b"short\n"), ("10 MiB", ENCODED * (10 * MEBIBYTE // 64)), ("UTF-16 with its mark", SECRET.encode("utf-16")),
    ("UTF-16", SECRET.encode("utf-16-le")), ("a mark of UTF-8", b"\xef\xbb\xbf" + ENCODED), ("a NUL at its end", ENCODED + b"\0"), ("one letter", b"a" * 64)]


@pytest.mark.parametrize("what, content", SECRETS)
@pytest.mark.parametrize("words", [["--check-config"], []])
def test_a_secret_that_is_none(folder, what, content, words):
    secret = place(folder / "secret", content)
    expect_refused(run("auth-svc", own_config(folder, f"jwt_secret_file = {secret}"), *words), "BUSI_JWT_SECRET")


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_the_line_end_behind_a_secret_is_no_part_of_it(folder, end):
    secret = place(folder / "secret", ENCODED + end)
    assert run("auth-svc", own_config(folder, f"jwt_secret_file = {secret}"), "--check-config") == (0, "configuration is fine\n")


def test_a_secret_that_may_not_be_read(folder):
    secret = place(folder / "secret", ENCODED)
    file = own_config(folder, f"jwt_secret_file = {secret}")
    code, said = as_nobody(folder, secret) if os.geteuid() != 0 else (file.chmod(0o644), run("auth-svc", file, "--check-config", user=65534))[1]
    assert code == 78
    if os.geteuid() == 0:
        assert [line for line in said.splitlines() if "BUSI_JWT_SECRET" in line and "Permission denied" in line], said


CERTIFICATE = (b'metadata\n    name = "auth-svc"\ncurve\n    public-key = "%s"\n    secret-key = "%s"\n')
Z85 = b"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
KEYS = [(what, what) for what in ("missing", "folder", "pipe", "broken link")] + [
    ("nothing", b""), ("noise", bytes(range(256)) * 4), ("10 MiB", CERTIFICATE % (Z85, Z85) + b"#" * 10 * MEBIBYTE), ("a public one", CERTIFICATE.split(b"    secret")[0] % Z85),
    ("a secret of 39 letters", CERTIFICATE % (Z85, Z85[:39])), ("of 41", CERTIFICATE % (Z85, Z85 + b"a")), ("of letters that are none", CERTIFICATE % (Z85, b"~" * 40)),
    ("a public one of 39", CERTIFICATE % (Z85[:39], Z85)), ("the two of different pairs", CERTIFICATE % (Z85, Z85)), ("UTF-16", (CERTIFICATE % (Z85, Z85)).decode().encode("utf-16")),
    ("a key of PEM", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), ("hex", b"00" * 32)]


@pytest.mark.parametrize("what, content", KEYS)
@pytest.mark.parametrize("words", [["--check-config"], []])
def test_a_key_of_the_wire_that_is_none(folder, what, content, words):
    key = place(folder / "auth-svc.key", content)
    code, said = run("auth-svc", own_config(folder, f"curve_key_file = {key}"), *words)
    assert code in (78, 1) and ("CURVE" in said) and Z85.decode() not in said, (code, said)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_that_others_may_read(folder, mode):
    key = place(folder / "auth-svc.key", (VAR / "keys/auth-svc.key").read_bytes(), mode)
    code, said = run("auth-svc", own_config(folder, f"curve_key_file = {key}"))
    assert code in (78, 1) and "can be read by others (chmod 600)" in said, said


@pytest.mark.parametrize("value", ["00" * 31, "00" * 33, "zz" * 32, "ab" * 5, "\xe4" * 64])
def test_a_hash_key_of_another_length(folder, value):
    code, said = run("auth-svc", own_config(folder, f"token_hash_key = {value}"), "--check-config")
    assert code == 78 and "BUSI_TOKEN_HASH_KEY" in said and value not in said, said


# ---- and where clients are said to reach it ----
@pytest.mark.parametrize("process, binary", [("gateway", "gateway"), ("mailer-1", "mailer-svc")])
@pytest.mark.parametrize("url", ["http://:80", "https://", "https://a:0", "https://a:65536", "https://a:x", "https://a//b", "https://a/b?c", "https://a b", "//example.com",
                                 "javascript:alert(1)", "https://user@example.com", "https://example.com/", "https://1.2.3", "ftp://example.com"])
def test_a_base_url_that_is_none(folder, process, binary, url):
    expect_refused(run(binary, own_config(folder, f"base_url = {url}", process), "--check-config"), "BUSI_BASE_URL", "is not like https://example.com")


@pytest.mark.parametrize("list", ["0.0.0.0/0", "::/0", "10.0.0.1, 0.0.0.0/1", "128.0.0.0/1", "::ffff:0.0.0.0/96", "10.0.0.1/8", "proxy.example.com"])
def test_proxies_that_nobody_should_trust(folder, list):
    code, said = run("gateway", own_config(folder, f"trusted_proxies = {list}", "gateway"), "--check-config")
    assert (code, said[:21]) == (78, "BUSI_TRUSTED_PROXIES:"), said
