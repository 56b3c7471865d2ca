"""Restarts and changes of size under a constant load: nobody notices."""
import collections, time
import pytest
from house import Load, good, p99

TOKENS = 32


@pytest.fixture(scope="module")
def tokens(house):
    return [house.sign_up(f"user{i}@example.org") for i in range(TOKENS)]


def check(house, records):
    """Zero failures; every acknowledged write is there, once."""
    bad = [r for r in records if not good(r)]
    assert not bad, (len(bad), collections.Counter(r[2] for r in bad), bad[:5])
    written = [f"load-{r[4]}" for r in records if r[3] == "W"]
    names = house.sql("SELECT name, count(*) FROM directory.businesses WHERE name LIKE 'load-%' GROUP BY name").splitlines()
    there = dict(line.rsplit("|", 1) for line in names)
    assert all(there.get(name) == "1" for name in written), "an acknowledged write is not there once"


def report(what, records):
    print(f"\n{what}: {len(records)} requests, p99 {p99(records):.0f} ms, slowest {max(r[1] for r in records):.0f} ms")


@pytest.mark.parametrize("service", ["directory", "auth", "mailer", "gateway"])
def test_a_rolling_restart_fails_nobody(house, tokens, service):
    load = Load(house, tokens, 20)
    time.sleep(2)
    for name in list(house.replicas(service)):
        if service == "mailer":
            house.start(service)  # the one there is has a successor first
        house.stop(name)
        if service != "mailer":
            house.start(service, name)
        time.sleep(1)
    records = load.finish()
    report(f"rolling restart of {service}", records)
    check(house, records)


@pytest.mark.parametrize("service", ["directory", "auth"])
def test_from_two_to_six_and_back(house, tokens, service):
    load = Load(house, tokens, 45)
    time.sleep(2)
    new = []
    for _ in range(4):
        new.append(house.start(service))
    time.sleep(10)  # what a new one has to find its place
    before = {name: house.calls(name) for name in house.replicas(service)}
    time.sleep(4)
    made = {name: house.calls(name) - before[name] for name in house.replicas(service)}
    fair = sum(made.values()) / len(made)
    for name in new:
        house.stop(name)
    records = load.finish()
    print(f"\nshares: { {name: round(n / fair, 2) for name, n in made.items()} }")
    report(f"{service} from 2 to 6 and back", records)
    assert len(made) == 6 and all(made[name] >= 0.8 * fair for name in new), made
    check(house, records)
