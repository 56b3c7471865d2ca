"""Accounts of other systems, brought in by the operator's command: they sign in with the passwords they had."""
import crypt, json, os, subprocess
import pytest
import house

ARGON2 = "$argon2id$v=19$m=8192,t=3,p=4$c29tZXNhbHRzYWx0$k+8MbYihuzer/O1kAHFwfy1irzzUkCaLNNX48KqO6Wg"  # of "correct horse"


def run(text, *options):
    """The command with this on its standard input: exit code, results by line, what it said."""
    done = subprocess.run([os.environ["BUSI_TEST_BIN"] + "/auth-svc", "--config", house.VAR / "config/auth-1.conf", "import-users", *options, "-"],
                          input=text if isinstance(text, bytes) else text.encode(), capture_output=True, timeout=60,
                          env={name: value for name, value in os.environ.items() if not name.startswith("BUSI_")})
    results = [json.loads(line) for line in done.stdout.decode().splitlines()]
    return done.returncode, {result["line"]: result for result in results}, done.stderr.decode()


def import_rows(*rows, options=()):
    return run("".join(json.dumps(row) + "\n" for row in rows), *options)


def expect_created(*rows, options=()):
    code, results, said = import_rows(*rows, options=options)
    assert code == 0 and [result["result"] for result in results.values()] == ["created"] * len(rows), (results, said)
    return [result["user_id"] for result in results.values()]


def expect_reason(reason, row, options=()):
    code, results, _ = import_rows(row, options=options)
    assert code == 1 and results == {1: {"line": 1, "result": "refused", "reason": reason}}, results


def bcrypt(password, kind="b", cost=4):
    return crypt.crypt(password, f"$2{kind}${cost:02}$" + os.urandom(16).hex()[:21] + "e")


def stored(user_id):
    return house.sql(f"SELECT password_hash FROM auth.users WHERE id = {user_id}")


def try_password(email, password):
    return house.post_json("/api/users/signin", {"email": email, "password": password}).status


def test_users_of_a_phoenix_database_sign_in_and_are_re_hashed():
    rows = []
    for i in range(300):
        kind, cost = "aby"[i % 3], 4 + i % 4
        rows.append({"external_id": house.new_email(), "email": house.new_email(), "password_hash": bcrypt(f"pass word {i}", kind, cost), "confirmed": i % 2 == 0,
                     "inserted_at": "2018-11-11 07:00:53.229068", "meta": {"n": i}})
    ids = expect_created(*rows)
    for i in range(0, 300, 10):
        assert stored(ids[i]) == rows[i]["password_hash"]
        assert try_password(rows[i]["email"], f"pass word {i + 1}") == 401
        assert stored(ids[i]) == rows[i]["password_hash"]
        assert try_password(rows[i]["email"], f"pass word {i}") == 201
        assert stored(ids[i]).startswith("$argon2id$v=19$m=19456,t=2,p=1$")
        assert try_password(rows[i]["email"], f"pass word {i}") == 201
        assert try_password(rows[i]["email"], f"pass word {i + 1}") == 401
    assert house.sql(f"SELECT count(*) FROM auth.users WHERE id = ANY ('{{{','.join(map(str, ids))}}}') AND (confirmed_at IS NOT NULL) = (id % 2 = {ids[0] % 2})"
                     " AND inserted_at = '2018-11-11 07:00:53.229068Z' AND code ~ '^[a-z1-9]{6}$'") == "300"


def test_pw2_a_bcrypt_password_counts_up_to_72_bytes_as_it_did():
    email, password = house.new_email(), "p" * 71 + "qr"
    expect_created({"email": email, "password_hash": bcrypt(password)})
    assert try_password(email, "p" * 71 + "x") == 401
    assert try_password(email, "p" * 71 + "q" + "other") == 201  # as bcrypt took it; from now on every byte counts
    assert try_password(email, password) == 401
    assert try_password(email, "p" * 71 + "q" + "other") == 201


def test_argon2_hashes_of_several_lanes_are_taken():
    email = house.new_email()
    [user] = expect_created({"email": email, "password_hash": ARGON2})
    assert try_password(email, "correct hors") == 401
    assert try_password(email, "correct horse") == 201
    assert ",p=1$" in stored(user)


def test_an_account_without_a_password_is_entered_by_none():
    email = house.new_email()
    expect_created({"email": email})
    assert try_password(email, "") in (400, 401) and try_password(email, "null") == 401


