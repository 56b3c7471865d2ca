"""--check-config on the running house's own files, with one line made wrong: what could not start is refused by name."""
import os, pathlib, subprocess

import pytest

from house import VAR, sql

BIN = pathlib.Path(os.environ["BUSI_TEST_BIN"])


def check(tmp_path, process, binary, line=None, asked="--check-config"):
    """(exit code, what was said) with this line in place of the file's own."""
    lines = (VAR / f"config/{process}.conf").read_text().splitlines()
    if line:
        lines = [l for l in lines if l.split(" =")[0] != line.split(" =")[0]] + [line]
    file = tmp_path / "own.conf"
    file.touch(mode=0o600)
    file.write_text("\n".join(lines) + "\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BUSI_")}
    done = subprocess.run([BIN / binary, "--config", file, asked], env=environment, text=True, capture_output=True, timeout=20)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("process, binary", [("gateway", "gateway"), ("auth-1", "auth-svc"), ("directory-1", "directory-svc"),
                                             ("mailer-1", "mailer-svc")])
def test_the_files_in_use_are_fine(tmp_path, process, binary):
    assert check(tmp_path, process, binary) == (0, "configuration is fine\n")


WRONG = {
    ("gateway", "gateway"): [
        "http_bind = ::1", "http_bind = localhost", "http_bind = 127.0.0.1:80", "auth_endpoints = ", "auth_endpoints = host",
        "auth_endpoints = 127.0.0.1:0", "directory_endpoints = tcp://127.0.0.1:5001", "directory_endpoints = a:1,,b:2", "ash_sign_out = sign-out",
        "ash_sign_out = /sign-out/", "ash_sign_out = /account", "ash_sign_out = /auth/user/corp", "forwarded_header = x-real-ip"],
    ("auth-1", "auth-svc"): [
        "redis = ", "redis = http://127.0.0.1", "redis = redis://127.0.0.1:99999", "auth_database = ", "auth_database = colour=blue",
        "mailer_endpoints = host", "rpc_bind = 127.0.0.1:5001", "rpc_bind = tcp://127.0.0.1", "rpc_bind = tcp://127.0.0.1:99999",
        "curve_allow_dir = /no/such/folder", "jwt_secret = short", "jwt_secret = " + "a" * 64, "jwt_secret = ", "ash_jwt_secret = two words",
        "magic_jwt_secret = " + "changeme" * 10, "token_hash_key = " + "0" * 64],
    ("directory-1", "directory-svc"): ["directory_database = ", "directory_database = colour=blue", "curve_allow_dir = /etc/passwd"],
    ("mailer-1", "mailer-svc"): ["mailer_database = ", "mailer_database = colour=blue", "rpc_bind = udp://127.0.0.1:1"],
}


@pytest.mark.parametrize("process, binary, line", [(*who, line) for who, lines in WRONG.items() for line in lines])
def test_what_could_not_start_is_refused_by_name(tmp_path, process, binary, line):
    code, said = check(tmp_path, process, binary, line)
    assert code == 78 and f"BUSI_{line.split(' =')[0].upper()}" in said, said


@pytest.mark.parametrize("name, value", [("BUSI_HTTP_PORT", "abc"), ("BUSI_HTTP_PORT", "0"), ("BUSI_HTTP_PORT", "65536"),
                                         ("BUSI_REPLICAS_AUTH", "x"), ("BUSI_REPLICAS_AUTH", "0"), ("BUSI_REPLICAS_MAILER", "99"),
                                         ("BUSI_REPLICAS_DIRECTORY", "-1")])
def test_the_launcher_refuses_nonsense_before_it_touches_anything(tmp_path, name, value):
    environment = {key: kept for key, kept in os.environ.items() if not key.startswith("BUSI_")}
    environment |= {"BUSI_VAR": str(tmp_path / "var"), "BUSI_BIN": str(tmp_path), name: value}
    launcher = pathlib.Path(__file__).resolve().parents[2] / "deploy/local"
    done = subprocess.run([launcher, "up"], env=environment, text=True, capture_output=True, timeout=20)
    assert done.returncode == 1 and f"{name}: '{value}'" in done.stderr, done
    assert not [f for f in tmp_path.rglob("*") if f.is_file()]


# ---- keys of tokens ----
KEYS = ["0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_" + last for last in "abcdefghi"]


@pytest.mark.parametrize("lines, fault", [
    ([KEYS[0]], None), (["new " + KEYS[0], KEYS[1]], None), (["", " k1  " + KEYS[0] + " ", "\tk2 " + KEYS[1] + "\r", ""], None),
    ([KEYS[0], "short"], "line 2 is too short"), ([KEYS[0], "", "k " + "a" * 70], "line 3 has too few different"),
    (["k " + KEYS[0], "k " + KEYS[1]], "line 2 has the secret or the kid of a line before"), (KEYS, "line 9 is one key too many"),
    (["a b " + KEYS[0]], "line 1 has more than a kid"), (["k\u00e4y " + KEYS[0]], "line 1 has a space, but before it no kid")])
def test_a_ring_of_keys_in_a_file(tmp_path, lines, fault):
    keys = tmp_path / "keys"
    keys.touch(mode=0o600)
    keys.write_text("\n".join(lines) + "\n", newline="")
    code, said = check(tmp_path, "auth-1", "auth-svc", f"guardian_jwt_secret_file = {keys}")
    assert (code, said) == (0, "configuration is fine\n") if fault is None else code == 78 and f"BUSI_GUARDIAN_JWT_SECRET: {fault}" in said, said
    assert KEYS[0] not in said and "short" not in said.replace("too short", "")


def test_two_doors_share_no_key(tmp_path):
    code, said = check(tmp_path, "auth-1", "auth-svc", f"guardian_jwt_secret = kid {(VAR / 'secrets/jwt').read_text().strip()}")
    assert code == 78 and "BUSI_GUARDIAN_JWT_SECRET: has a key that another door has, too" in said


def test_a_secret_of_ours_is_a_key(tmp_path):
    made = subprocess.run([BIN / "auth-svc", "gen-secret", "--kid", "2026-11"], text=True, capture_output=True, timeout=20)
    assert made.returncode == 0 and made.stdout.startswith("2026-11 ") and len(made.stdout) == 8 + 86 + 1
    assert check(tmp_path, "auth-1", "auth-svc", f"magic_jwt_secret = {made.stdout.strip()}")[0] == 0


def test_purge_says_how_many_rows_of_what():
    sql("INSERT INTO auth.revocations(user_id, session_id, expires_at) SELECT i, 'purge-' || i, now() - interval '25 hours' FROM generate_series(1, 2500) AS i")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BUSI_")}
    done = subprocess.run([BIN / "auth-svc", "--config", VAR / "config/auth-1.conf", "purge"], env=environment, text=True, capture_output=True, timeout=60)
    assert done.returncode == 0, done
    rows = {name: int(n) for name, n in (line.split() for line in done.stdout.splitlines())}
    assert {"secrets_purged", "revocations_purged", "events_dropped", "mails_dropped"} <= set(rows)
    assert sql("SELECT count(*) FROM auth.revocations WHERE session_id LIKE 'purge-%'") == "0"


@pytest.mark.parametrize("prefix", ["magic", "/magic/", "/", "/ma gic", "/:id", "//magic"])
def test_routes_are_not_printed_below_a_prefix_that_is_none(tmp_path, prefix):
    code, said = check(tmp_path, "gateway", "gateway", f"surface_magic_prefix = {prefix}", "routes")
    assert code == 1 and said.startswith("BUSI_SURFACE_MAGIC_PREFIX: must be") and len(said.splitlines()) == 1, said
