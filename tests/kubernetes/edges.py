"""Who talks to whom: as the settings say, and as the NetworkPolicies let it. An edge is (component, component, port); what is outside
the namespace is "outside", "dns", "ingress" or "prometheus"."""
import re
from cluster import PROCESSES, COMPONENT, covers

ENDPOINTS = {"BUSI_AUTH_ENDPOINTS": "auth", "BUSI_DIRECTORY_ENDPOINTS": "directory", "BUSI_MAILER_ENDPOINTS": "mailer"}
DATABASES = ["BUSI_AUTH_DATABASE", "BUSI_DIRECTORY_DATABASE", "BUSI_MAILER_DATABASE", "BUSI_MIGRATE_DATABASE"]
# ports of what stands outside, when the manifests hold no address; any of them may be let through, the first must
OUTSIDE = {"database": [5432], "redis": [6379, 26379]}
NODE_DNS = {"cidr": "169.254.20.10/32"}  # where NodeLocal DNSCache answers
# "anywhere" is anywhere but these
PRIVATE = {"10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16"}


def inside(cluster, host, port, faults, who):
    """The component behind a Service of this namespace, or None for a host elsewhere."""
    service = cluster.find("Service", host)
    if not service:
        return None
    if port not in [row["port"] for row in service["spec"]["ports"]]:
        faults.append(f"{who}: Service/{host} has no port {port}")
    pods = cluster.chosen({"matchLabels": service["spec"]["selector"]})
    return pods[0].component if pods else None


def rpc_edges(cluster, faults):
    """(caller, target) workloads of the calls between processes."""
    out = []
    for caller in cluster.workloads:
        for name, target in ENDPOINTS.items():
            text = caller.environment().get(name)
            if not caller.serves or PROCESSES[caller.process] not in cluster.settings[name][2]:
                continue
            if not text:
                faults.append(f"{caller}: {name} is not set")
                continue
            for endpoint in text.split(","):
                host, _, port = endpoint.strip().rpartition(":")
                service = cluster.find("Service", host)
                if not service:
                    faults.append(f"{caller}: {name} names {host}, which is no Service here")
                    continue
                if service["spec"].get("clusterIP") != "None":
                    faults.append(f"Service/{host}: is not headless, calls would not be spread")
                inside(cluster, host, int(port), faults, caller)
                for other in cluster.chosen({"matchLabels": service["spec"]["selector"]}):
                    if other.process != target + "-svc":
                        faults.append(f"{caller}: {name} leads to {other.process}")
                    out.append((caller, other, int(port)))
    return out


def wanted(cluster, faults):
    """Edges of the settings; those to several ports outside as (component, "outside", (ports))."""
    edges = {(a.component, b.component, port) for a, b, port in rpc_edges(cluster, faults)}

    def store(workload, address, kind):
        if address and address[1] and (target := inside(cluster, *address, faults, workload)):
            edges.add((workload.component, target, address[1]))
        else:
            edges.add((workload.component, "outside", tuple(OUTSIDE[kind])))

    for workload in cluster.workloads:
        for name in DATABASES:
            value = workload.secret(name)
            if value is None:
                continue
            words = dict(re.findall(r"(\w+)=(\S+)", value))
            store(workload, (words.get("host"), int(words.get("port", 0))), "database")
        if (value := workload.secret("BUSI_REDIS")) is not None:
            match = re.match(r"redis://(?:[^@]*@)?([^:/]+):(\d+)", value)
            store(workload, match and (match[1], int(match[2])), "redis")
        if url := workload.environment().get("BUSI_SMTP_URL"):
            match = re.fullmatch(r"smtps?://([^:/]+):(\d+)", url)
            if match:
                edges.add((workload.component, "outside", (int(match[2]),)))
            else:
                faults.append(f"{workload}: BUSI_SMTP_URL is not like smtp://host:port")
        for issuer in re.findall(r"=(https?)://[^/:\s;]+(?::(\d+))?", workload.environment().get("BUSI_OIDC_PROVIDERS", "")):
            edges.add((workload.component, "outside", (int(issuer[1] or {"https": 443, "http": 80}[issuer[0]]),)))
        if workload.environment().get("BUSI_HOOK_SUBSCRIBERS"):
            faults.append(f"{workload}: hooks are set: teach tests/kubernetes/edges.py where they lead")
    for ingress in cluster.all("Ingress"):
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                row = path["backend"]["service"]
                service = cluster.find("Service", row["name"])
                for port in service["spec"]["ports"] if service else []:
                    if port["name"] == row["port"].get("name"):
                        for pod in cluster.chosen({"matchLabels": service["spec"]["selector"]}):
                            edges.add(("ingress", pod.component, pod.ports.get(port["targetPort"])))
    for monitor in cluster.all("ServiceMonitor"):
        for service in cluster.all("Service"):
            for row in service["spec"]["ports"]:
                if covers(monitor["spec"]["selector"], service["metadata"].get("labels", {})) and \
                        row["name"] in [end["port"] for end in monitor["spec"]["endpoints"]]:
                    for pod in cluster.chosen({"matchLabels": service["spec"]["selector"]}):
                        edges.add(("prometheus", pod.component, pod.ports.get(row["targetPort"])))
    return edges