def test_a_user_name_is_enough_and_a_reserved_one_stays_its_owner_s():
    name = "n" + str(os.getpid())
    expect_created({"username": name, "password_hash": bcrypt("correct horse")})
    answer = house.post_json("/login", {"username": name.upper(), "password": "correct horse"})
    assert answer.status == 200, answer


def everything(user_id):
    return house.sql(f"SELECT u.*, e.*, array(SELECT role_id FROM auth.users_roles WHERE user_id = u.id)"
                     f" FROM auth.users AS u LEFT JOIN auth.external_ids AS e ON e.user_id = u.id WHERE u.id = {user_id}")


def test_running_twice_changes_nothing():
    rows = [{"external_id": house.new_email(), "email": house.new_email(), "password_hash": bcrypt("one"), "roles": ["guest"]}, {"email": house.new_email()}]
    ids = expect_created(*rows)
    before = [everything(user) for user in ids]
    again = [dict(rows[0], email=house.new_email(), password_hash=bcrypt("two"), roles=["admin"]), dict(rows[1], email=rows[1]["email"].upper(), roles=["admin"])]
    code, results, _ = import_rows(*rows, *again)
    assert code == 0 and [result["result"] for result in results.values()] == ["exists"] * 4
    assert [result["user_id"] for result in results.values()] == ids * 2
    assert [everything(user) for user in ids] == before


def test_of_two_rows_with_one_name_the_first_counts():
    email, id = house.new_email(), house.new_email()
    code, results, _ = import_rows({"email": email, "meta": {"n": 1}}, {"email": email.upper(), "meta": {"n": 2}},
                                   {"email": house.new_email(), "external_id": id}, {"email": house.new_email(), "external_id": id},
                                   {"email": house.new_email(), "username": "twin" + str(os.getpid())}, {"email": house.new_email(), "username": "Twin" + str(os.getpid())})
    assert code == 1
    assert [result["result"] for result in results.values()] == ["created", "exists", "created", "exists", "created", "refused"], results
    assert results[6]["reason"] == "username has already been taken"
    assert results[1]["user_id"] == results[2]["user_id"] and results[3]["user_id"] == results[4]["user_id"]


def test_a04_nobody_becomes_root_by_an_import():
    email = house.new_email()
    expect_reason("nobody is imported as root (--allow-root)", {"email": email, "roles": ["root"]})
    expect_reason("nobody is imported as root (--allow-root)", {"email": email, "roles": ["guest", "Root"]})
    expect_reason("there is no role 'boss'", {"email": email, "roles": ["boss"]})
    for field in ("epoch", "roles_version", "blocked_at", "id", "code", "is_admin"):
        expect_reason(f"unknown field '{field}'", {"email": email, field: 1})
    assert house.sql(f"SELECT count(*) FROM auth.users WHERE email = '{email}'") == "0"
    [user] = expect_created({"email": email, "roles": ["root", "guest"]}, options=["--allow-root"])
    assert house.sql(f"SELECT roles FROM auth.users WHERE id = {user}") == "guest,root"


def test_roles_count_at_once():
    email = house.new_email()
    [user] = expect_created({"email": email, "password_hash": bcrypt("correct horse"), "roles": "Guest,admin"})
    assert house.sql(f"SELECT roles FROM auth.users WHERE id = {user}") == "admin,guest"
    assert "roles guest,admin" in house.sql(f"SELECT detail FROM auth.audit WHERE user_id = {user} AND event = 'import_user'")


def test_a_dry_run_makes_nothing():
    known, unknown = house.new_email(), house.new_email()
    expect_created({"email": known})
    code, results, said = import_rows({"email": known}, {"email": unknown}, {"email": "x"}, options=["--dry-run"])
    assert code == 1 and [result["result"] for result in results.values()] == ["exists", "created", "refused"]
    assert "1 would be created, 1 exist already, 1 refused" in said
    assert house.sql(f"SELECT count(*) FROM auth.users WHERE email = '{unknown}'") == "0"


def test_it_goes_on_where_it_stopped():
    rows = [{"email": house.new_email()} for _ in range(5)]
    code, results, _ = import_rows(*rows, options=["--from-line", "4"])
    assert code == 0 and list(results) == [4, 5]
    table = "email\n" + "\n".join(row["email"] for row in rows)
    code, results, _ = run(table, "--csv", "--from-line", "4")  # the first line counts, and names the columns
    assert code == 0 and [(line, result["result"]) for line, result in results.items()] == [(4, "created"), (5, "exists"), (6, "exists")]


