"""Links between hosts that lose packets, or large ones only, under a constant load: what the kernel's own TCP cannot hide."""
import collections, os, threading, time
import pytest
from hosts import sh
from house import HEALTH, Load, good, p99

RATE, SECONDS, BEFORE = min(300, int(os.environ.get("BUSI_TEST_RATE", "2000"))), 12, 2


@pytest.fixture(scope="module")
def tokens(house):
    return [house.sign_up(f"links{i}@example.org") for i in range(16)]


def both_ways(a, b):
    """What nft matches of packets between two groups of hosts."""
    one, other = ("{ " + ", ".join(host.address for host in hosts) + " }" for hosts in (a, b))
    return [f"ip saddr {one} ip daddr {other}", f"ip saddr {other} ip daddr {one}"]


class Thinned:
    """Between those hosts packets are dropped, as the condition says."""

    def __init__(self, a, b, condition):
        # Kubernetes asks a pod whether it is ready from the pod's own node: no link between hosts can lose that.
        self.rules = [f"tcp {port} {HEALTH} accept" for port in ("sport", "dport")]
        self.rules += [f"{match} {condition} counter drop" for match in both_ways(a, b)]

    def __enter__(self):
        sh("nft", "add", "table", "bridge", "thin")
        sh("nft", "add", "chain", "bridge", "thin", "c", "{ type filter hook forward priority 0; policy accept; }")
        for rule in self.rules:
            sh("nft", "add", "rule", "bridge", "thin", "c", *rule.split())
        return self

    def dropped(self):
        return sum(int(line.split("packets ")[1].split()[0]) for line in sh("nft", "list", "table", "bridge", "thin").splitlines() if "packets " in line)

    def __exit__(self, *unused):
        sh("nft", "delete", "table", "bridge", "thin")


def ends(house, link):
    gateways, auth, directory = ([house.net.hosts[name] for name in house.replicas(service)] for service in ("gateway", "auth", "directory"))
    postgres = [host for host, _ in house.pg]
    return {"gateway-auth": (gateways, auth), "gateway-directory": (gateways, directory), "auth-redis": (auth, house.stores),
            "directory-postgres": (directory, postgres), "client-gateway": ([house.lb], gateways)}[link]


def suffer(house, tokens, link, condition, share, recovery_s=3):
    """share: of what may fail while the link is as bad as that; afterwards nothing may."""
    load = Load(house, tokens, SECONDS, RATE, 32)
    time.sleep(BEFORE)
    begun = time.monotonic() * 1000
    with Thinned(*ends(house, link), condition) as thinned:
        time.sleep(SECONDS - BEFORE - 2 * recovery_s)
        dropped = thinned.dropped()
    healed = time.monotonic() * 1000
    records = load.finish()
    during = [r for r in records if begun <= r[0] < healed]
    after = [r for r in records if r[0] > healed + recovery_s * 1000]
    bad = [r for r in during if not good(r)]
    print(f"\n{link} {condition}: {len(bad)} of {len(during)} failed {dict(collections.Counter(r[2] for r in bad))}, {dropped} packets dropped, "
          f"p99 {p99(during):.0f} ms, longest {max(r[1] for r in during):.0f} ms")
    assert dropped > 0 and len(bad) <= share * len(during)
    assert {r[2] for r in bad} <= {500, 503, 504, 0} and (link == "client-gateway" or max(r[1] for r in during) < 5500)
    assert after and all(map(good, after)), collections.Counter(r[2] for r in after)
    assert all(house.running[name].lives() for service in ("gateway", "auth", "directory") for name in house.replicas(service))


@pytest.mark.parametrize("percent, share", [(1, 0.001), (10, 0.01), (30, 0.1)])
@pytest.mark.parametrize("link", ["gateway-auth", "gateway-directory", "auth-redis", "directory-postgres", "client-gateway"])
def test_packets_are_lost(house, tokens, link, percent, share):
    suffer(house, tokens, link, f"numgen random mod 100 < {percent}", share)


class Lists:
    """Asks for whole lists meanwhile, whose answers are no small packets. Each gets one in time, good or bad."""

    def __init__(self, house, token):
        self.house, self.token, self.stop, self.answers = house, token, threading.Event(), []
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.stop.is_set():
            begun = time.monotonic()
            status, _ = self.house.ask("GET", "/api/businesses", None, {"authorization": "Bearer " + self.token})
            self.answers.append((status, time.monotonic() - begun))
            self.stop.wait(0.1)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.stop.set()
        self.thread.join(30)


@pytest.mark.parametrize("link", ["gateway-directory", "auth-redis", "directory-postgres"])
def test_large_packets_are_lost(house, tokens, link):
    """A black hole for what is larger than the path lets through, of which nobody says so."""
    with Lists(house, tokens[0]) as lists:
        suffer(house, tokens, link, "meta length > 600", 1.0)
    print("lists:", collections.Counter(status for status, _ in lists.answers))
    assert {status for status, _ in lists.answers} <= {200, 500, 503, 504} and max(took for _, took in lists.answers) < 5.5
    assert lists.answers[-1][0] == 200
