"""What `kubectl kustomize` makes of a folder, as far as deploy/ uses kustomize: Debian 12 has neither. Anything else is refused
rather than overlooked, and where kubectl is at hand the tests compare."""
import base64, copy, pathlib, yaml

KNOWN = {"apiVersion", "kind", "namespace", "resources", "components", "patches", "images", "generatorOptions", "configMapGenerator",
         "secretGenerator"}
# how strategic merge patches find the item of a list they mean; other lists are replaced
MERGE_KEYS = {"containers": "name", "volumes": "name", "volumeMounts": "mountPath"}


class Wrong(Exception):
    pass


class Loader(yaml.SafeLoader):
    pass


def _mapping(loader, node, deep=False):
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            raise Wrong(f"{node.start_mark}: '{key}' is there twice")
    return yaml.SafeLoader.construct_mapping(loader, node, deep)


Loader.add_constructor("tag:yaml.org,2002:map", lambda loader, node: _mapping(loader, node, True))


def load(path):
    return [document for document in yaml.load_all(pathlib.Path(path).read_text(), Loader) if document]


def identity(thing):
    return thing["kind"], thing["metadata"]["name"]


def merged(thing, patch, key=None):
    if isinstance(thing, dict) and isinstance(patch, dict):
        if "$patch" in patch:
            raise Wrong("$patch is not understood here")
        out = dict(thing)
        for name, value in patch.items():
            out[name] = merged(thing[name], value, name) if name in thing else copy.deepcopy(value)
        return out
    if isinstance(thing, list) and isinstance(patch, list) and key in MERGE_KEYS:
        name, out = MERGE_KEYS[key], list(thing)
        for item in patch:
            place = next((i for i, old in enumerate(out) if old[name] == item[name]), None)
            if place is None:
                out.append(copy.deepcopy(item))
            else:
                out[place] = merged(out[place], item)
        return out
    return copy.deepcopy(patch)


def generated(kind, row, options, folder):
    unknown = set(row) - {"name", "files", "type"}
    if unknown or set(options) - {"disableNameSuffixHash", "labels"} or not options.get("disableNameSuffixHash"):
        raise Wrong(f"{folder}: {unknown or options} of a generator is not understood here")
    data = {}
    for file in row["files"]:
        name, _, path = file.rpartition("=")
        content = (folder / path).read_text()
        data[name or pathlib.Path(path).name] = base64.b64encode(content.encode()).decode() if kind == "Secret" else content
    out = {"apiVersion": "v1", "kind": kind, "metadata": {"name": row["name"]}, "data": data}
    if options.get("labels"):
        out["metadata"]["labels"] = dict(options["labels"])
    if kind == "Secret":
        out["type"] = row.get("type", "Opaque")
    return out


def apply_patch(things, patch, where):
    for i, thing in enumerate(things):
        if identity(thing) == identity(patch) and thing["apiVersion"] == patch["apiVersion"]:
            things[i] = merged(thing, patch)
            return
    raise Wrong(f"{where}: nothing to patch is called {identity(patch)}")


def set_images(node, images, used):
    if isinstance(node, list):
        for item in node:
            set_images(item, images, used)
    elif isinstance(node, dict):
        for name, value in node.items():
            if name == "image" and isinstance(value, str):
                base, _, tag = value.rpartition(":")
                if base in images:
                    used.add(base)
                    node[name] = f"{images[base].get('newName', base)}:{images[base].get('newTag', tag)}"
            else:
                set_images(value, images, used)


def assemble(folder):
    """The objects of a kustomization, each a dict."""
    return build(pathlib.Path(folder).resolve(), [])


def build(folder, things):
    [plan] = load(folder / "kustomization.yaml")
    if set(plan) - KNOWN:
        raise Wrong(f"{folder}: {set(plan) - KNOWN} is not understood here")
    for name in plan.get("resources", []):
        path = folder / name
        for thing in build(path.resolve(), []) if path.is_dir() else load(path):
            if any(identity(thing) == identity(other) for other in things):
                raise Wrong(f"{path}: {identity(thing)} is there twice")
            things.append(thing)
    options = plan.get("generatorOptions", {})
    for kind, rows in (("ConfigMap", plan.get("configMapGenerator", [])), ("Secret", plan.get("secretGenerator", []))):
        things += [generated(kind, row, options, folder) for row in rows]
    for name in plan.get("components", []):
        things = build((folder / name).resolve(), things)
    for row in plan.get("patches", []):
        if set(row) != {"path"}:
            raise Wrong(f"{folder}: {row} is not understood here")
        for patch in load(folder / row["path"]):
            apply_patch(things, patch, folder / row["path"])
    if "namespace" in plan:
        for thing in things:
            if thing["kind"] != "Namespace":
                thing["metadata"]["namespace"] = plan["namespace"]
    images, used = {row["name"]: row for row in plan.get("images", [])}, set()
    set_images(things, images, used)
    if set(images) != used:
        raise Wrong(f"{folder}: no image is called {set(images) - used}")
    return things
