#!/usr/bin/python3
"""Users of a Phoenix database moved over, by hand: imports many accounts with bcrypt hashes into a stack that runs, says how fast that was,
and has a sample of them sign in with their old passwords, a wrong one before and after. Ends with 1 if anything is not as it must be.

    BUSI_VAR=/tmp/x BUSI_HTTP_PORT=4900 ./deploy/local up
    tests/speed/import.py /tmp/x [--users 100000] [--sample 500] [--bin build/release/bin]
"""
import argparse, crypt, http.client, json, os, pathlib, random, re, subprocess, sys, tempfile, time
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parents[2]
HASHES = 300  # distinct ones: making them is dear


def make_hashes():
    """Passwords and their hashes, of the costs 4 to 10; every tenth password is longer than bcrypt reads."""
    made = []
    for i in range(HASHES):
        password = f"pass word {i}" + ("-" * 70 + "tail" if i % 10 == 0 else "")
        made.append((password, crypt.crypt(password, f"$2{'aby'[i % 3]}${4 + i % 7:02}$" + os.urandom(16).hex()[:21] + "e")))
    return made


def write_rows(file, run, users, hashes):
    for i in range(users):
        file.write(json.dumps({"external_id": f"{run}-{i}", "email": f"{run}-{i}@example.com", "password_hash": hashes[i % HASHES][1], "confirmed": i % 3 > 0,
                               "inserted_at": "2018-11-11 07:00:53.229068", "meta": {"plan": "gold"}}) + "\n")


def run_import(bin, var, file, *options):
    began = time.monotonic()
    done = subprocess.run([bin / "auth-svc", "--config", var / "config/auth-1.conf", "import-users", "--refused", *options, file], text=True, capture_output=True)
    print(f"import-users: {done.stderr.strip()}; the whole command took {time.monotonic() - began:.1f} s", flush=True)
    if done.returncode or done.stdout:
        sys.exit(f"exit code {done.returncode}\n{done.stdout[:2000]}")
    return [int(n) for n in re.search(r"(\d+) created, (\d+) exist already, (\d+) refused", done.stderr).groups()]


def sql(var, statement):
    port = re.findall(r"^postgres=(\d+)", (var / "ports").read_text(), re.M)[-1]
    dsn = f"host=127.0.0.1 port={port} user=postgres dbname=busi password={(var / 'secrets/postgres').read_text().strip()}"
    return subprocess.run(["psql", "-XAtqc", statement, dsn], check=True, text=True, capture_output=True).stdout.strip()


def sign_in(port, email, password):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("POST", "/api/users/signin", json.dumps({"email": email, "password": password}), {"content-type": "application/json"})
    status = connection.getresponse().status
    connection.close()
    return status


def try_user(var, port, email, password, old_hash):
    """What went wrong; None: nothing."""
    stored = lambda: sql(var, f"SELECT password_hash FROM auth.users WHERE email = '{email}'")
    steps = [("a wrong password", sign_in(port, email, "x" + password), 401), ("the hash before", stored(), old_hash), ("the old password", sign_in(port, email, password), 201)]
    new_hash = stored()
    steps += [("the hash after", new_hash[:31], "$argon2id$v=19$m=19456,t=2,p=1$"), ("the old password again", sign_in(port, email, password), 201),
              ("a wrong one again", sign_in(port, email, "x" + password), 401), ("the hash, which is good", stored(), new_hash)]
    return next((f"{email}: {what}: {got}, not {wanted}" for what, got, wanted in steps if got != wanted), None)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("var", type=pathlib.Path)
    parser.add_argument("--users", type=int, default=100000)
    parser.add_argument("--sample", type=int, default=500)
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/release/bin")
    args = parser.parse_args()
    port = int(re.findall(r"^http=(\d+)", (args.var / "ports").read_text(), re.M)[-1])
    run, hashes = f"import{time.time_ns()}", make_hashes()
    with tempfile.NamedTemporaryFile("w", suffix=".ndjson") as file:
        write_rows(file, run, args.users, hashes)
        file.flush()
        wanted = [[args.users, 0, 0], [0, args.users, 0]]
        if [run_import(args.bin, args.var, file.name) for _ in wanted] != wanted:
            sys.exit("not every row was created once")
    sample = random.sample(range(args.users), args.sample)
    began = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        faults = list(filter(None, pool.map(lambda i: try_user(args.var, port, f"{run}-{i}@example.com", *hashes[i % HASHES]), sample)))
    print(f"{args.sample} of them signed in, and again with the new hash, in {time.monotonic() - began:.0f} s: {len(faults)} faults")
    left = sql(args.var, f"SELECT count(*) FROM auth.users WHERE email LIKE '{run}-%' AND password_hash LIKE '$2_$%'")
    print(f"{left} of {args.users} still have bcrypt hashes")
    sys.exit("\n".join(faults) if faults or int(left) != args.users - args.sample else 0)


if __name__ == "__main__":
    main()
