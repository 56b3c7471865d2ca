#!/usr/bin/python3
"""Faults of the objects of an overlay, one line each: the strict schema first, then what no schema knows. By hand:
    tests/kubernetes/checks.py deploy/kubernetes/overlays/prod"""
import json, pathlib, re, subprocess, sys
import jsonschema, yaml
import kustomize
from cluster import PROCESSES, ROOT, Cluster, covers, mebibytes, milliseconds, version
from edges import check_keys, check_policies
from values import check_values, quantity

SCHEMA = json.loads((pathlib.Path(__file__).parent / "schema-1.36.json").read_text())
MARGIN_MS = 5000  # between the longest drain and SIGKILL
LOOK_UP_S = 5  # how often callers look names up
AWAY_S = 60  # a pod of a node that is cut off is given up by then
# Of the Prometheus operator: the fields that are used, and no others.
SERVICE_MONITOR = {
    "type": "object", "additionalProperties": False, "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "monitoring.coreos.com/v1"}, "kind": {"const": "ServiceMonitor"}, "metadata": {"type": "object"},
        "spec": {"type": "object", "additionalProperties": False, "required": ["selector", "endpoints"], "properties": {
            "selector": {"type": "object"},
            "endpoints": {"type": "array", "minItems": 1, "items": {
                "type": "object", "additionalProperties": False, "required": ["port"],
                "properties": {name: {"type": "string"} for name in ("port", "path", "interval", "scrapeTimeout")}}}}}}}


def check_schema(cluster):
    faults = []
    for thing in cluster.things:
        who = f"{thing.get('kind')}/{thing.get('metadata', {}).get('name')}"
        name = SCHEMA["kinds"].get(f"{thing.get('apiVersion')} {thing.get('kind')}")
        if name:
            schema = {"definitions": SCHEMA["definitions"], "$ref": "#/definitions/" + name}
        elif thing.get("kind") == "ServiceMonitor":
            schema = SERVICE_MONITOR
        else:
            faults.append(f"{who}: {thing.get('apiVersion')} {thing.get('kind')} is no known kind")
            continue
        for error in jsonschema.Draft7Validator(schema).iter_errors(thing):
            faults.append(f"{who}: schema: /{'/'.join(map(str, error.absolute_path))} {error.message[:150]}")
    return faults


def check_names(cluster):
    faults, seen = [], set()
    for thing in cluster.things:
        key = kustomize.identity(thing)
        if key in seen:
            faults.append(f"{key} is there twice")
        seen.add(key)
        if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", key[1]):
            faults.append(f"{key}: not a name")
        if thing["kind"] != "Namespace" and thing["metadata"].get("namespace") != "busi":
            faults.append(f"{key}: is not in the namespace busi")
    for space in cluster.all("Namespace"):
        if space["metadata"].get("labels", {}).get("pod-security.kubernetes.io/enforce") != "restricted":
            faults.append(f"Namespace/{space['metadata']['name']}: does not enforce restricted pod security")
    return faults


# ---- what selects what ----
def check_selectors(cluster):
    faults = []
    for workload in cluster.workloads:
        if workload.kind == "Job":
            continue
        if not covers(workload.spec["selector"], workload.labels):
            faults.append(f"{workload}: its selector does not match its own pods")
        if cluster.chosen(workload.spec["selector"]) != [workload]:
            faults.append(f"{workload}: its selector matches pods of others")
        for row in workload.pod.get("topologySpreadConstraints", []):
            if not covers(row.get("labelSelector"), workload.labels):
                faults.append(f"{workload}: topology spread counts other pods")
        if workload.kind == "StatefulSet" and not cluster.find("Service", workload.spec["serviceName"]):
            faults.append(f"{workload}: there is no Service/{workload.spec['serviceName']}")
    for budget in cluster.all("PodDisruptionBudget"):
        who = f"PodDisruptionBudget/{budget['metadata']['name']}"
        if len(cluster.chosen(budget["spec"].get("selector"))) != 1:
            faults.append(f"{who}: does not match the pods of one workload")
        if budget["spec"].get("maxUnavailable") != 1:
            faults.append(f"{who}: maxUnavailable is not 1")
        if budget["spec"].get("unhealthyPodEvictionPolicy") != "AlwaysAllow":
            faults.append(f"{who}: a pod that never got ready would hold up the drain of its node")
    return faults


