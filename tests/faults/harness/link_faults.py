"""What befalls the relay, and the links between all."""
import threading, time
import stack
from scene import ELSEWHERE, HOME, READY_S


# ---- the relay ----
def relay_says(**modes):
    def fault(scene, name, random):
        scene.sink.set(**modes)
        yield
        scene.sink.set()
    return fault


def relay_gone(scene, name, random):
    scene.sink.refuse()
    yield
    scene.sink.start(scene.sink.port)


# ---- links ----
def both_ways(**faults):
    """Of every connection of a link, and of all its links where there are several (gateway-auth-1, -2)."""
    def fault(scene, name, random):
        links = links_of(scene, name)
        for link in links:
            link.set("both", **faults)
        yield
        for link in links:
            link.clear()
    return fault


def stops_large(size):
    """As where large packets are lost without a word: shaking hands is small."""
    def fault(scene, name, random):
        links = links_of(scene, name)
        hits = lambda: sum(link.stats()["hits"] for link in links)
        before = hits()
        for link in links:
            link.set("both", big=size)
        stack.wait_until(lambda: hits() > before, READY_S, f"something on {name} is as large as {size} bytes")
        yield
        for link in links:
            link.clear()
    return fault


def links_of(scene, name):
    """Those at home."""
    return [link for other, link in scene.links.links.items() if other == name or other.rsplit("-", 1)[0] == name]


def at_some_byte(what):
    """Again and again, each time after some bytes more, in some direction."""
    def fault(scene, name, random):
        links = links_of(scene, name)
        until = time.monotonic() + random.uniform(1, 3)
        while time.monotonic() < until:
            for link in links:
                link.set(random.choice(["up", "down"]), **{what: random.randrange(1, 3000)})
            time.sleep(random.uniform(0.05, 0.3))
        yield
        for link in links:
            link.clear()
    return fault


def flapping(scene, name, random):
    """Gone for some moments, there for some, and gone."""
    links = links_of(scene, name)
    for _ in range(4):
        for link in links:
            link.refuse()
            link.reset()
        time.sleep(random.uniform(0.1, 0.5))
        for link in links:
            link.refuse(False)
        time.sleep(random.uniform(0.1, 0.5))
    for link in links:
        link.refuse()
        link.reset()
    yield
    for link in links:
        link.refuse(False)


def all_flapping(scene, name, random):
    """Every link within the house, each half a second there and half a second gone."""
    over = threading.Event()
    links = [link for other, link in scene.links.links.items() if not other.startswith(("client-", "other:"))]

    def flap():
        while not over.is_set():
            for gone in (True, False):
                for link in links:
                    link.refuse(gone)
                    if gone:
                        link.reset()
                over.wait(0.5)
    thread = threading.Thread(target=flap)
    thread.start()
    yield
    over.set()
    thread.join()
    for link in links:
        link.refuse(False)


# ---- names ----
def name_says(*answers):
    """What is said of the name is one of these, and every connection ends, so that somebody asks."""
    def fault(scene, name, random):
        scene.names.say(scene.name_of(name), *random.choice(answers))
        for link in links_of(scene, name):
            link.reset()
        yield
        scene.names.say(scene.name_of(name), HOME)
    return fault


def moves(scene, name, random):
    """It is elsewhere from one moment to the next, and then at home again; where it was nobody answers, or everything is swallowed."""
    home = links_of(scene, name)
    there = [scene.links.links[scene.elsewhere(link.name)] for link in home]
    before = [link.stats()["accepted"] for link in there]
    swallowed = random.random() < 0.5
    go(scene, name, home, there, ELSEWHERE, swallowed)
    yield
    assert all(link.stats()["accepted"] > n for link, n in zip(there, before)), f"nobody has come to where {name} is now"
    go(scene, name, there, home, HOME, swallowed)


def go(scene, name, old, new, address, swallowed):
    for link in new:
        link.clear()
        link.refuse(False)
    scene.names.say(scene.name_of(name), address)
    for link in old:
        link.refuse()
        if swallowed:
            link.set("both", drop=1)
        else:
            link.reset()
