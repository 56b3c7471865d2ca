"""The objects of an overlay as the checks look at them: workloads with their pods, what they mount, which settings they get."""
import base64, pathlib, re

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROCESSES = {"gateway": "G", "auth-svc": "A", "directory-svc": "D", "mailer-svc": "M"}
COMPONENT = "app.kubernetes.io/component"


def settings_rows():
    """Environment variable -> (type, default, letters of the processes that read it), of proto/settings.def."""
    rows = {}
    for line in (ROOT / "proto/settings.def").read_text().splitlines():
        match = re.match(r'SETTING\(\w+, "(\w+)", (\w+), "([^"]*)", [\d]+, [\d]+, ([GADM |]+),', line)
        if match:
            name, kind, default, users = match.groups()
            rows[name] = (kind, default, set(users) - set(" |"))
    assert len(rows) > 50, "proto/settings.def is not read any more"
    return rows


def version():
    return re.search(r"^project\(busi VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text(), re.M).group(1)


def milliseconds(text):
    number, unit = re.fullmatch(r"(\d+)(ms|s|m|h|d)", text).groups()
    return int(number) * {"ms": 1, "s": 1000, "m": 60000, "h": 3600000, "d": 86400000}[unit]


def mebibytes(text):
    number, unit = re.fullmatch(r"(\d+)([KMG]?)", text).groups()
    return int(number) * {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}[unit] // 1024**2


def covers(selector, labels):
    """Does a label selector match? None: it is not there, {}: it matches everything."""
    if selector is None:
        return False
    for name, value in selector.get("matchLabels", {}).items():
        if labels.get(name) != value:
            return False
    for row in selector.get("matchExpressions", []):
        assert row["operator"] == "In", "only In is used"
        if labels.get(row["key"]) not in row["values"]:
            return False
    return True


class Workload:
    def __init__(self, thing, cluster):
        self.kind, self.name = thing["kind"], thing["metadata"]["name"]
        self.spec, self.cluster = thing["spec"], cluster
        self.pod = self.spec["template"]["spec"]
        self.labels = self.spec["template"]["metadata"].get("labels", {})
        self.component = self.labels.get(COMPONENT, self.name)
        self.containers = self.pod["containers"]
        self.container = self.containers[0]
        self.command = self.container.get("command", [])
        self.process = self.command[0] if self.command and self.command[0] in PROCESSES else None
        self.serves = self.process is not None and len(self.command) == 1
        self.ports = {port["name"]: port["containerPort"] for port in self.container.get("ports", [])}

    def __str__(self):
        return f"{self.kind}/{self.name}"

    def environment(self):
        """BUSI_ variables of the container, from ConfigMaps and plain ones."""
        out = {}
        for row in self.container.get("envFrom", []):
            out |= (self.cluster.find("ConfigMap", row["configMapRef"]["name"]) or {}).get("data", {})
        return out | {row["name"]: row.get("value", "") for row in self.container.get("env", [])}

    def setting(self, name):
        return self.environment().get(name, self.cluster.settings[name][1])

    def volumes(self):
        """Name -> (kind, name of the ConfigMap or Secret, {file name: key} or None when all keys)."""
        out = {}
        for volume in self.pod.get("volumes", []):
            if "secret" in volume:
                kind, source, row = "Secret", volume["secret"]["secretName"], volume["secret"]
            elif "configMap" in volume:
                kind, source, row = "ConfigMap", volume["configMap"]["name"], volume["configMap"]
            else:
                out[volume["name"]] = (next(iter(set(volume) - {"name"})), None, None)
                continue
            items = {item["path"]: item["key"] for item in row["items"]} if "items" in row else None
            out[volume["name"]] = (kind, source, items)
        for claim in self.spec.get("volumeClaimTemplates", []):  # of an overlay of your own
            out[claim["metadata"]["name"]] = ("claim", None, None)
        return out

    def file(self, path):
        """What is at a path: None nothing known, "" some file or folder of a volume, else the text if we have it."""
        for mount in self.container.get("volumeMounts", []):
            if path != mount["mountPath"] and not path.startswith(mount["mountPath"] + "/"):
                continue
            kind, source, items = self.volumes().get(mount["name"], (None, None, None))
            name = path[len(mount["mountPath"]) + 1:]
            if kind not in ("Secret", "ConfigMap") or not name:
                return ""
            key = name if items is None else items.get(name)
            return self.cluster.text(kind, source, key) if key in self.cluster.keys(kind, source) else None
        return None

    def secret(self, name):
        """The value of a secret setting: given, or in a file; None: neither; "": in a file that is not known here."""
        environment = self.environment()
        if name + "_FILE" in environment:
            return (self.file(environment[name + "_FILE"]) or "").strip()
        return environment.get(name)


class Cluster:
    """things: of kustomize.assemble(). required: {"Secret": {name: [key]}, "ConfigMap": ...} that others bring."""

    def __init__(self, things, required=None):
        self.things, self.required = things, required or {}
        self.settings = settings_rows()
        self.workloads = [Workload(thing, self) for thing in things if thing["kind"] in ("Deployment", "StatefulSet", "Job")]

    def all(self, kind):
        return [thing for thing in self.things if thing["kind"] == kind]

    def find(self, kind, name):
        return next((thing for thing in self.all(kind) if thing["metadata"]["name"] == name), None)

    def keys(self, kind, name):
        """Keys of a ConfigMap or Secret, here or required; empty: there is none."""
        thing = self.find(kind, name)
        return list(thing.get("data", {})) if thing else self.required.get(kind, {}).get(name, [])

    def text(self, kind, name, key):
        thing = self.find(kind, name)
        if not thing:
            return ""
        value = thing["data"][key]
        return base64.b64decode(value).decode() if kind == "Secret" else value

    def chosen(self, selector):
        return [workload for workload in self.workloads if covers(selector, workload.labels)]
