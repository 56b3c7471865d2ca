"""Links that TLS guards: what is cut off or changed on the way is not there or comes again, and is never taken for what was said."""
import collections, email, email.policy, os, pathlib, random, shutil, subprocess, threading, time
import pytest
import links, stack
from smtp_sink import SmtpSink
from stack import sql
from test_mail import queued, sign_up_many

SEED = int(os.environ.get("BUSI_TEST_SEED", "1"))


@pytest.fixture
def certificate():
    """Postgres speaks TLS, too, as long as this lasts. The path of what to trust."""
    folder = pathlib.Path(os.path.realpath(stack.VAR / "postgres")) / "data"
    trusted = stack.VAR / "postgres.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=postgres", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", folder / "test.key", "-out", folder / "test.crt"], check=True, capture_output=True, timeout=20)
    for name in ("test.key", "test.crt"):
        (folder / name).chmod(0o600)
        if os.getuid() == 0:
            shutil.chown(folder / name, "postgres", "postgres")
    shutil.copyfile(folder / "test.crt", trusted)
    for setting in ("ssl_cert_file = 'test.crt'", "ssl_key_file = 'test.key'", "ssl = on"):
        sql(f"ALTER SYSTEM SET {setting}")
    sql("SELECT pg_reload_conf()")
    yield trusted
    for setting in ("ssl", "ssl_cert_file", "ssl_key_file"):
        sql(f"ALTER SYSTEM RESET {setting}")
    sql("SELECT pg_reload_conf()")


def test_postgres_by_tls(certificate, token):
    """Without it a bit of a name changes and nobody knows; with it no name is ever read or written but as it was meant."""
    with links.Proxy(seed=SEED) as proxy:
        link = proxy.link("directory-postgres", stack.port("postgres"))
        secret = (stack.VAR / "secrets/database-directory").read_text().strip()
        stack.local("up", BUSI_DIRECTORY_DATABASE=f"host=127.0.0.1 port={link.port} dbname=busi user=busi_directory password={secret} "
                                                  f"sslmode=verify-full sslrootcert={certificate}")
        assert set(sql("SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'busi_directory'")) == {"t"}
        asked, done, statuses, number = [], [], collections.Counter(), time.time_ns()
        link.set("both", corrupt=4000)
        end = time.monotonic() + 4
        while time.monotonic() < end or not link.stats()["hits"]:
            asked.append(f"tls-{number}-{len(asked)}")
            status, _, answer = stack.request("POST", "/api/businesses", {"business": {"name": asked[-1], "description": "d", "tag": "t"}}, token)
            statuses[status] += 1
            if status in (200, 201):
                assert answer["data"]["name"] == asked[-1]
                done.append(answer["data"]["id"])
                status, _, answer = stack.request("GET", f"/api/businesses/{done[-1]}", token=token)
                statuses[status] += 1
                assert status != 200 or answer["data"]["name"] == asked[-1]
        flips = link.stats()["hits"]
        link.clear()
        stack.wait_until(lambda: stack.request("GET", "/api/businesses/1", token=token)[0] == 200, 8, "all is well")
        names = sql(f"SELECT name FROM directory.businesses WHERE id >= {min(done, default=1)}")
        print(f"{statuses}, {flips} bits flipped, {len(names)} of {len(asked)} are there, {len(done)} acknowledged")
        assert set(statuses) <= {200, 201, 500, 503, 504} and done, statuses
        assert set(names) <= set(asked) and len(set(names)) == len(names) >= len(done)


# What befalls the link to the relay; each for a moment, one after the other.
TROUBLES = [{"cut": 900}, {"rst": 400}, {"halfclose": 1500}, {"corrupt": 700}, {"stall": 1}, {"drop": 1}, {"delay": 300, "jitter": 200}, {"rate": 2000}]


def trouble(link, dice, over):
    while not over.is_set():
        for faults in dice.sample(TROUBLES, len(TROUBLES)):
            link.set(dice.choice(["up", "down", "both"]), **{name: dice.randrange(30, value) if value > 300 else value for name, value in faults.items()})
            over.wait(0.5)
            link.clear()
            link.reset()
            if over.is_set():
                return


def test_every_mail_comes_through_a_broken_link(tmp_path):
    with SmtpSink(tmp_path / "sink") as sink, links.Proxy(seed=SEED) as proxy:
        link, over = proxy.link("mailer-smtp", sink.port), threading.Event()
        thread = threading.Thread(target=trouble, args=(link, random.Random(SEED), over))
        try:
            stack.local("up", BUSI_SMTP_URL=f"smtp://127.0.0.1:{link.port}", BUSI_SMTP_CA_FILE=str(sink.ca), BUSI_SMTP_TIMEOUT="1s",
                        BUSI_SMTP_CONNECT_TIMEOUT="500ms", BUSI_SMTP_CONNECTIONS="2", BUSI_PASSWORD_MEMORY="8M", BUSI_PASSWORD_PASSES="1")
            thread.start()
            addresses, took = [], []
            for _ in range(8):
                more = sign_up_many("broken", 10)
                addresses, took = addresses + more[0], took + more[1]
                over.wait(0.4)
        finally:
            over.set()
            thread.join(10)
            link.clear()
        assert max(took) < 5.5
        stack.wait_until(lambda: not queued(), 60, f"the queue is empty (seed {SEED})")
        ids = collections.defaultdict(list)
        for raw in sink.mails():
            mail = email.message_from_bytes(raw, policy=email.policy.default)
            ids[mail["To"], mail["Subject"]].append(mail["Message-ID"])
        print(f"{sum(map(len, ids.values()))} mails, {sum(len(found) > 1 for found in ids.values())} more than once, {link.stats()}")
        assert {to for to, _ in ids} == set(addresses)
        assert all(len(set(found)) == 1 for found in ids.values())
    stack.local("up")
