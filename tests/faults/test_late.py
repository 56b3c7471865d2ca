"""Nothing is done late: what a frozen process had not begun when its time was over it does not begin when it wakes up. Somebody may have
changed the same thing since."""
import contextlib, http.client, json, resource, signal, time
import pytest
import links, stack
from stack import sql

QUARTER = 4  # of those who ask
CROWD = 3000


class Client:
    """known: has asked before, on the connection that is kept."""

    def __init__(self, token=None, known=False):
        self.headers = {"authorization": "Bearer " + token} if token else {}
        self.connection = http.client.HTTPConnection(stack.HOST, int(stack.PORT), timeout=15)
        if known:
            self.connection.request("GET", "/api/businesses/1", headers=self.headers)
            assert self.status() == 200

    def post(self, path, body, headers=None, method="POST"):
        self.connection.request(method, path, json.dumps(body), self.headers | {"content-type": "application/json"} | (headers or {}))

    def create(self, name):
        self.post("/api/businesses", {"business": {"name": name, "description": "d", "tag": "t"}})

    def status(self):
        """0: the connection was closed without an answer."""
        with contextlib.suppress(OSError, http.client.HTTPException):
            answer = self.connection.getresponse()
            answer.read()
            return answer.status
        return 0


@pytest.fixture
def many_files():
    """Descriptors for a crowd."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, CROWD + 1000), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def frozen(*names):
    for name in names:
        stack.send(name, signal.SIGSTOP)
    try:
        yield
    finally:
        for name in names:
            stack.send(name, signal.SIGCONT)


def names_like(prefix):
    return sql(f"SELECT name FROM directory.businesses WHERE name LIKE '{prefix}%'")


def well_again(once, seconds, token=None):
    def is_well():
        client = Client(token)
        once(client)
        return client.status() == 201
    stack.wait_until(is_well, seconds, "changes are made again")
    time.sleep(1)


def refused(clients):
    """As long as it may take: nobody is told that it was done."""
    statuses = {client.status() for client in clients}
    assert statuses <= {0, 503, 504}, statuses


def test_a_gateway_that_was_frozen(token):
    """Some wait for their answers, some have left. Who comes on a new connection stands in the kernel's queue meanwhile."""
    prefix, seconds = f"late-{time.time_ns()}", 10
    clients = [Client(token, known=i % 2 == 0) for i in range(4 * QUARTER)]
    with frozen("gateway"):
        for i, client in enumerate(clients):
            client.create(f"{prefix}-{i}")
        for client in clients[:2 * QUARTER]:
            client.connection.close()
        time.sleep(seconds)
    refused(clients[2 * QUARTER:])
    well_again(lambda client: client.create(f"well-{prefix}"), 2, token)
    assert not names_like(prefix)


def test_a_gateway_that_was_frozen_before_a_crowd(token, many_files):
    """So many have come that it has found its workers again before it has read what all of them asked for."""
    prefix = f"late-{time.time_ns()}"
    with frozen("gateway"):
        clients = [Client(token) for _ in range(CROWD)]
        for i, client in enumerate(clients):
            client.create(f"{prefix}-{i}")
        time.sleep(3.5)
    refused(clients)
    time.sleep(1)
    assert not names_like(prefix)


def test_a_gateway_that_was_frozen_for_a_moment(token):
    """What still has time is done."""
    name, client = f"soon-{time.time_ns()}", Client(token, known=True)
    with frozen("gateway"):
        client.create(name)
        time.sleep(1.5)
    assert client.status() == 201 and names_like(name) == [name]


def test_workers_that_were_frozen(token):
    prefix = f"late-{time.time_ns()}"
    clients = [Client(token, known=True) for _ in range(2 * QUARTER)]
    with frozen("directory-1", "directory-2"):
        for i, client in enumerate(clients):
            client.create(f"{prefix}-{i}")
        refused(clients)
        time.sleep(2)
    well_again(lambda client: client.create(f"well-{prefix}"), 3, token)
    assert not names_like(prefix)


@pytest.mark.parametrize("fault", ["stall", "delay"])
def test_links_on_which_it_waited(token, fault):
    """The caller has long been told that nobody answers when its call comes out at the other end."""
    prefix = f"late-{time.time_ns()}"
    with links.StackLinks(stack.VAR) as proxy:
        stack.local("up")
        ways = [proxy.links[f"gateway-directory-{n}"] for n in (1, 2)]
        clients = [Client(token, known=True) for _ in range(2 * QUARTER)]
        for way in ways:
            way.set("up", **{"stall": {"stall": 1}, "delay": {"delay": 4500}}[fault])
        for i, client in enumerate(clients):
            client.create(f"{prefix}-{i}")
        refused(clients)
        time.sleep(3)
        proxy.clear()
        well_again(lambda client: client.create(f"well-{prefix}"), 5, token)
    assert not names_like(prefix)


def test_what_was_changed_since_stays():
    """A change gets no answer from a worker that is frozen, another one is made by the other worker; then the first wakes up."""
    users = []
    for i in range(3 * QUARTER):
        email = f"since-{i}-{time.time_ns()}@example.com"
        status, _, body = stack.request("POST", "/api/users", {"email": email, "password": stack.PASSWORD})
        assert status == 201, body
        users.append((email, body["data"]["id"], body["token"]))
        for _ in range(3):  # so that the gateway need not ask whose it is
            assert stack.request("GET", f"/api/users/{users[-1][1]}", token=users[-1][2])[0] == 200

    def change(client, user, password):
        client.post(f"/api/users/{user[1]}", {"password": password}, {"authorization": "Bearer " + user[2]}, "PATCH")

    clients = [Client() for _ in users]
    with frozen("auth-1"):
        for client, user in zip(clients, users):
            change(client, user, "the first change")
        unanswered = [user for client, user in zip(clients, users) if client.status() != 200]
        for user in unanswered:
            def changed():
                client = Client()
                change(client, user, "the second change")
                return client.status() == 200
            stack.wait_until(changed, 5, "the other worker changes it")
        time.sleep(0.3)
    time.sleep(2)
    print(f"{len(unanswered)} of {len(users)} had no answer")
    assert unanswered
    wrong = [user for user in unanswered if stack.request("POST", "/api/users/sign_in", {"email": user[0], "password": "the second change"})[0] != 200]
    assert not wrong, f"{len(wrong)} of {len(unanswered)} were changed back"


def test_accounts_whose_worker_was_frozen():
    domain, clients = f"late-{time.time_ns()}.example", [Client() for _ in range(2 * QUARTER)]

    def sign_up(client, name):
        client.post("/api/users/signup", {"user": {"email": f"{name}@{domain}", "password": stack.PASSWORD}})
    with frozen("auth-1", "auth-2"):
        for i, client in enumerate(clients):
            sign_up(client, i)
        refused(clients)
        time.sleep(2)
    well_again(lambda client: sign_up(client, f"well-{time.time_ns()}"), 3)
    assert not sql(f"SELECT email FROM auth.users WHERE email LIKE '%@{domain}' AND email NOT LIKE 'well-%'")
