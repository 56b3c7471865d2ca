"""Every overlay has no fault, and a deliberate fault of each kind is found."""
import base64, copy, json, os, re, shutil, subprocess
import pytest, yaml
import kustomize
from checks import check, leaked, references
from cluster import ROOT

FOLDER = ROOT / "deploy/kubernetes"
REQUIRED = yaml.safe_load((FOLDER / "overlays/prod/required.yaml").read_text())
PROVIDER = "google=https://accounts.google.com 1234.apps.googleusercontent.com"


def set_data(things, name, **data):
    [settings] = [thing for thing in things if kustomize.identity(thing) == ("ConfigMap", name)]
    settings["data"].update(data)


@pytest.fixture(scope="session")
def objects(deploy):
    """Overlay -> its objects, those of the migration included; oidc: prod with this component."""
    dev, trial = (kustomize.assemble(deploy / "overlays" / name) for name in ("dev", "trial"))
    prod = kustomize.assemble(deploy / "overlays/prod") + kustomize.assemble(deploy / "overlays/prod/migrate")
    oidc = kustomize.build(deploy / "components/oidc", copy.deepcopy(prod))
    for thing in oidc:
        thing["metadata"].setdefault("namespace", "busi")
    set_data(oidc, "auth", BUSI_OIDC_PROVIDERS=PROVIDER)
    return {"dev": (dev, None), "trial": (trial, None), "prod": (prod, REQUIRED), "oidc": (oidc, REQUIRED)}


@pytest.mark.parametrize("overlay", ["dev", "trial", "prod", "oidc"])
def test_an_overlay_has_no_fault(objects, overlay):
    assert check(*objects[overlay]) == []


def test_an_ingress_controller_may_be_named_by_the_addresses_of_its_nodes(objects):
    things, required = copy.deepcopy(objects["prod"])
    [policy] = [thing for thing in things if kustomize.identity(thing) == ("NetworkPolicy", "gateway")]
    policy["spec"]["ingress"][0]["from"] = [{"ipBlock": {"cidr": "192.0.2.192/28"}}]
    assert check(things, required) == []


def test_what_prod_refers_to_is_what_it_says_it_requires(objects):
    used = references(objects["prod"][0])
    assert used["Secret"] == {name: set(keys) for name, keys in REQUIRED["Secret"].items()}
    assert set(used["ConfigMap"]) == set(REQUIRED["ConfigMap"])  # their keys: edges.check_keys()


def test_dev_makes_what_prod_requires(objects):
    things = {kustomize.identity(thing): thing for thing in objects["dev"][0]}
    for kind, rows in REQUIRED.items():
        for name, keys in rows.items():
            assert set(things[kind, name]["data"]) == set(keys) - {"smtp-password"}


def test_files_are_valid_alone(deploy):
    """`kubectl apply -f` of a single file of base/ works, too: nothing is completed by kustomize but the namespace."""
    from checks import check_schema
    from cluster import Cluster
    for path in [*(deploy / "base").glob("*.yaml"), *(deploy / "migrate").glob("*.yaml"), *(deploy / "components").rglob("*.yaml")]:
        if path.name != "kustomization.yaml":
            assert check_schema(Cluster(kustomize.load(path))) == []


def test_no_secret_is_in_the_repository(tmp_path):
    assert leaked() == []
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / "deploy").mkdir()
    for text in ("kind: Secret\n", "-----BEGIN EC PRIVATE KEY-----\n", 'curve\n    secret-key = "abc"\n',
                 "host=postgres user=busi password=Zm9vYmFyYmF6\n", "redis://:Zm9vYmFyYmF6@redis:6379/0\n"):
        (tmp_path / "deploy/file").write_text(text)
        assert len(leaked(tmp_path)) == 1, text


def test_the_keys_of_dev_are_ignored_by_git():
    path = "deploy/kubernetes/overlays/dev/secrets/auth/jwt-secret"
    assert subprocess.run(["git", "check-ignore", "-q", path], cwd=ROOT).returncode == 0


