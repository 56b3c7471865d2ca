"""What the API server refuses and the schema lets pass: words of a closed list, quantities, networks, names of ports."""
import ipaddress, re

WORDS = {
    "whenUnsatisfiable": ["DoNotSchedule", "ScheduleAnyway"],
    "nodeTaintsPolicy": ["Honor", "Ignore"],
    "restartPolicy": ["Always", "OnFailure", "Never"],
    "imagePullPolicy": ["Always", "IfNotPresent", "Never"],
    "terminationMessagePolicy": ["File", "FallbackToLogsOnError"],
    "unhealthyPodEvictionPolicy": ["IfHealthyBudget", "AlwaysAllow"],
    "protocol": ["TCP", "UDP", "SCTP"],
    "pathType": ["Exact", "Prefix", "ImplementationSpecific"],
    "policyTypes": ["Ingress", "Egress"],
    "effect": ["NoSchedule", "PreferNoSchedule", "NoExecute"],
    "operator": ["In", "NotIn", "Exists", "DoesNotExist", "Equal"],
}
UNITS = {"": 1, "m": 0.001, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
FREE = {"data", "annotations", "labels", "matchLabels"}  # whose members are anybody's words


def members(node, path=()):
    """(path, value) of each member of the maps below, but for those of free maps."""
    if isinstance(node, list):
        for item in node:
            yield from members(item, path)
    elif isinstance(node, dict):
        for name, value in node.items():
            yield path + (name,), value
            if name not in FREE:
                yield from members(value, path + (name,))


def quantity(text):
    """Its number; None: it is none."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(m|k|M|G|Ki|Mi|Gi|)", str(text))
    return float(match[1]) * UNITS[match[2]] if match else None


def is_network(text):
    try:
        return bool(ipaddress.ip_network(text))
    except ValueError:
        return False


def check_member(who, path, value):
    name, faults = path[-1], []
    if name in WORDS:
        for word in value if isinstance(value, list) else [value]:
            if word not in WORDS[name]:
                faults.append(f"{who}: {name} '{word}' is none of {WORDS[name]}")
    if path[-3:-1] in (("resources", "requests"), ("resources", "limits")) or name == "sizeLimit":
        if quantity(value) is None:
            faults.append(f"{who}: {name} '{value}' is no quantity")
    if name == "ipBlock":
        for text in [value["cidr"], *value.get("except", [])]:
            if not is_network(text):
                faults.append(f"{who}: '{text}' is no network")
            elif is_network(value["cidr"]) and not ipaddress.ip_network(text).subnet_of(ipaddress.ip_network(value["cidr"])):
                faults.append(f"{who}: {text} is not within {value['cidr']}")
    if name == "ports" and path[-2] in ("containers", "spec"):
        for row in value:
            if not re.fullmatch(r"(?=.{1,15}$)[a-z0-9]+(-[a-z0-9]+)*", row.get("name", "")):
                faults.append(f"{who}: '{row.get('name')}' is no name of a port")
    return faults


def check_values(cluster):
    faults = []
    for thing in cluster.things:
        who = f"{thing['kind']}/{thing['metadata']['name']}"
        for path, value in members(thing):
            faults += check_member(who, path, value)
    for workload in cluster.workloads:
        resources = workload.container.get("resources", {})
        for what, least in resources.get("requests", {}).items():
            most = resources.get("limits", {}).get(what)
            if most is not None and (quantity(least) or 0) > (quantity(most) or 0):
                faults.append(f"{workload}: requests more {what} than its limit")
    return faults
