"""X-21: what other processes of the machine may see of ours, in /proc: no secret in their arguments or environment, no file of one left open,
nothing to dump or to trace."""
import os, pathlib, re, shutil, subprocess, tempfile

import pytest

from house import VAR
from second import second

OURS = ["gateway", "auth-1", "auth-2", "directory-1", "directory-2", "mailer-1", "mailer-2"]


def secrets():
    """Every secret of the running house, as bytes: files of secrets, passwords within settings, secret keys."""
    found = {file.name: file.read_bytes().strip() for file in (VAR / "secrets").iterdir()}
    for file in (VAR / "config").glob("*.conf"):
        for name, value in re.findall(r"^(\w*(?:secret|password|hash_key))(?:_file)? = (\S+)$", file.read_text(), re.M):
            found[f"{file.name} {name}"] = value.encode()
        for value in re.findall(r"password=(\S+)|redis://:([^@]+)@", file.read_text()):
            found[f"{file.name} {len(found)}"] = "".join(value).encode()
    for file in (VAR / "keys").glob("*.key"):
        found[file.name] = re.search(rb'secret-key = "(.{40})"', file.read_bytes())[1]
    assert len(found) > 8 and all(len(secret) >= 16 for secret in found.values())
    return found


def expect_clean(pid):
    process = pathlib.Path(f"/proc/{pid}")
    seen = {name: (process / name).read_bytes() for name in ("cmdline", "environ", "comm", "status", "maps")}
    for task in (process / "task").iterdir():
        seen[f"task {task.name}"] = (task / "comm").read_bytes()
    for what, secret in secrets().items():
        for place, content in seen.items():
            assert secret not in content, (what, place)
    for fd in (process / "fd").iterdir():
        try:
            target = os.readlink(fd)
        except FileNotFoundError:
            continue
        assert not re.search(r"/(secrets|keys|config)/", target), target
    limits = (process / "limits").read_text()
    assert re.search(r"^Max core file size +0 +0 ", limits, re.M), limits


@pytest.mark.parametrize("name", OURS)
def test_x21_nothing_is_to_be_seen_of_a_process(name):
    expect_clean(int((VAR / f"run/{name}.pid").read_text()))


NOBODY = 65534


def test_x21_no_other_process_of_the_same_user_looks_into_one():
    """It is not dumpable: its part of /proc belongs to root, whoever it runs as, so that only root may read or trace it."""
    with tempfile.TemporaryDirectory(prefix="busi-sight-") as name:
        folder = pathlib.Path(name)
        shutil.copytree(VAR / "keys", folder / "keys")
        for path in (folder, *folder.rglob("*")):
            os.chown(path, NOBODY if os.geteuid() == 0 else -1, -1)
        drop = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
        own = {"curve_key_file": folder / "keys/gateway.key", "curve_server_dir": folder / "keys/servers"}
        with second("gateway", folder, drop, owner=NOBODY if os.geteuid() == 0 else -1, **own) as gateway:
            process = pathlib.Path(f"/proc/{gateway.process.pid}")
            assert re.search(rf"^Uid:\s+{NOBODY if os.geteuid() == 0 else os.geteuid()}\s", (process / "status").read_text(), re.M)
            assert {os.stat(process / place).st_uid for place in ("environ", "fd", "maps", "mem")} == {0}


def test_x21_secrets_that_come_by_files(tmp_path):
    """As Kubernetes mounts them: each setting names a file, which is closed when it has been read."""
    lines = (VAR / "config/auth-1.conf").read_text()
    settings = {}
    (tmp_path / "secrets").mkdir()
    for name in ("auth_database", "redis", "jwt_secret", "token_hash_key"):
        file = tmp_path / "secrets" / name
        file.touch(mode=0o600)
        file.write_text(re.search(rf"^{name} = (.*)$", lines, re.M)[1] + "\n")
        settings[f"{name}_file"] = file
    with second("auth-1", tmp_path, drop=[name.removesuffix("_file") for name in settings], **settings) as auth:
        expect_clean(auth.process.pid)
        text = auth.log.read_text()
    assert not [what for what, secret in secrets().items() if secret.decode(errors="replace") in text]


def test_x21_no_word_of_a_command_line_is_a_secret():
    """Nothing that is a secret can be given as an argument: there is no option for a password, nor for a key."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BUSI_")}
    for binary in ("gateway", "auth-svc", "directory-svc", "mailer-svc"):
        said = subprocess.run([f"{os.environ['BUSI_TEST_BIN']}/{binary}", "--help"], env=environment, text=True, capture_output=True, timeout=20).stdout
        options = set(re.findall(r"--[a-z-]+", said))
        assert not [option for option in options if re.search("pass(word)?$|secret$|key$|token$", option)], options
