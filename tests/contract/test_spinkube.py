"""deploy/spinkube against the schema of SpinKube's operator, and the component's settings."""

import tomllib
from pathlib import Path

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy" / "spinkube"
# Of spin-operator 0.6.1 (Apache-2.0), as it is.
CRD = Path(__file__).parent / "spinkube" / "core.spinkube.dev_spinapps.yaml"


def schema() -> dict:
    """The schema of a SpinApp. A cluster drops members that it does not know; here they fail."""
    crd = yaml.safe_load(CRD.read_text())
    (version,) = crd["spec"]["versions"]
    return closed(version["schema"]["openAPIV3Schema"], is_root=True)


def closed(node, is_root=False):
    if isinstance(node, list):
        return [closed(one) for one in node]
    if not isinstance(node, dict):
        return node
    node = {name: closed(value) for name, value in node.items()}
    if isinstance(node.get("properties"), dict) and "type" in node and not is_root:
        node.setdefault("additionalProperties", False)
    if node.get("x-kubernetes-int-or-string"):
        node.pop("type", None)
    return node


@pytest.fixture
def app() -> dict:
    return yaml.safe_load((DEPLOY / "spinapp.yaml").read_text())


def test_the_app_is_as_the_operator_wants_it(app):
    jsonschema.validate({**app, "metadata": {}}, schema())


def test_a_wrong_app_would_be_noticed(app):
    for broken in (
        {**app["spec"], "runtimeConfig": {"keyValueStore": []}},
        {**app["spec"], "replicas": "two"},
        {name: value for name, value in app["spec"].items() if name != "image"},
    ):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**app, "metadata": {}, "spec": broken}, schema())


def test_every_variable_is_the_applications(app):
    manifest = tomllib.loads((ROOT / "spin.toml").read_text())
    for variable in app["spec"]["variables"]:
        declared = manifest["variables"][variable["name"]]
        assert ("valueFrom" in variable) >= declared.get("secret", False), variable["name"]


def test_every_secret_is_generated(app):
    kustomization = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text())
    (generator,) = kustomization["secretGenerator"]
    keys = {*generator["files"], *(literal.split("=")[0] for literal in generator["literals"])}
    options = [store["options"] for store in app["spec"]["runtimeConfig"]["keyValueStores"]]
    sources = [*app["spec"]["variables"], *(option for group in options for option in group)]
    used = [source["valueFrom"]["secretKeyRef"] for source in sources if "valueFrom" in source]
    assert {reference["name"] for reference in used} == {generator["name"]}
    assert {reference["key"] for reference in used} == keys
    for resource in kustomization["resources"]:
        assert list(yaml.safe_load_all((DEPLOY / resource).read_text()))