def test_keys_stay_what_they_are(deploy):
    folder = deploy / "overlays/dev/secrets"
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    subprocess.run([deploy / "keys", "--binaries", os.environ["BUSI_TEST_BIN"]], check=True, timeout=60)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert all(path.stat().st_mode & 0o077 == 0 for path in before if path.suffix != ".pub")


# ---- the dashboard ----
SCRAPED = {"namespace", "job", "pod"}  # what the operator adds to each metric


def exported():
    """Name of a metric -> its labels, of metrics.def and of the histograms that are made by rows."""
    out = {name: SCRAPED for name in re.findall(r'^(?:COUNTER|GAUGE)\(\w+, "(\w+)"', (ROOT / "proto/metrics.def").read_text(), re.M)}
    for path in [*ROOT.glob("common/*/*.c"), *ROOT.glob("gateway/**/*.c"), *ROOT.glob("*-svc/**/*.c")]:
        text = path.read_text()
        for name in re.findall(r'"(busi_\w+_duration)_seconds"', text):
            for label in set(re.findall(r'busi_histogram_new\([^;]*?, "(\w+)",\s+[^;]*?\);', text)):
                out |= {name + "_seconds_bucket": SCRAPED | {label, "le"}, name + "_total": SCRAPED | {label, "code"}}
    return out