def check_services(cluster):
    faults = []
    for service in cluster.all("Service"):
        who, spec = f"Service/{service['metadata']['name']}", service["spec"]
        chosen = cluster.chosen({"matchLabels": spec.get("selector") or {"none": "none"}})
        if len(chosen) != 1:
            faults.append(f"{who}: selects the pods of {len(chosen)} workloads")
            continue
        if spec.get("publishNotReadyAddresses"):
            faults.append(f"{who}: publishes pods that are going")
        for row in spec["ports"]:
            port = chosen[0].ports.get(row["targetPort"])
            if port is None:
                faults.append(f"{who}: {chosen[0]} has no port '{row['targetPort']}'")
            elif port != row["port"]: # callers of a headless one meet the pod's own port
                faults.append(f"{who}: port {row['port']} is {port} in the pod")
    for ingress in cluster.all("Ingress"):
        who, hosts = f"Ingress/{ingress['metadata']['name']}", set()
        for row in ingress["spec"].get("tls", []):
            hosts |= set(row["hosts"])
            if {"tls.crt", "tls.key"} - set(cluster.keys("Secret", row["secretName"])):
                faults.append(f"{who}: no Secret/{row['secretName']} with a certificate")
        for rule in ingress["spec"]["rules"]:
            if rule["host"] not in hosts:
                faults.append(f"{who}: {rule['host']} without TLS")
            for path in rule["http"]["paths"]:
                back = path["backend"]["service"]
                service = cluster.find("Service", back["name"])
                if not service or back["port"].get("name") not in [row["name"] for row in service["spec"]["ports"]]:
                    faults.append(f"{who}: no port {back['port']} of Service/{back['name']}")
    return faults


def check_scaling(cluster):
    faults, scaled = [], {}
    for scaler in cluster.all("HorizontalPodAutoscaler"):
        who, spec = f"HorizontalPodAutoscaler/{scaler['metadata']['name']}", scaler["spec"]
        target = spec["scaleTargetRef"]
        scaled[target["name"]] = who
        if not any(str(workload) == f"{target['kind']}/{target['name']}" for workload in cluster.workloads):
            faults.append(f"{who}: there is no {target['kind']}/{target['name']}")
        if spec.get("minReplicas", 1) > spec["maxReplicas"]:
            faults.append(f"{who}: minReplicas above maxReplicas")
    budgets = [workload for budget in cluster.all("PodDisruptionBudget") for workload in cluster.chosen(budget["spec"].get("selector"))]
    for workload in cluster.workloads:
        if workload.kind != "Deployment":
            continue
        if workload.name not in scaled:
            faults.append(f"{workload}: no HorizontalPodAutoscaler")
        elif "replicas" in workload.spec:
            faults.append(f"{workload}: replicas would undo what the HorizontalPodAutoscaler did, at each apply")
        if workload not in budgets:
            faults.append(f"{workload}: no PodDisruptionBudget")
        if workload.spec.get("strategy", {}).get("rollingUpdate", {}).get("maxUnavailable") != 0:
            faults.append(f"{workload}: a roll-out takes pods away before the new ones work")
        if workload.spec.get("minReadySeconds", 0) < 2 * LOOK_UP_S:
            faults.append(f"{workload}: a roll-out takes old pods away before callers have found the new ones")
    return faults


def check_nodes(cluster):
    """What a lost or drained node takes along, and for how long."""
    faults = []
    for workload in cluster.workloads:
        if workload.kind != "Deployment":
            continue
        if "kubernetes.io/hostname" not in [row["topologyKey"] for row in workload.pod.get("topologySpreadConstraints", [])]:
            faults.append(f"{workload}: nothing spreads its pods over the nodes")
        options = {row["name"]: row.get("value") for row in workload.pod.get("dnsConfig", {}).get("options", [])}
        if int(options.get("timeout", 5)) > 1:
            faults.append(f"{workload}: a look-up whose packet went to a lost node's DNS waits {options.get('timeout', 5)} s")
        for taint in ("not-ready", "unreachable"):
            seconds = [row.get("tolerationSeconds", 10**6) for row in workload.pod.get("tolerations", [])
                       if row.get("key") == "node.kubernetes.io/" + taint and row.get("effect") == "NoExecute"]
            if not seconds or max(seconds) > AWAY_S:
                faults.append(f"{workload}: its pods wait for a node that is {taint} longer than {AWAY_S} s")
    return faults


