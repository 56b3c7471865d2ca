"""Pods of the manifests run by podman: the container of each as Kubernetes would start it, with the settings, mounts, user and limits
of the objects, and its Service's name as a name in the network."""
import json, os, pathlib, resource, subprocess, time, urllib.error, urllib.request

USER = 10001


class Podman:
    def __init__(self, var, network):
        """var: storage, kept for the next run. network: a name of our own."""
        var = pathlib.Path(var)
        var.mkdir(parents=True, exist_ok=True)
        files, processes = (resource.getrlimit(which)[1] for which in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC))
        limit = lambda hard, most: most if hard == resource.RLIM_INFINITY else min(hard, most)  # noqa: E731
        # A container within a container may raise no limit, has cgroups of both versions (which crun refuses) and no systemd.
        (var / "containers.conf").write_text(
            f'[containers]\ndefault_ulimits = ["nofile={limit(files, 20000)}:{limit(files, 20000)}", '
            f'"nproc={limit(processes, 32768)}:{limit(processes, 32768)}"]\n'
            '[engine]\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\nruntime = "runc"\n[network]\nnetwork_backend = "netavark"\n')
        (var / "storage.conf").write_text(f'[storage]\ndriver = "overlay"\ngraphroot = "{var}/graph"\nrunroot = "{var}/run"\n')
        self.env = dict(os.environ, CONTAINERS_CONF=str(var / "containers.conf"), CONTAINERS_STORAGE_CONF=str(var / "storage.conf"))
        self.network, self.names = network, []

    def __call__(self, *words, check=True, timeout=60):
        done = subprocess.run(["podman", *map(str, words)], env=self.env, text=True, capture_output=True, timeout=timeout)
        if check and done.returncode:
            raise RuntimeError(f"podman {' '.join(map(str, words))}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done if not check else done.stdout.strip()

    def close(self):
        for name in self.names:
            self("rm", "--force", "--time", "2", "--ignore", name, check=False)
        self("network", "rm", "--force", self.network, check=False)

    # ---- volumes, as kubelet makes them ----
    def folder(self, where, files, mode):
        """Root's files, readable by the group; names are links into a folder that can be exchanged whole."""
        data = where / "..2026_01_01"
        data.mkdir(parents=True)
        (where / "..data").symlink_to(data.name)
        for name, text in files.items():
            (data / name).write_text(text)
            os.chown(data / name, 0, USER)
            (data / name).chmod(mode)
            (where / name).symlink_to(f"..data/{name}")
        for path in (where, data):
            os.chown(path, 0, USER)
            path.chmod(0o750)

    def volume(self, workload, name, where):
        kind, source, items = workload.volumes()[name]
        if kind in ("Secret", "ConfigMap"):
            keys = items or {key: key for key in workload.cluster.keys(kind, source)}
            self.folder(where, {path: workload.cluster.text(kind, source, key) for path, key in keys.items()},
                        0o440 if kind == "Secret" else 0o644)  # 0400 and what fsGroup adds
        else:
            where.mkdir(parents=True)
            os.chown(where, 0, USER)
            where.chmod(0o2770)

    # ---- containers ----
    def words(self, workload, name, folder):
        container, safety = workload.container, workload.pod["securityContext"]
        out = ["--name", name, "--network", self.network, "--user", f"{safety['runAsUser']}:{safety['runAsGroup']}", "--cap-drop", "all",
               "--security-opt", "no-new-privileges", "--read-only", "--read-only-tmpfs=false",
               "--memory", container["resources"]["limits"]["memory"].replace("Mi", "m"), "--cpus", container["resources"]["limits"]["cpu"]]
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                                "capabilities": {"drop": ["ALL"]}}
        if workload.kind != "Job":
            out += ["--network-alias", workload.component]
        for mount in container.get("volumeMounts", []):
            where = folder / mount["name"]
            if not where.exists():
                self.volume(workload, mount["name"], where)
            out += ["--volume", f"{where}:{mount['mountPath']}" + (":ro" if mount.get("readOnly") else "")]
        for setting, value in workload.environment().items():
            out += ["--env", f"{setting}={value}"]
        [program, *arguments] = container["command"] + container.get("args", [])
        return out + ["--entrypoint", program, container["image"], *arguments]

    def start(self, workload, name, folder):
        self.names.append(name)
        self("run", "--detach", *self.words(workload, name, pathlib.Path(folder) / name))

    def job(self, workload, folder):
        """Like restartPolicy OnFailure: again until it succeeds."""
        until = time.monotonic() + 60
        while True:
            done = self("run", "--rm", *self.words(workload, workload.name, pathlib.Path(folder) / workload.name), check=False)
            if done.returncode == 0:
                return
            if time.monotonic() > until:
                raise RuntimeError(f"{workload}: {done.returncode}\n{done.stdout}{done.stderr}")
            time.sleep(1)

    def inspect(self, name):
        return json.loads(self("inspect", name))[0]

    def address(self, name):
        return self.inspect(name)["NetworkSettings"]["Networks"][self.network]["IPAddress"]

    def get(self, name, path, port=9090):
        """(status, text) of a page of the container; (0, reason) when it does not answer."""
        try:
            with urllib.request.urlopen(f"http://{self.address(name)}:{port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def wait(self, name, path="/readyz", status=200, seconds=60):
        until = time.monotonic() + seconds
        while (got := self.get(name, path))[0] != status:
            if time.monotonic() > until or not self.inspect(name)["State"]["Running"]:
                raise RuntimeError(f"{name}: {path} says {got}\n" + self("logs", "--tail", "20", name, check=False).stderr)
            time.sleep(0.2)
