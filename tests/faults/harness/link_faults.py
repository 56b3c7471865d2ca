"""What befalls the relay, and the links between all."""
import time


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


def links_of(scene, name):
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