# ---- pods ----
def check_mounts(cluster):
    faults = []
    for workload in cluster.workloads:
        volumes, mounted = workload.volumes(), set()
        for mount in workload.container.get("volumeMounts", []):
            mounted.add(mount["name"])
            if mount["name"] not in volumes:
                faults.append(f"{workload}: mounts '{mount['name']}', which is no volume")
        faults += [f"{workload}: volume '{name}' is not mounted" for name in set(volumes) - mounted]
        for name, (kind, source, items) in volumes.items():
            if kind == "hostPath":
                faults.append(f"{workload}: volume '{name}' is the host's")
            if not source:
                continue
            keys = cluster.keys(kind, source)
            if not keys:
                faults.append(f"{workload}: there is no {kind}/{source}")
            faults += [f"{workload}: {kind}/{source} has no '{key}'" for key in (items or {}).values() if key not in keys]
        for volume in workload.pod.get("volumes", []):
            if "secret" in volume and volume["secret"].get("defaultMode") != 0o400:
                faults.append(f"{workload}: volume '{volume['name']}' is not 0400")
        account = workload.pod.get("serviceAccountName")
        if not account or not cluster.find("ServiceAccount", account):
            faults.append(f"{workload}: there is no ServiceAccount '{account}'")
    return faults


def check_pods(cluster):
    faults = []
    for workload in cluster.workloads:
        pod, who = workload.pod, workload
        if len(pod["containers"]) != 1 or pod.get("initContainers"):
            faults.append(f"{who}: one container is all the checks know")
        container, safety = workload.container, pod.get("securityContext", {})
        for kind in ("requests", "limits"):
            for what in ("cpu", "memory"):
                if what not in container.get("resources", {}).get(kind, {}):
                    faults.append(f"{who}: no {what} {kind}")
        if not safety.get("runAsNonRoot") or not safety.get("runAsUser") or safety.get("seccompProfile") != {"type": "RuntimeDefault"}:
            faults.append(f"{who}: not restricted: user, seccompProfile")
        inner = container.get("securityContext", {})
        if inner.get("allowPrivilegeEscalation") is not False or inner.get("capabilities") != {"drop": ["ALL"]} or inner.get("privileged"):
            faults.append(f"{who}: not restricted: privileges, capabilities")
        if not inner.get("readOnlyRootFilesystem"):
            faults.append(f"{who}: the root file system can be written")
        if pod.get("automountServiceAccountToken") is not False or pod.get("enableServiceLinks") is not False:
            faults.append(f"{who}: gets a token or the variables of all Services")
        if workload.process and container.get("terminationMessagePolicy") != "FallbackToLogsOnError":
            faults.append(f"{who}: what ends it is told by its log alone")
        if {"hostNetwork", "hostPID", "hostIPC"} & set(pod):
            faults.append(f"{who}: shares the host's network or processes")
    return faults


def check_probes(cluster):
    faults = []
    for workload in cluster.workloads:
        if workload.kind == "Job":
            continue
        for name in ("startupProbe", "readinessProbe", "livenessProbe"):
            probe = workload.container.get(name)
            if not probe:
                faults.append(f"{workload}: no {name}")
                continue
            port = (probe.get("httpGet") or probe.get("tcpSocket") or {}).get("port")
            if port not in workload.ports:
                faults.append(f"{workload}: {name} asks port '{port}', which it has not")
            path = {"startupProbe": "/readyz"}.get(name, "/livez") # the README says why
            if workload.process and probe.get("httpGet", {}).get("path") != path:
                faults.append(f"{workload}: {name} does not ask {path}")
    return faults


def check_images(cluster):
    faults, seen = [], set()
    for workload in cluster.workloads:
        image = workload.container["image"]
        name, _, tag = image.rpartition(":")
        if not name or "/" in tag or tag == "latest":
            faults.append(f"{workload}: image {image} has no tag that says which")
        elif tag != version():
            faults.append(f"{workload}: image {image} is not of version {version()}")
        if workload.process:
            seen.add(image)
        if workload.container.get("imagePullPolicy") != "IfNotPresent":
            faults.append(f"{workload}: imagePullPolicy is not IfNotPresent")
        if workload.kind == "Job" and not workload.name.endswith("-" + version().replace(".", "-")):
            faults.append(f"{workload}: its name does not end with version {version()}")
    if len(seen) > 1:
        faults.append(f"the processes are of several images: {sorted(seen)}")
    return faults


