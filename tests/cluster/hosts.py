"""Several hosts on one machine: network namespaces on a bridge, with addresses of their own, and a DNS server.
Runs within `unshare --mount --net` (tests/run cluster), so that nothing of it is seen outside."""
import os, pathlib, shutil, signal, subprocess, time

NET = "10.77.0"
RESOLVER = f"{NET}.2"


def sh(*argv, **more):
    done = subprocess.run([str(a) for a in argv], text=True, capture_output=True, timeout=60, **more)
    assert done.returncode == 0, (argv, done.stdout, done.stderr)
    return done.stdout.strip()


def wait_until(true, seconds, what):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


class Process:
    def __init__(self, host, name, argv, env, log, user=None):
        argv = ["ip", "netns", "exec", host.name] + (
            ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"] if user else []) + [str(a) for a in argv]
        self.host, self.name, self.log = host, name, log
        with open(log, "ab") as out:
            self.popen = subprocess.Popen(argv, env=env, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True)

    def send(self, sig):
        self.popen.send_signal(sig)

    def lives(self):
        return self.popen.poll() is None

    def wait(self, seconds=30):
        return self.popen.wait(seconds)

    def kill(self):
        if self.lives():
            self.send(signal.SIGCONT)
            self.send(signal.SIGKILL)
            self.wait()


class Host:
    def __init__(self, net, name, number):
        self.net, self.name, self.address = net, name, f"{NET}.{number}"
        sh("ip", "netns", "add", name)
        sh("ip", "link", "add", f"v{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
        sh("ip", "link", "set", f"v{number}", "master", "br0", "up")
        for words in (("addr", "add", f"{self.address}/24", "dev", "eth0"), ("link", "set", "lo", "up"), ("link", "set", "eth0", "up")):
            sh("ip", "-n", name, *words)
        self.number = number

    def cut(self):
        """Nobody reaches it and it reaches nobody; no connection is closed."""
        sh("nft", "add", "table", "bridge", f"cut{self.number}")
        sh("nft", "add", "chain", "bridge", f"cut{self.number}", "c", "{ type filter hook forward priority 0; policy accept; }")
        for direction in ("iifname", "oifname"):
            sh("nft", "add", "rule", "bridge", f"cut{self.number}", "c", direction, f"v{self.number}", "drop")
        # the bridge itself is a host, too: the test's
        for hook, direction in (("input", "iifname"), ("output", "oifname")):
            sh("nft", "add", "chain", "bridge", f"cut{self.number}", hook, f"{{ type filter hook {hook} priority 0; policy accept; }}")
            sh("nft", "add", "rule", "bridge", f"cut{self.number}", hook, direction, f"v{self.number}", "drop")

    def join(self):
        sh("nft", "delete", "table", "bridge", f"cut{self.number}")


class Net:
    """The bridge (the test itself is on it, .1) and the hosts; names are served by dnsmasq."""

    def __init__(self, folder):
        self.folder, self.hosts, self.processes, self.names = pathlib.Path(folder), {}, [], {}
        (self.folder / "logs").mkdir(parents=True, exist_ok=True)
        pathlib.Path("/run/netns").mkdir(exist_ok=True)
        sh("mount", "-t", "tmpfs", "netns", "/run/netns")
        sh("ip", "link", "set", "lo", "up")
        sh("ip", "link", "add", "br0", "type", "bridge")
        sh("ip", "addr", "add", f"{NET}.1/24", "dev", "br0")
        sh("ip", "link", "set", "br0", "up")
        resolv = self.folder / "resolv.conf"
        resolv.write_text(f"nameserver {RESOLVER}\noptions timeout:1 attempts:2\n")
        target = os.path.realpath("/etc/resolv.conf")
        pathlib.Path(target).touch()
        sh("mount", "--bind", resolv, target)
        self.number = 1
        self.dns = self.host("dns")
        self.hosts_file = self.folder / "names"
        self.hosts_file.write_text("")
        self.run(self.dns, "dnsmasq", ["dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--user=root", "--pid-file=",
                                       f"--addn-hosts={self.hosts_file}", f"--listen-address={RESOLVER}", "--bind-interfaces"])

    def host(self, name):
        self.number += 1
        self.hosts[name] = Host(self, name, self.number)
        return self.hosts[name]

    def run(self, host, name, argv, env=None, user=None):
        clean = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}
        process = Process(host, name, argv, clean | (env or {}), self.folder / "logs" / f"{name}.log", user)
        self.processes.append(process)
        return process

    def name(self, name, addresses):
        """What DNS says from now on; it caches nothing."""
        self.names[name] = addresses
        self.hosts_file.write_text("".join(f"{a} {n}\n" for n, all_ in self.names.items() for a in all_))
        for process in self.processes:
            if process.name == "dnsmasq":
                process.send(signal.SIGHUP)

    def close(self):
        for process in reversed(self.processes):
            process.kill()