def test_only_what_is_refused_is_told_if_asked():
    code, results, said = import_rows({"email": house.new_email()}, {"email": "x"}, options=["--refused"])
    assert code == 1 and list(results) == [2] and "1 created" in said


def test_a_csv_file_with_all_that_may_be_in_one():
    emails = [house.new_email() for _ in range(3)]
    text = ("\ufeffemail,password_hash,confirmed,meta,roles\r\n"
            f"{emails[0]},{bcrypt('correct horse')},t,\"{{\"\"name\"\":\"\"O'Hara, \\n \\\\ x\"\",\"\"nul\"\":\"\"\\\\N\"\"}}\",\"guest,admin\"\r\n"
            f"{emails[1]},,f,\"{{\n \"\"a\"\": 1\n}}\",\r\n"
            f"\"{emails[2]}\",\"{bcrypt('correct horse')}\",,,\r\n")
    code, results, said = run(text, "--csv")
    assert code == 0 and list(results) == [2, 3, 6], (results, said)
    assert try_password(emails[0], "correct horse") == 201 and try_password(emails[2], "correct horse") == 201
    meta = house.sql(f"SELECT meta FROM auth.users WHERE email = '{emails[0]}'")
    assert json.loads(meta) == {"name": "O'Hara, \n \\ x", "nul": "\\N"}


def test_what_is_broken_is_named_and_the_rest_goes_on():
    good = [json.dumps({"email": house.new_email()}).encode() for _ in range(4)]
    lines = [good[0], b"{\"email\":", b"not json", good[1], b"{\"email\":\"a\x00b@example.com\"}", b"{\"email\":\"\xff@example.com\"}",
             b"{\"email\":\"" + b"x" * (1 << 20) + b"\"}", b"", good[2] + b"\r", json.dumps({"email": house.new_email(), "password_hash": "plain text"}).encode(), good[3]]
    code, results, said = run(b"\n".join(lines))
    assert code == 1
    assert {line: result.get("reason", result["result"]) for line, result in results.items()} == {
        1: "created", 2: "is not one JSON object", 3: "is not one JSON object", 4: "created", 5: "has a NUL byte", 6: "is not UTF-8",
        7: "is longer than 64 KiB", 9: "created", 10: "password_hash is neither a bcrypt nor an argon2 hash", 11: "created"}
    assert "plain text" not in json.dumps(results) + said


@pytest.mark.parametrize("row, reason", [
    ({"password_hash": "$2b$17$" + "C" * 53}, "password_hash is a bcrypt hash that is malformed or has a cost over 16"),
    ({"password_hash": "$argon2id$v=19$m=2097152,t=1,p=1$c29tZXNhbHQ$" + "C" * 43}, "password_hash is an argon2 hash that is malformed or costs more than may be (1 GiB, t 10, p 16)"),
    ({"password_hash": "$argon2id$v=19$m=131072,t=1,p=1$c29tZXNhbHQ$" + "C" * 43}, "password_hash asks for more memory than BUSI_PASSWORD_STORED_MEMORY allows"),
    ({"password_hash": "5f4dcc3b5aa765d61d8327deb882cf99"}, "password_hash is neither a bcrypt nor an argon2 hash"),
    ({"username": "ab"}, "username should be at least 3 character(s)"),
    ({"meta": {"x": "y" * 5000}}, "meta should be at most 4096 character(s)"),
    ({"confirmed_at": "soon"}, "confirmed_at is no time")])
def test_pw4_what_cannot_be_taken(row, reason):
    expect_reason(reason, {"email": house.new_email(), **row})


def test_columns_nobody_knows_are_named_before_anything_is_done():
    code, results, said = run(f"email,password\n{house.new_email()},x\n", "--csv")
    assert code == 1 and not results and "unknown column 'password'" in said
    assert run("", "--csv")[0] == 1 and run("")[0] == 0
    assert run("", "--unknown")[0] == 2


def test_what_an_import_did_is_in_the_audit_log():
    [user] = expect_created({"email": house.new_email(), "password_hash": bcrypt("correct horse")})
    row = house.sql(f"SELECT event, outcome, actor LIKE 'operator %', detail IS NULL FROM auth.audit WHERE user_id = {user}")
    assert row == "import_user|ok|t|t"
    assert house.sql("SELECT detail FROM auth.audit WHERE event = 'command' ORDER BY id DESC LIMIT 1") == "import-users: 1 created, 0 exist, 0 refused"