# ---- settings ----
def check_settings(cluster):
    faults = []
    for workload in cluster.workloads:
        if not workload.process:
            continue
        for name, value in workload.environment().items():
            row, is_file = cluster.settings.get(name), False
            if not row and name.endswith("_FILE") and cluster.settings.get(name[:-5], ("",))[0] == "SECRET":
                row, is_file = cluster.settings[name[:-5]], True
            if not row:
                faults.append(f"{workload}: {name} is no setting")
            elif PROCESSES[workload.process] not in row[2]:
                faults.append(f"{workload}: {name} is no setting of {workload.process}")
            elif row[0] == "SECRET" and not is_file:
                faults.append(f"{workload}: {name} is a secret in the clear; use {name}_FILE")
            elif (is_file or row[0] == "PATH") and workload.file(value) is None:
                faults.append(f"{workload}: {name}: nothing is mounted as {value}")
        for row in workload.container.get("envFrom", []):
            if not cluster.find("ConfigMap", row["configMapRef"]["name"]):
                faults.append(f"{workload}: there is no ConfigMap/{row['configMapRef']['name']}")
    return faults


def check_mail(cluster):
    faults = []
    for workload in cluster.workloads:
        environment = workload.environment()
        if workload.serves and environment.get("BUSI_SMTP_URL") and "." not in environment.get("BUSI_SMTP_HELO", ""):
            faults.append(f"{workload}: says its pod's name to the relay, which may refuse every mail for that; set BUSI_SMTP_HELO")
    return faults


def check_ports(cluster):
    faults = []
    for workload in cluster.workloads:
        if not workload.serves:
            continue
        want = {"health": workload.setting("BUSI_HEALTH_BIND")}
        if workload.process == "gateway":
            want["http"] = f"{workload.setting('BUSI_HTTP_BIND')}:{workload.setting('BUSI_HTTP_PORT')}"
        else:
            want["rpc"] = workload.setting("BUSI_RPC_BIND").removeprefix("tcp://")
        for name, bind in want.items():
            if bind != f"0.0.0.0:{workload.ports.get(name)}":
                faults.append(f"{workload}: listens on {bind}, its port '{name}' is {workload.ports.get(name)}")
    return faults


def check_hashing(cluster):
    """Each thread that hashes takes a core and the memory of the dearest hash; the rest needs some besides."""
    faults = []
    for workload in cluster.workloads:
        if workload.process != "auth-svc" or not workload.serves:
            continue
        threads, limits = int(workload.setting("BUSI_PASSWORD_THREADS")), workload.container["resources"]["limits"]
        memory = max(mebibytes(workload.setting(name)) for name in ("BUSI_PASSWORD_MEMORY", "BUSI_PASSWORD_STORED_MEMORY"))
        if threads == 0:
            faults.append(f"{workload}: hashes on as many threads as the node has cores; set BUSI_PASSWORD_THREADS")
        limit = (quantity(limits.get("memory", 0)) or 0) // 2**20
        if limit < 128 + threads * memory:
            faults.append(f"{workload}: {limit:.0f} MiB cannot hold {threads} hashes of {memory} MiB and the rest")
        if (quantity(limits.get("cpu", 0)) or 0) < threads + 1:
            faults.append(f"{workload}: {threads} threads that hash would use up {limits.get('cpu')} cores and hold up the loop")
    return faults


def check_large(cluster):
    """A buffer that grows is there twice for a moment; threads and remembered tokens want some besides."""
    faults = []
    for workload in cluster.workloads:
        if workload.process != "gateway" or not workload.serves:
            continue
        large, limit = mebibytes(workload.setting("BUSI_HTTP_LARGE_MEMORY")), quantity(workload.container["resources"]["limits"].get("memory", 0)) or 0
        if limit // 2**20 < 64 + 1.5 * large:
            faults.append(f"{workload}: {limit // 2**20:.0f} MiB cannot hold {large} MiB of bodies and lists and the rest")
    return faults


def check_connections(cluster):
    """As many replicas as the autoscaler may make, and the one a roll-out adds, within bootstrap.sql's limit of each role."""
    faults = []
    most = int(re.search(r"CONNECTION LIMIT (\d+)", (ROOT / "deploy/postgres/bootstrap.sql").read_text())[1])
    for scaler in cluster.all("HorizontalPodAutoscaler"):
        for workload in cluster.workloads:
            if workload.process in (None, "gateway") or f"{workload}" != f"Deployment/{scaler['spec']['scaleTargetRef']['name']}":
                continue
            need = (scaler["spec"]["maxReplicas"] + 1) * int(workload.setting("BUSI_DATABASE_CONNECTIONS"))
            if need > most:
                faults.append(f"{workload}: its replicas may open {need} connections, and its role {most}")
    return faults


