"""A stack file → `Settings`: read once, checked whole, every problem told at once and before anything is called.

    settings = load(read_stack_file(path), read_project_file(root / "Pulumi.yaml"), SERVING)   # with lines
    settings = from_config(config, SERVING, stack="dev")   # in the program, from what the engine handed over

Reads our keys (`model-factory:*`) and of the providers' own the regions, the project and the endpoints, which tell a stack on local
clouds from one on real accounts. Does not decrypt: `secure:` values stay opaque. The keys, with their meaning and defaults, are the
fields of `model_factory.planning.settings.sections`; `model_factory.planning.settings.schema` writes them down for editors. SettingsError has all problems.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar, cast

from pydantic import TypeAdapter

from model_factory.facts.clouds import Cloud
from model_factory.planning.settings import rules
from model_factory.planning.settings.credentials import find_plain_credentials
from model_factory.planning.settings.draft import (
    Draft,
    Providers,
    check_provider_shapes,
    with_aws_home,
    with_gcp_home,
)
from model_factory.planning.settings.fields import MODEL_NAME_MAX, LabelKey, LabelValue
from model_factory.planning.settings.model_rules import model_name
from model_factory.planning.settings.problems import Problem, SettingsError, instead, nearest, show
from model_factory.planning.settings.provider_keys import NAMESPACES, keys_of, known
from model_factory.planning.settings.reading import Checked, Finding, check, check_plain, decoded
from model_factory.planning.settings.sections import (
    AwsSettings,
    Environment,
    GcpSettings,
    LocalSettings,
    ModelConfig,
    ModelSettings,
    Settings,
)
from model_factory.planning.settings.serving import Serving
from model_factory.planning.settings.stackfile import KeyPath, ProjectFile, Secure, StackFile

V = TypeVar("V", AwsSettings, GcpSettings, LocalSettings)

PROJECT: Final = "model-factory"
OUR_KEYS: Final = ("aws", "environment", "gcp", "labels", "local", "models")

_STAND_IN_MODEL: Final = {
    "runtime": "vllm",
    "image": f"stand-in@sha256:{'0' * 64}",
    "weights": {"uri": "bucket://stand-in"},
    "gpuMemoryGib": 1,
    "p95LatencyMs": 1,
    "requestsPerSecond": 1,
    "replicas": {"min": 1, "max": 1},
}
_ENVIRONMENT: Final[TypeAdapter[Environment]] = TypeAdapter(Environment)
_LABELS: Final[TypeAdapter[dict[LabelKey, LabelValue]]] = TypeAdapter(dict[LabelKey, LabelValue])


def load(file: StackFile, project: ProjectFile, serving: Serving) -> Settings:
    """Checks what a stack's file and its project's say; `serving` is what models may name."""
    name, problems = project.name, project.problems
    if name and name != PROJECT:
        problems = (
            *problems,
            Problem(project.file, 1, "name", f"{name!r} is another project; this program is {PROJECT}"),
        )
    return from_config(
        file.config,
        serving,
        project=name or PROJECT,
        stack=file.stack,
        where=file,
        problems=problems,
    )


def from_config(
    config: Mapping[str, object],
    serving: Serving,
    where: StackFile | None = None,
    *,
    project: str = PROJECT,
    stack: str = "",
    problems: tuple[Problem, ...] = (),
) -> Settings:
    """Checks a configuration: `ns:key` → plain values or, as engines hand them over, their JSON text.

    With `where`, problems carry its lines and its text is searched for credentials; without, secrets are decrypted already, and are
    neither looked at nor kept. `problems` are those found before.
    """
    file = where if where is not None else StackFile("", stack, config, {})
    problems = (*file.problems, *problems)
    found: list[Finding] = [*_namespaces(config), *_missing(config), *check_provider_shapes(config)]
    places = Providers.read(config)
    aws = _section(config, "aws", AwsSettings, {}, found)
    gcp = _section(config, "gcp", GcpSettings, {}, found)
    local = _section(config, "local", LocalSettings, {}, found)
    if aws is not None:
        aws = with_aws_home(aws, places)
    if gcp is not None:
        gcp = with_gcp_home(gcp, places)
    models = _models(config, found)
    environment, wrong = check_plain(
        _ENVIRONMENT, config.get(_key("environment"), "dev"), (_key("environment"),), "dev"
    )
    labels, refused = check_plain(_LABELS, config.get(_key("labels"), {}), (_key("labels"),), {})
    found += [*wrong, *refused]
    draft = Draft(places, aws, gcp, local, models, serving)
    found += rules.check_all(draft)
    credentials = find_plain_credentials(file, local=places.any_local) if where is not None else ()
    secret_places = dict(credentials)
    found = [each for each in found if each[0] not in secret_places] + list(secret_places.items())
    if found or problems:
        raise SettingsError([*problems, *(file.problem(path, message) for path, message in found)])
    return Settings(
        project=project,
        stack=stack,
        environment=environment,
        aws=aws.value if aws is not None else None,
        gcp=gcp.value if gcp is not None else None,
        models=tuple(_model(name, model.value, draft.clouds) for name, model in sorted(models.items())),
        labels=dict(sorted(labels.items())),
        local=(local.value if local is not None else LocalSettings())
        if places.all_local(draft.clouds)
        else None,
        warnings=tuple(file.problem(path, message) for path, message in rules.warnings(draft)),
    )


def _key(name: str) -> str:
    return f"{PROJECT}:{name}"


def _missing(config: Mapping[str, object]) -> list[Finding]:
    findings: list[Finding] = []
    for name, remedy in (
        ("environment", "write dev, staging or prod"),
        ("models", "list the models to serve"),
    ):
        if _key(name) not in config:
            findings.append(((_key(name),), f"is missing; {remedy}"))
    if _key("aws") not in config and _key("gcp") not in config:
        findings.append(((), f"no cloud is set; add {_key('aws')} or {_key('gcp')}, {{}} takes all defaults"))
    return findings


def _namespaces(config: Mapping[str, object]) -> list[Finding]:
    findings: list[Finding] = []
    ours = any(key.startswith(f"{PROJECT}:") for key in config)
    spaces = [PROJECT, *NAMESPACES]
    for full in config:
        namespace, colon, key = full.partition(":")
        if not colon or not namespace or not key:
            space = next((each for each in spaces if known_to(each, full)), "")
            findings.append(
                (
                    (full,),
                    f"has no namespace; write {f'{space}:{full}' if space else f'{PROJECT}:<key> or aws:<key>'}",
                )
            )
        elif namespace == PROJECT:
            if key not in OUR_KEYS:
                findings.append(((full,), f"unknown key; {_ours(instead(key, OUR_KEYS))}"))
        elif namespace in NAMESPACES:
            if not known(namespace, key):
                close = nearest(key, keys_of(namespace))
                findings.append(
                    (
                        (full,),
                        f"the {namespace} provider has no such key; {f'write {namespace}:{close}' if close else 'remove it'}",
                    )
                )
        elif close := nearest(namespace, spaces):
            findings.append(((full,), f"unknown namespace; write {close}:{key}"))
        elif ours:
            findings.append(((full,), f"belongs to {namespace}, which this project does not use; remove it"))
        else:
            findings.append(
                ((full,), f"is a setting of project {namespace}; this is {PROJECT}: take its own stack file")
            )
    return findings


def known_to(namespace: str, key: str) -> bool:
    """Is `key` one of `namespace`'s?"""
    return key in OUR_KEYS if namespace == PROJECT else known(namespace, key)


