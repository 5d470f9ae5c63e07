"""A stack file → `Settings`: checked whole, every problem told at once and before anything is called.

    read_files(read_stack_file(path), read_project_file(root / "Pulumi.yaml"), serving)   # with lines
    read_config(config, serving, stack="dev")   # in the program, from what the engine handed over

Reads our keys (`model-factory:*`) and of the providers' own the regions, the project and the endpoints, which tell a stack on local
clouds from one on real accounts. Does not decrypt: `secure:` values stay opaque. The keys, with their meaning and defaults, are the
fields of `model_factory.planning.settings.sections`; `model_factory.planning.settings.schema` writes them down for editors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Final

from pydantic import TypeAdapter

from model_factory.facts.clouds import Cloud
from model_factory.planning.settings.cloud import CloudSettings
from model_factory.planning.settings.clouds import SECTIONS, Sections, check_ranges, range_warnings, version_skew
from model_factory.planning.settings.credentials import find_plain_credentials
from model_factory.planning.settings.fields import LABELS, LabelKey, LabelValue
from model_factory.planning.settings.models import complete, model_warnings, read_models
from model_factory.planning.settings.problems import Problem, SettingsError, instead, nearest, shown
from model_factory.planning.settings.provider_keys import NAMESPACES, keys_of, known, misshapen
from model_factory.planning.settings.providers import Providers
from model_factory.planning.settings.reading import Checked, Finding, check, check_plain, decoded
from model_factory.planning.settings.rules import read_rules
from model_factory.planning.settings.sections import (
    Environment,
    LocalSettings,
    Settings,
)
from model_factory.planning.settings.serving import Serving
from model_factory.planning.settings.stackfile import ProjectFile, StackFile

PROJECT: Final = "model-factory"
OUR_KEYS: Final = tuple(sorted((*SECTIONS, "environment", "labels", "local", "models", "rules")))

_LOCAL: Final = f"{PROJECT}:local"
_ENVIRONMENT: Final[TypeAdapter[Environment]] = TypeAdapter(Environment)
_Labels = Annotated[dict[LabelKey, LabelValue], LABELS]
_LABELS: Final[TypeAdapter[_Labels]] = TypeAdapter(_Labels)


@dataclass(frozen=True, slots=True)
class Reading:
    """A stack file as far as it could be read, and all that is wrong with it."""

    draft: Settings
    """With stand-ins for what is refused, so that all else can still be judged; only `settings` gives it away as valid."""
    problems: tuple[Problem, ...]
    undecided: frozenset[str]
    """Models of which something is refused that decides where they run."""
    credentials: frozenset[str]
    """Keys, as problems have them, that hold a credential in plain text: no other message may show their values."""

    def settings(self) -> Settings:
        """The settings. SettingsError has all problems, if there is one."""
        if self.problems:
            raise SettingsError(self.problems)
        return self.draft


def read_files(file: StackFile, project: ProjectFile, serving: Serving) -> Reading:
    """Checks what a stack's file and its project's say; what models are served by and from, `serving` bounds."""
    name, problems = project.name, project.problems
    if name and name != PROJECT:
        message = f"{name!r} is another project; this program is {PROJECT}"
        problems = (*problems, Problem(project.file, 1, "name", message))
    return read_config(file.config, serving, file, project=name or PROJECT, stack=file.stack, problems=problems)


def read_config(
    config: Mapping[str, object],
    serving: Serving,
    where: StackFile | None = None,
    *,
    project: str = PROJECT,
    stack: str = "",
    problems: tuple[Problem, ...] = (),
) -> Reading:
    """Checks a configuration: `ns:key` → plain values or, as engines hand them over, their JSON text.

    With `where`, problems carry its lines and its text is searched for credentials; without, secrets are decrypted already, and are
    neither looked at nor kept. `problems` are those found before.
    """
    file = where or StackFile(stack=stack)
    config = {key: decoded(value) if key.startswith(f"{PROJECT}:") else value for key, value in config.items()}
    providers = Providers.read(config)
    found: list[Finding] = [*_namespaces(config), *_missing(config), *misshapen(config), *providers.check_shapes()]
    sections = _sections(config, providers, found)
    clouds = tuple(sections)
    found += providers.check_endpoints(clouds)
    found += check_ranges(sections)
    local = _local(config, providers, sections, found)
    rules = read_rules(config, clouds, found)
    models, undecided = read_models(config, sections, serving, rules, found)
    environment, wrong = check_plain(
        _ENVIRONMENT, config.get(_key("environment"), "dev"), (_key("environment"),), "dev"
    )
    labels, refused = check_plain(_LABELS, config.get(_key("labels"), {}), (_key("labels"),), {})
    found += [*wrong, *refused]
    secrets = dict(find_plain_credentials(file, local=providers.any_local))
    found = [each for each in found if each[0] not in secrets] + list(secrets.items())
    warnings = [
        *model_warnings(models, serving),
        *version_skew(sections),
        *range_warnings(sections),
        *_fetched(local),
    ]
    settings = Settings(
        project=project,
        stack=stack,
        environment=environment,
        sections={cloud: section.value for cloud, section in sections.items()},
        models=tuple(complete(name, model, sections, serving) for name, model in sorted(models.items())),
        labels=dict(sorted(labels.items())),
        local=local if providers.all_local(clouds) else None,
        ports=providers.ports,
        rules=rules,
        warnings=tuple(file.problem(path, message) for path, message in warnings),
        where=file,
    )
    return Reading(settings, (*problems, *file.told(found)), undecided, frozenset(map(shown, secrets)))


def _key(name: str) -> str:
    return f"{PROJECT}:{name}"


def _missing(config: Mapping[str, object]) -> Iterator[Finding]:
    for name, remedy in (
        ("environment", "write dev, staging or prod"),
        ("models", "list the models to serve"),
    ):
        if _key(name) not in config:
            yield (_key(name),), f"is missing; {remedy}"
    if not any(_key(cloud) in config for cloud in SECTIONS):
        keys = " or ".join(map(_key, SECTIONS))
        yield (), f"no cloud is set; add {keys}, {{}} takes all defaults"


def _namespaces(config: Mapping[str, object]) -> Iterator[Finding]:
    ours = any(key.startswith(f"{PROJECT}:") for key in config)
    spaces = [PROJECT, *NAMESPACES]
    for full in config:
        namespace, colon, key = full.partition(":")
        if not colon or not namespace or not key:
            space = next((each for each in spaces if _known_to(each, full)), "")
            remedy = f"{space}:{full}" if space else f"{PROJECT}:<key> or aws:<key>"
            yield (full,), f"has no namespace; write {remedy}"
        elif namespace == PROJECT:
            if key not in OUR_KEYS:
                remedy = instead(key, OUR_KEYS).replace("write ", f"write {PROJECT}:")
                yield (full,), f"unknown key; {remedy}"
        elif namespace in NAMESPACES:
            if not known(namespace, key):
                close = nearest(key, keys_of(namespace))
                remedy = f"write {namespace}:{close}" if close else "remove it"
                yield (full,), f"the {namespace} provider has no such key; {remedy}"
        elif close := nearest(namespace, spaces):
            yield (full,), f"unknown namespace; write {close}:{key}"
        elif ours:
            yield (full,), f"belongs to {namespace}, which this project does not use; remove it"
        else:
            yield (
                (full,),
                f"is a setting of project {namespace}; this is {PROJECT}: take its own stack file",
            )


def _known_to(namespace: str, key: str) -> bool:
    return key in OUR_KEYS if namespace == PROJECT else known(namespace, key)


def _sections(config: Mapping[str, object], providers: Providers, found: list[Finding]) -> Sections:
    """The clouds that are set, each with what its provider says of its home."""
    sections: dict[Cloud, Checked[CloudSettings]] = {}
    for cloud, kind in SECTIONS.items():
        if kind.key() in config:
            raw = config[kind.key()]
            read, findings = check(kind, raw if raw is not None else {}, (kind.key(),), {})
            sections[cloud] = section = Checked(read.value.at_home(providers.told), read.wrong)
            found += [*findings, *section.value.rules(section.right, providers.told)]
    return sections


def _inside(folder: PurePosixPath) -> bool:
    return bool(folder.parts) and not folder.is_absolute() and ".." not in folder.parts


def _fetched(local: LocalSettings) -> Iterator[Finding]:
    if local.fetcher is not None:
        told = "buckets are not mounted here, as a cloud's driver would: each Pod copies its weights before its server starts"
        yield (_LOCAL, "fetcher"), told


def _local(
    config: Mapping[str, object], providers: Providers, sections: Sections, found: list[Finding]
) -> LocalSettings:
    if _LOCAL not in config:
        return LocalSettings()
    raw = config[_LOCAL]
    local, findings = check(LocalSettings, raw if raw is not None else {}, (_LOCAL,), {})
    found += findings
    folder = local.value.render_to
    if sections and not providers.any_local:
        message = "is for stacks on local clouds, and no endpoint of this one is on loopback; remove it"
        found.append(((_LOCAL,), message))
    elif local.right("render_to") and not _inside(PurePosixPath(folder)):
        message = f"{folder!r} leads out of the project, or is the project itself; write a folder inside"
        found.append(((_LOCAL, "renderTo"), message))
    if local.right("kubernetes"):
        sites = [f"{cloud}/{region}" for cloud, section in sections.items() for region in section.value.regions]
        found += [((_LOCAL, "kubernetes", *key), text) for key, text in local.value.kubernetes.problems(sites)]
    return local.value