def check_addresses(cluster):
    """One address for clients: where pages are, what mails lead to, and who has it."""
    faults, bases = [], {}
    for workload in cluster.workloads:
        if workload.serves and workload.process in ("gateway", "mailer-svc"):
            bases[workload.process] = workload.setting("BUSI_BASE_URL")
    if len(set(bases.values())) > 1:
        faults.append(f"BUSI_BASE_URL of mails is {bases.get('mailer-svc')}, of the gateway {bases.get('gateway')}")
    host = re.match(r"https://([^/:]+)", bases.get("gateway", ""))
    hosts = [rule["host"] for ingress in cluster.all("Ingress") for rule in ingress["spec"]["rules"]]
    if host and hosts and host[1] not in hosts:
        faults.append(f"BUSI_BASE_URL: no Ingress leads {host[1]} to the gateway")
    return faults


def check_drain(cluster):
    faults = []
    for workload in cluster.workloads:
        if not workload.serves:
            continue
        delay, drain = (milliseconds(workload.setting(name)) for name in ("BUSI_DRAIN_DELAY", "BUSI_DRAIN"))
        grace = 1000 * workload.pod.get("terminationGracePeriodSeconds", 30)
        if grace < delay + drain + MARGIN_MS:
            faults.append(f"{workload}: killed after {grace} ms, while a drain takes {delay} + {drain}")
        if delay < 5000:
            faults.append(f"{workload}: refuses work {delay} ms after SIGTERM, before callers have looked names up again")
        longest = milliseconds(cluster.settings["BUSI_HTTP_TIMEOUT"][1]) + 2000
        if workload.process == "gateway":
            longest = milliseconds(workload.setting("BUSI_HTTP_TIMEOUT")) + 2000
        if drain < longest:
            faults.append(f"{workload}: BUSI_DRAIN is shorter than a request may take, {longest} ms")
    return faults


CHECKS = [check_names, check_values, check_selectors, check_services, check_scaling, check_nodes, check_mounts, check_pods, check_probes,
          check_images, check_settings, check_mail, check_ports, check_hashing, check_large, check_connections, check_addresses, check_drain, check_policies, check_keys]


def check(things, required=None):
    """All faults of the objects. With faults of the schema there are no others: the checks rely on it."""
    cluster = Cluster(things, required)
    faults = check_schema(cluster)
    return faults or [fault for one in CHECKS for fault in one(cluster)]


def references(things):
    """{"Secret": {name: keys that are used}, "ConfigMap": ...} of what is not among the objects."""
    cluster, out = Cluster(things), {"Secret": {}, "ConfigMap": {}}
    for workload in cluster.workloads:
        for name, (kind, source, items) in workload.volumes().items():
            if not source or cluster.find(kind, source):
                continue
            mounts = [mount["mountPath"] for mount in workload.container["volumeMounts"] if mount["name"] == name]
            paths = [value[len(mounts[0]) + 1:] for value in workload.environment().values() if value.startswith(mounts[0] + "/")]
            out[kind].setdefault(source, set()).update((items or {path: path for path in paths}).values())
    for ingress in cluster.all("Ingress"):
        for row in ingress["spec"].get("tls", []):
            if not cluster.find("Secret", row["secretName"]):
                out["Secret"][row["secretName"]] = {"tls.crt", "tls.key"}
    return out


def leaked(root=ROOT):
    """Files git knows, or would add, that hold something secret."""
    names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "deploy"], cwd=root, check=True, text=True,
                           capture_output=True).stdout.split()
    faults = []
    for name in names:
        text = (pathlib.Path(root) / name).read_text()
        for pattern in (r"-----BEGIN [A-Z ]*PRIVATE KEY", r"secret-key\s*=\s*\"", r"^kind: Secret$", r"password=[\w+/]{8,}", r"://[^\s@/:$]*:[\w+/]{8,}@"):
            if re.search(pattern, text, re.M):
                faults.append(f"{name}: holds something like {pattern}")
    return faults


if __name__ == "__main__":
    if len(sys.argv) != 2 or not pathlib.Path(sys.argv[1]).is_dir():
        sys.exit("usage: checks.py FOLDER of a kustomization, as deploy/kubernetes/overlays/prod")
    folder = pathlib.Path(sys.argv[1])
    listed = yaml.safe_load((folder / "required.yaml").read_text()) if (folder / "required.yaml").exists() else None
    found = check(kustomize.assemble(folder), listed)
    print("\n".join(found + [f"{len(found)} faults"]))
    sys.exit(bool(found))