def dashboard_faults(dashboard):
    known, faults = exported(), []
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            where, expression = f"{panel['title']}: {target['expr']}", target["expr"]
            asked = re.findall(r"\b((?:busi|process)_\w+)\{([^}]*)\}", expression)
            if not asked or len(asked) != len(re.findall(r"\b(?:busi|process)_\w+", expression)):
                faults.append(f"{where}: no metric, or one of any namespace")
            labels = set(re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", expression)))) | set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            for name, selector in asked:
                if name not in known:
                    faults.append(f"{where}: no metric is called {name}")
                    continue
                faults += [f"{where}: {name} has no label {label}" for label in labels | set(re.findall(r"(\w+)[=!]", selector)) if label not in known[name]]
                if 'namespace="$namespace"' not in selector:
                    faults.append(f"{where}: {name} of any namespace")
            if "min(" in expression and "job=" not in expression:  # each process shows every gauge: not its own, it is 0
                faults.append(f"{where}: the least of all processes is always 0")
    return faults


def test_the_dashboard_asks_for_metrics_that_exist():
    dashboard = json.loads((ROOT / "deploy/grafana/busi.json").read_text())
    assert dashboard_faults(dashboard) == []
    assert len({name for panel in dashboard["panels"] for target in panel.get("targets", []) for name in re.findall(r"busi_\w+", target["expr"])}) > 30
    for wrong in ("sum(busi_http_request_total{namespace=\"$namespace\"})", "busi_mail_queue", "sum(rate(busi_mails_dead_total{job=\"mailer\"}[1m]))",
                  "sum by (method) (busi_http_request_duration_total{namespace=\"$namespace\"})", "min(busi_mail_route_ready{namespace=\"$namespace\"})"):
        assert dashboard_faults({"panels": [{"title": "t", "targets": [{"expr": wrong, "legendFormat": "l"}]}]}), wrong
    panels = [panel["gridPos"] for panel in dashboard["panels"]]
    spots = [(p["x"] + dx, p["y"] + dy) for p in panels for dx in range(p["w"]) for dy in range(p["h"])]
    assert len(spots) == len(set(spots)), "panels lie over each other"


# ---- our kustomize is kustomize ----
def normal(node):
    """Lists whose items have names in the order of these; base64 without line ends."""
    if isinstance(node, dict):
        if node.get("kind") == "Secret":
            node = node | {"data": {key: base64.b64decode(value) for key, value in node["data"].items()}}
        return {key: normal(value) for key, value in node.items()}
    if isinstance(node, list):
        return sorted((normal(item) for item in node), key=lambda item: item.get("name", "") if isinstance(item, dict) else "")
    return node


if shutil.which("kubectl"):
    @pytest.mark.parametrize("folder", sorted(str(path.parent.relative_to(FOLDER)) for path in FOLDER.rglob("kustomization.yaml")
                                              if "components" not in path.parts))
    def test_kubectl_assembles_the_same(deploy, folder):
        text = subprocess.run(["kubectl", "kustomize", deploy / folder], check=True, capture_output=True, timeout=60).stdout
        theirs = {kustomize.identity(thing): normal(thing) for thing in yaml.safe_load_all(text) if thing}
        assert {kustomize.identity(thing): normal(thing) for thing in kustomize.assemble(deploy / folder)} == theirs


@pytest.mark.parametrize("text", ["kind: K\nvars: []", "kind: K\nkind: K", "kind: K\npatches: [{path: p.yaml}]",
                                  "kind: K\nimages: [{name: nowhere, newTag: '1'}]", "kind: K\nconfigMapGenerator: [{name: a, files: [p.yaml]}]"])
def test_what_our_kustomize_does_not_know_is_refused(tmp_path, text):
    (tmp_path / "kustomization.yaml").write_text(text)
    (tmp_path / "p.yaml").write_text("{apiVersion: v1, kind: ConfigMap, metadata: {name: nobody}, data: {}}")
    with pytest.raises(kustomize.Wrong):
        kustomize.assemble(tmp_path)


# ---- deliberate faults: (overlay, kind, name, what is done to the object (None: removed), words of the finding) ----
def at(path, value=None):
    """An action: set what is at a.b.0.c, or remove it when no value is given."""
    def action(thing):
        node, words = thing, [int(word) if word.isdigit() else word for word in path.replace("\\.", "\0").split(".")]
        words = [word.replace("\0", ".") if isinstance(word, str) else word for word in words]
        for word in words[:-1]:
            node = node[word]
        if value is None:
            del node[words[-1]]
        else:
            node[words[-1]] = value
    return action


POD = "spec.template.spec."
BOX = POD + "containers.0."
RULE = "spec.egress.0."
FAULTS = [
    ("dev", "Deployment", "auth", at(BOX + "imagePullPolice", "Always"), "Additional properties"),
    ("dev", "Deployment", "auth", at("spec.minReadySeconds", "10"), "is not of type 'integer'"),
    ("dev", "Deployment", "auth", at("apiVersion", "apps/v1beta1"), "no known kind"),
    ("prod", "ServiceMonitor", "busi", at("spec.endpoint", []), "Additional properties"),
    ("dev", "Deployment", "auth", at("metadata.name", "Auth"), "not a name"),
    ("dev", "Service", "auth", "twice", "is there twice"),
    ("dev", "Service", "auth", at("metadata.namespace"), "is not in the namespace"),
    ("dev", "Deployment", "auth", at(POD + "topologySpreadConstraints.0.whenUnsatisfiable", "Maybe"), "whenUnsatisfiable 'Maybe' is none of"),
    ("dev", "NetworkPolicy", "auth", at(RULE + "ports.0.protocol", "TPC"), "protocol 'TPC' is none of"),
    ("dev", "Job", "migrate-auth-0-1-0", at(POD + "restartPolicy", "OnFail"), "restartPolicy 'OnFail' is none of"),
    ("dev", "Deployment", "auth", at(BOX + "resources.limits.memory", "384Mb"), "memory '384Mb' is no quantity"),
    ("dev", "Deployment", "auth", at(BOX + "resources.requests.cpu", "4"), "requests more cpu than its limit"),
    ("prod", "NetworkPolicy", "postgres", at(RULE + "to.0.ipBlock.cidr", "192.0.2.1/26"), "'192.0.2.1/26' is no network"),
    ("oidc", "NetworkPolicy", "oidc", at(RULE + "to.0.ipBlock.cidr", "203.0.113.0/24"), "is not within 203.0.113.0/24"),
    ("dev", "Deployment", "auth", at(BOX + "ports.1.name", "health-and-metrics"), "'health-and-metrics' is no name of a port"),
    ("dev", "Namespace", "busi", at("metadata.labels"), "restricted pod security"),
    ("dev", "Deployment", "auth", at("spec.selector.matchLabels", {"app.kubernetes.io/component": "oath"}), "does not match its own pods"),
    ("dev", "Deployment", "auth", at("spec.selector.matchLabels", {"app.kubernetes.io/name": "busi"}), "matches pods of others"),
    ("dev", "Deployment", "auth", at(POD + "topologySpreadConstraints.0.labelSelector.matchLabels", {"a": "b"}), "topology spread"),
    ("dev", "StatefulSet", "redis", at("spec.serviceName", "rediss"), "there is no Service/rediss"),
    ("dev", "PodDisruptionBudget", "auth", at("spec.selector.matchLabels", {"a": "b"}), "does not match the pods"),
    ("dev", "PodDisruptionBudget", "auth", at("spec.maxUnavailable", 0), "maxUnavailable is not 1"),
    ("dev", "PodDisruptionBudget", "auth", at("spec.unhealthyPodEvictionPolicy"), "would hold up the drain"),
    ("dev", "Service", "auth", at("spec.selector", {"a": "b"}), "selects the pods of 0"),
    ("dev", "Service", "auth", at("spec.publishNotReadyAddresses", True), "publishes pods that are going"),
    ("dev", "Service", "auth", at("spec.ports.0.targetPort", "rcp"), "has no port 'rcp'"),
    ("dev", "Service", "auth", at("spec.ports.0.port", 5011), "port 5011 is 5001 in the pod"),
    ("dev", "Service", "auth", at("spec.clusterIP"), "is not headless"),
    ("dev", "Ingress", "gateway", at("spec.tls.0.secretName", "tls"), "no Secret/tls"),
    ("dev", "Ingress", "gateway", at("spec.tls.0.hosts", ["other.example.com"]), "without TLS"),
    ("dev", "Ingress", "gateway", at("spec.rules.0.http.paths.0.backend.service.name", "gate"), "of Service/gate"),
    ("dev", "HorizontalPodAutoscaler", "auth", at("spec.scaleTargetRef.name", "oath"), "there is no Deployment/oath"),
    ("dev", "HorizontalPodAutoscaler", "auth", at("spec.minReplicas", 3), "minReplicas above maxReplicas"),
    ("dev", "HorizontalPodAutoscaler", "auth", None, "no HorizontalPodAutoscaler"),
    ("dev", "PodDisruptionBudget", "auth", None, "no PodDisruptionBudget"),
    ("dev", "Deployment", "auth", at("spec.replicas", 2), "replicas would undo"),
    ("dev", "Deployment", "auth", at("spec.strategy"), "takes pods away before the new ones work"),
    ("dev", "Deployment", "auth", at("spec.minReadySeconds"), "before callers have found the new ones"),
    ("dev", "Deployment", "auth", at(POD + "topologySpreadConstraints.0"), "nothing spreads its pods"),
    ("dev", "Deployment", "auth", at(POD + "dnsConfig.options.0"), "waits 5 s"),
    ("dev", "Deployment", "auth", at(POD + "tolerations.1"), "wait for a node that is unreachable longer"),
    ("dev", "Deployment", "auth", at(POD + "tolerations.0.tolerationSeconds", 300), "wait for a node that is not-ready longer"),
    ("dev", "Deployment", "auth", at(BOX + "volumeMounts.0.name", "secret"), "which is no volume"),
    ("dev", "Deployment", "auth", at(BOX + "volumeMounts.0"), "is not mounted"),
    ("dev", "Deployment", "mailer", at(POD + "volumes.2", {"name": "mail", "hostPath": {"path": "/"}}), "is the host's"),
    ("dev", "Secret", "auth", None, "there is no Secret/auth"),
    ("dev", "ConfigMap", "servers", None, "there is no ConfigMap/servers"),
    ("dev", "ConfigMap", "auth", None, "there is no ConfigMap/auth"),
    ("dev", "Secret", "migrate", at("data.auth"), "Secret/migrate has no 'auth'"),
    ("dev", "Secret", "auth", at("data.jwt-secret"), "nothing is mounted as /etc/busi/secrets/jwt-secret"),
    ("dev", "Deployment", "auth", at(POD + "volumes.0.secret.defaultMode", 0o444), "is not 0400"),
    ("dev", "ServiceAccount", "auth", None, "there is no ServiceAccount 'auth'"),
    ("dev", "Deployment", "auth", at(POD + "initContainers", [{"name": "first", "image": "a:1"}]), "one container is all"),
    ("dev", "Deployment", "auth", at(BOX + "resources.limits.memory"), "no memory limits"),
    ("dev", "Deployment", "auth", at(BOX + "resources.requests.cpu"), "no cpu requests"),
    ("dev", "Deployment", "auth", at(POD + "securityContext.runAsUser", 0), "not restricted: user"),
    ("dev", "Deployment", "auth", at(POD + "securityContext.seccompProfile"), "not restricted: user"),
    ("dev", "Deployment", "auth", at(BOX + "securityContext.capabilities.drop", ["NET_RAW"]), "not restricted: privileges"),
    ("dev", "Deployment", "auth", at(BOX + "securityContext.readOnlyRootFilesystem", False), "can be written"),
    ("dev", "Deployment", "auth", at(POD + "automountServiceAccountToken"), "gets a token"),
    ("dev", "Deployment", "auth", at(BOX + "terminationMessagePolicy"), "is told by its log alone"),
    ("dev", "Deployment", "auth", at(POD + "hostNetwork", True), "shares the host's"),
    ("dev", "Deployment", "auth", at(BOX + "readinessProbe"), "no readinessProbe"),
    ("dev", "Deployment", "auth", at(BOX + "readinessProbe.httpGet.path", "/readyz"), "does not ask /livez"),
    ("dev", "Deployment", "auth", at(BOX + "livenessProbe.httpGet.port", "helth"), "which it has not"),
    ("dev", "Deployment", "auth", at(BOX + "image", "localhost/busi:latest"), "has no tag that says which"),
    ("dev", "Deployment", "auth", at(BOX + "image", "localhost/busi:0.0.9"), "is not of version"),
    ("dev", "Deployment", "auth", at(BOX + "image", "elsewhere/busi:0.1.0"), "several images"),
    ("dev", "Deployment", "auth", at(BOX + "imagePullPolicy"), "imagePullPolicy"),
    ("dev", "Job", "migrate-auth-0-1-0", at("metadata.name", "migrate-auth"), "does not end with version"),
    ("dev", "ConfigMap", "auth", at("data.BUSI_PASWORD_THREADS", "2"), "BUSI_PASWORD_THREADS is no setting"),
    ("dev", "ConfigMap", "auth", at("data.BUSI_HTTP_PORT", "2"), "BUSI_HTTP_PORT is no setting of auth-svc"),
    ("dev", "ConfigMap", "auth", at("data.BUSI_JWT_SECRET", "x"), "a secret in the clear"),
    ("dev", "ConfigMap", "auth", at("data.BUSI_CURVE_KEY_FILE", "/etc/busi/auth.key"), "nothing is mounted as /etc/busi/auth.key"),
    ("dev", "ConfigMap", "auth", at("data.BUSI_RPC_BIND", "tcp://127.0.0.1:5001"), "listens on 127.0.0.1:5001"),
    ("dev", "ConfigMap", "auth", at("data.BUSI_HEALTH_BIND", "0.0.0.0:9091"), "listens on 0.0.0.0:9091"),
    ("dev", "ConfigMap", "gateway", at("data.BUSI_HTTP_BIND"), "listens on 127.0.0.1:4000"),
    ("dev", "ConfigMap", "auth", at("data.BUSI_PASSWORD_THREADS"), "as many threads as the node has cores"),
    ("dev", "ConfigMap", "auth", at("data.BUSI_PASSWORD_THREADS", "16"), "384 MiB cannot hold 16 hashes of 64 MiB"),
    ("dev", "Deployment", "auth", at(BOX + "resources.limits.cpu", "2"), "2 threads that hash would use up 2 cores"),
    ("dev", "ConfigMap", "gateway", at("data.BUSI_HTTP_LARGE_MEMORY", "1G"), "384 MiB cannot hold 1024 MiB of bodies and lists"),
    ("prod", "HorizontalPodAutoscaler", "directory", at("spec.maxReplicas", 20), "may open 84 connections, and its role 80"),
    ("prod", "ConfigMap", "mailer", at("data.BUSI_BASE_URL", "https://mail.example.com"), "BUSI_BASE_URL of mails is https://mail.example.com"),
    ("prod", "Ingress", "gateway", at("spec.rules.0.host", "other.example.com"), "no Ingress leads accounts.example.com"),
    ("dev", "Deployment", "auth", at(POD + "terminationGracePeriodSeconds", 15), "killed after 15000 ms"),
    ("dev", "ConfigMap", "auth", at("data.BUSI_DRAIN_DELAY"), "refuses work 0 ms after"),
    ("dev", "ConfigMap", "gateway", at("data.BUSI_HTTP_TIMEOUT", "20s"), "shorter than a request may take"),
    ("dev", "ConfigMap", "gateway", at("data.BUSI_AUTH_ENDPOINTS", "oath:5001"), "which is no Service here"),
    ("dev", "ConfigMap", "gateway", at("data.BUSI_AUTH_ENDPOINTS", "directory:5002"), "leads to directory-svc"),
    ("dev", "ConfigMap", "gateway", at("data.BUSI_AUTH_ENDPOINTS", "auth:5011"), "has no port 5011"),
    ("dev", "ConfigMap", "gateway", at("data.BUSI_AUTH_ENDPOINTS"), "BUSI_AUTH_ENDPOINTS is not set"),
    ("dev", "ConfigMap", "auth", at("data.BUSI_HOOK_SUBSCRIBERS", "risk=risk:7001"), "hooks are set"),
    ("prod", "ConfigMap", "mailer", at("data.BUSI_SMTP_HELO"), "says its pod's name to the relay"),
    ("prod", "ConfigMap", "mailer", at("data.BUSI_SMTP_URL", "smtp://relay.example.com:2525"), "no rule lets mailer out to port 2525"),
    ("prod", "ConfigMap", "mailer", at("data.BUSI_SMTP_URL", "relay.example.com"), "is not like smtp://host:port"),
    ("dev", "NetworkPolicy", "default-deny", None, "none denies everything"),
    ("dev", "NetworkPolicy", "dns", None, "no rule lets auth ask DNS"),
    ("dev", "NetworkPolicy", "auth", at("spec.ingress"), "no rule lets gateway in to auth:5001"),
    ("dev", "NetworkPolicy", "auth", at("spec.egress"), "no rule lets auth out to mailer:5003"),
    ("dev", "NetworkPolicy", "gateway", at("spec.ingress"), "no rule lets ingress in to gateway:4000"),
    ("dev", "NetworkPolicy", "to-postgres", None, "no rule lets auth out to postgres:5432"),
    ("dev", "NetworkPolicy", "redis", at("spec.ingress.0.from.0.podSelector.matchExpressions.0.values", ["auth", "directory"]),
     "directory may come in to redis:6379"),
    ("dev", "NetworkPolicy", "gateway", at("spec.egress.1.ports", [{"protocol": "TCP", "port": 5002}, {"protocol": "TCP", "port": 9090}]),
     "gateway may go out to directory:9090"),
    ("dev", "NetworkPolicy", "auth", at("spec.podSelector.matchLabels", {"a": "b"}), "matches no pod"),
    ("dev", "NetworkPolicy", "auth", at(RULE + "to"), "lets everybody through"),
    ("dev", "NetworkPolicy", "auth", at(RULE + "to.0", {"podSelector": {}}), "every pod is let in or out"),
    ("dev", "NetworkPolicy", "auth", at(RULE + "to.0", {"namespaceSelector": {}}), "is nobody known"),
    ("dev", "NetworkPolicy", "auth", at(RULE + "ports.0.port", "rpc"), "must be one number"),
    ("dev", "NetworkPolicy", "auth", at("spec.policyTypes", ["Ingress"]), "none of its policyTypes"),
    ("prod", "NetworkPolicy", "postgres", at(RULE + "to.0.ipBlock.cidr", "0.0.0.0/0"), "is everybody"),
    ("prod", "NetworkPolicy", "smtp", None, "no rule lets mailer out to port 587"),
    ("oidc", "NetworkPolicy", "oidc", None, "no rule lets auth out to port 443"),
    ("oidc", "NetworkPolicy", "oidc", at(RULE + "to.0.ipBlock.except"), "is everybody"),
    ("oidc", "ConfigMap", "auth", at("data.BUSI_OIDC_PROVIDERS"), "auth may go out to outside:443, and no setting asks for it"),
    ("prod", "NetworkPolicy", "prometheus", None, "no rule lets prometheus in to auth:9090"),
    ("prod", "ServiceMonitor", "busi", None, "prometheus may come in to auth:9090"),
    ("dev", "ConfigMap", "auth-clients", at("data.auth-svc\\.pub", "x"), "admits ['auth-svc.pub', 'gateway.pub'], is called by ['gateway.pub']"),
    ("dev", "ConfigMap", "mailer-clients", at("data", {"gateway.pub": "x"}), "is called by ['auth-svc.pub']"),
    ("dev", "ConfigMap", "servers", at("data.auth-svc\\.pub"), "no public key of auth-svc"),
]


found = {}  # place in FAULTS -> what was found


def findings(objects, place):
    if place not in found:
        overlay, kind, name, action, _ = FAULTS[place]
        things, required = copy.deepcopy(objects[overlay])
        [thing] = [thing for thing in things if kustomize.identity(thing) == (kind, name)]
        if action == "twice":
            things.append(thing)
        elif action:
            action(thing)
        else:
            things.remove(thing)
        found[place] = check(things, required)
    return found[place]


@pytest.mark.parametrize("place", range(len(FAULTS)), ids=[f"{row[1]}-{row[4]}" for row in FAULTS])
def test_a_deliberate_fault_is_found(objects, place):
    assert any(FAULTS[place][4] in fault for fault in findings(objects, place)), found[place]


def test_each_kind_of_object_has_a_deliberate_fault(objects):
    kinds = {thing["kind"] for things, _ in objects.values() for thing in things}
    assert kinds == {row[1] for row in FAULTS}


def test_each_kind_of_finding_has_a_deliberate_fault(objects):
    """A check that nothing proves may have stopped finding anything."""
    all_found = "\n".join(fault for place in range(len(FAULTS)) for fault in findings(objects, place))
    texts = [text for name in ("checks.py", "edges.py", "values.py") for text in
             re.findall(r'faults(?:\.append\(| \+= \[)f?"([^"]+)"', (ROOT / "tests/kubernetes" / name).read_text())]
    assert len(texts) > 60
    unproved = [text for text in texts if not re.search(".*".join(map(re.escape, re.split(r"\{[^}]*\}", text))), all_found)]
    assert unproved == ["{name}: holds something like {pattern}"]  # test_no_secret_is_in_the_repository