def _ours(remedy: str) -> str:
    return remedy.replace("write ", f"write {PROJECT}:")


def _section(
    config: Mapping[str, object],
    name: str,
    kind: type[V],
    stand_ins: Mapping[str, object],
    found: list[Finding],
) -> Checked[V] | None:
    raw = config.get(_key(name))
    if _key(name) not in config:
        return None
    checked, findings = check(kind, raw if raw is not None else {}, (_key(name),), stand_ins)
    found += findings
    return checked


def _models(config: Mapping[str, object], found: list[Finding]) -> dict[str, Checked[ModelConfig]]:
    place: KeyPath = (_key("models"),)
    raw = decoded(config.get(_key("models"), {}))
    if isinstance(raw, Secure):
        found.append(
            (place, "is encrypted, but planning must read it; write it in plain text (it is not a secret)")
        )
        return {}
    if not isinstance(raw, Mapping):
        found.append(
            (place, f"{show(raw)} is not a mapping; write each model's name as a key, its settings below")
        )
        return {}
    if not raw and _key("models") in config:
        found.append((place, "is empty; add at least one model"))
    models: dict[str, Checked[ModelConfig]] = {}
    for name, settings in cast("Mapping[object, object]", raw).items():
        found += [((*place, str(name)), message) for message in model_name(str(name), MODEL_NAME_MAX)]
        models[str(name)], findings = check(
            ModelConfig, settings if settings is not None else {}, (*place, str(name)), _STAND_IN_MODEL
        )
        found += findings
    return models


def _model(name: str, config: ModelConfig, clouds: tuple[Cloud, ...]) -> ModelSettings:
    fields = {**dict(config), "name": name, "clouds": config.clouds or clouds}
    return ModelSettings.model_construct(None, **fields)


__all__ = ["OUR_KEYS", "PROJECT", "Settings", "SettingsError", "from_config", "load"]