def peers(cluster, peer, who, faults):
    """Names of what one "from" or "to" means."""
    space = peer.get("namespaceSelector")
    if peer.get("ipBlock") == NODE_DNS:
        return ["dns"]
    if "ipBlock" in peer:
        if peer["ipBlock"]["cidr"].endswith("/0") and not PRIVATE <= set(peer["ipBlock"].get("except", [])):
            faults.append(f"{who}: {peer['ipBlock']['cidr']} is everybody")
        return ["outside"]
    if space is None:
        if not peer.get("podSelector"):
            faults.append(f"{who}: every pod is let in or out")
        chosen = cluster.chosen(peer.get("podSelector"))
        if not chosen:
            faults.append(f"{who}: {peer} is nobody")
        return sorted({pod.component for pod in chosen})
    name = space.get("matchLabels", {}).get("kubernetes.io/metadata.name")
    if name == "kube-system" and peer.get("podSelector") == {"matchLabels": {"k8s-app": "kube-dns"}}:
        return ["dns"]
    if name == "monitoring" and peer.get("podSelector"):
        return ["prometheus"]
    if name == "ingress-nginx":
        return ["ingress"]
    faults.append(f"{who}: {peer} is nobody known")
    return []


def allowed(cluster, faults):
    """Edges that leaving is allowed for, and those that arriving is allowed for."""
    out, into = set(), set()
    for policy in cluster.all("NetworkPolicy"):
        who, spec = f"NetworkPolicy/{policy['metadata']['name']}", policy["spec"]
        chosen = cluster.chosen(spec["podSelector"])
        if not chosen:
            faults.append(f"{who}: matches no pod")
        for direction, list_name, edges in (("Egress", "to", out), ("Ingress", "from", into)):
            rules = spec.get(direction.lower(), [])
            if rules and direction not in spec.get("policyTypes", []):
                faults.append(f"{who}: has rules for {direction}, which is none of its policyTypes")
            for rule in rules:
                if not rule.get(list_name) or not rule.get("ports"):
                    faults.append(f"{who}: a rule without '{list_name}' or ports lets everybody through")
                    continue
                for other in [name for peer in rule[list_name] for name in peers(cluster, peer, who, faults)]:
                    if list_name == "from" and other == "outside":  # a controller on its nodes' own network
                        other = "ingress"
                    for row in rule["ports"]:
                        if not isinstance(row.get("port"), int) or "endPort" in row:
                            faults.append(f"{who}: a port must be one number")
                        for pod in chosen:
                            edges.add((pod.component, other, row.get("port")) if list_name == "to" else
                                      (other, pod.component, row.get("port")))
    return out, into


def check_policies(cluster):
    faults = []
    want = wanted(cluster, faults)
    out, into = allowed(cluster, faults)
    if not any(policy["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} for policy in cluster.all("NetworkPolicy")):
        faults.append("NetworkPolicy: none denies everything by default")
    explained_out, explained_in = set(), set()
    for source, target, port in sorted(want, key=str):
        if target == "outside":
            explained_out |= {(source, target, one) for one in port}
            if (source, target, port[0]) not in out:
                faults.append(f"no rule lets {source} out to port {port[0]} outside")
            continue
        if source not in ("ingress", "prometheus"):
            explained_out.add((source, target, port))
            if (source, target, port) not in out:
                faults.append(f"no rule lets {source} out to {target}:{port}")
        explained_in.add((source, target, port))
        if (source, target, port) not in into:
            faults.append(f"no rule lets {source} in to {target}:{port}")
    for workload in cluster.workloads:
        explained_out.add((workload.component, "dns", 53))
        if (workload.component, "dns", 53) not in out:
            faults.append(f"no rule lets {workload.component} ask DNS")
    faults += [f"{a} may go out to {b}:{port}, and no setting asks for it" for a, b, port in sorted(out - explained_out, key=str)]
    faults += [f"{a} may come in to {b}:{port}, and no setting asks for it" for a, b, port in sorted(into - explained_in, key=str)]
    return faults


def check_keys(cluster):
    """Who may call is who does: the public keys mounted at both ends of each edge, and no others."""
    faults, callers = [], {}
    for caller, target, _ in rpc_edges(cluster, []):
        callers.setdefault(target, set()).add(caller.process + ".pub")
        folder = caller.environment().get("BUSI_CURVE_SERVER_DIR", "")
        if caller.file(f"{folder}/{target.process}.pub") is None:
            faults.append(f"{caller}: has no public key of {target.process} in BUSI_CURVE_SERVER_DIR")
    for workload in cluster.workloads:
        if not workload.serves or workload.process == "gateway":
            continue
        folder = workload.environment().get("BUSI_CURVE_ALLOW_DIR")
        names = {mount["mountPath"]: workload.volumes().get(mount["name"]) for mount in workload.container["volumeMounts"]}
        kind, source, _ = names.get(folder) or (None, None, None)
        admitted = set(cluster.keys(kind, source)) if source else set()
        if admitted != callers.get(workload, set()):
            faults.append(f"{workload}: admits {sorted(admitted)}, is called by {sorted(callers.get(workload, []))}")
    return faults
