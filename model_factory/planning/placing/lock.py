"""The kept plan: `Pulumi.<stack>.plan.yaml`, beside the stack file, committed and reviewed as it is.

It says which pools each model may use at each site, by rank, and what machines each pool has. What is written there stays while it
fits; what is not there is planned. Costs and replicas are not in it: they follow from the tables and the stack file.

    version: 1
    stack: dev
    models:
      assistant:
        aws/us-east-1: [l40sx1-spot, l40sx1-on-demand]
    pools:
      aws/us-east-1:
        l40sx1-on-demand: {capacity: on-demand, machineType: g6e.xlarge}
        l40sx1-spot: {capacity: spot, machineType: g6e.xlarge}
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Final

from ruamel.yaml import YAML

from model_factory.facts.clouds import CLOUDS
from model_factory.facts.machines import machines
from model_factory.facts.offer import CapacityType
from model_factory.planning.placing.plan import Plan, Site, site_of
from model_factory.planning.settings.cloud import Reservation, Value
from model_factory.planning.settings.fields import MANY, Text, Within
from model_factory.planning.settings.problems import Problem, SettingsError, instead, nearest
from model_factory.planning.settings.reading import Finding, check
from model_factory.planning.settings.stackfile import LOCK_SUFFIX, StackFile
from model_factory.planning.settings.yamlfile import KeyPath, YamlReader

_VERSION: Final = 1
_CONFLICT: Final = "<<<<<<< "
_HEAD: Final = """\
# Where each model of stack {stack} runs: committed and reviewed like any lock file. `factory up` and `factory plan --apply` write it.
# What stands here stays while it fits. `factory plan` shows what today's prices would change.
"""


class LockedPool(Value, frozen=True):
    """The machines of a pool, and how they are bought."""

    capacity: CapacityType
    machine_type: Text
    reservation: Text | None = None


class _Lock(Value, frozen=True):
    version: Annotated[int, Within(1, 1_000_000)]
    """Of this format: 1."""
    stack: Text
    """The stack's name."""
    models: dict[str, Annotated[dict[str, Annotated[tuple[Text, ...], MANY]], MANY]]
    """Model → site → its pools by rank."""
    pools: dict[str, dict[str, LockedPool]]
    """Site → pool → its machines."""


@dataclass(frozen=True, slots=True)
class Lock:
    """A kept plan: what each model uses at each of its sites, and what the pools there are."""

    models: Mapping[str, Mapping[Site, tuple[str, ...]]] = field(
        default_factory=dict[str, Mapping[Site, tuple[str, ...]]]
    )
    pools: Mapping[Site, Mapping[str, LockedPool]] = field(default_factory=dict[Site, Mapping[str, LockedPool]])

    @classmethod
    def of(cls, plan: Plan) -> Lock:
        """The plan as it is kept."""
        models: dict[str, dict[Site, tuple[str, ...]]] = {}
        for each in plan.placements:
            models.setdefault(each.model.name, {})[each.site] = each.pools
        pools: dict[Site, dict[str, LockedPool]] = {}
        for pool in plan.pools:
            pools.setdefault(Site(pool.cloud, pool.region), {})[pool.name] = locked(
                pool.capacity_type, pool.machine_type, pool.reservation
            )
        return cls(models, pools)

    def without(self, *models: str) -> Lock:
        """With these models to be placed anew. Their pools keep their names."""
        return Lock({name: sites for name, sites in self.models.items() if name not in models}, self.pools)

    def machines(self, model: str) -> Mapping[Site, Sequence[LockedPool]]:
        """Where a model runs, and on what, by rank; empty for one that is not in it."""
        return {site: [self.pools[site][name] for name in pools] for site, pools in self.models.get(model, {}).items()}

    def differing(self, other: Lock) -> frozenset[str]:
        """The models that the two have at different sites or on different machines, or that only one has."""
        names = self.models.keys() | other.models.keys()
        return frozenset(name for name in names if self.machines(name) != other.machines(name))

    def text(self, stack: str) -> str:
        """The file's text."""
        out = io.StringIO()
        yaml = YAML()
        yaml.default_flow_style = None
        yaml.width = 120
        yaml.dump(
            {
                "version": _VERSION,
                "stack": stack,
                "models": {
                    name: {str(site): list(pools) for site, pools in sites.items()}
                    for name, sites in sorted(self.models.items())
                },
                "pools": {
                    str(site): {
                        name: pool.model_dump(by_alias=True, exclude_none=True) for name, pool in sorted(pools.items())
                    }
                    for site, pools in sorted(self.pools.items())
                },
            },
            out,
        )
        return _HEAD.format(stack=stack) + out.getvalue()


def lock_file(root: Path, stack: str) -> Path:
    """Where a stack's lock is kept."""
    return root / f"Pulumi.{stack}{LOCK_SUFFIX}"


def read_lock(path: Path, stack: str) -> Lock | None:
    """The lock at `path`, None where there is none. SettingsError has all that is wrong with it, each with its line and a remedy."""
    if path.is_dir():
        raise SettingsError([Problem(path.name, 0, "", "is a folder, and the plan is kept there; move it away")])
    if not path.exists():
        return None
    try:
        return _read(path, stack)
    except SettingsError as refused:
        anew = f"or run `factory plan --apply --stack {stack}` to write it anew"
        raise SettingsError(replace(each, message=f"{each.message}, {anew}") for each in refused.problems) from refused


def _read(path: Path, stack: str) -> Lock:
    reader = YamlReader(path.name, first_key="version")
    try:
        raw = reader.read(path)
    except SettingsError as refused:
        if marks := [number for number, line in enumerate(reader.text.splitlines(), 1) if line.startswith(_CONFLICT)]:
            message = "has the marks of a merge; take one side whole, the next run places what that does not have"
            raise SettingsError([Problem(path.name, marks[0], "", message)]) from refused
        raise
    where = StackFile(name=path.name, lines=reader.lines, problems=tuple(reader.problems))
    stand_ins: dict[str, object] = {"version": _VERSION, "stack": stack, "models": {}, "pools": {}}
    read, found = check(_Lock, raw, (), stand_ins)
    lock = read.value
    if read.right("version") and lock.version != _VERSION:
        found.append(
            (("version",), f"is {lock.version}, and this model-factory reads {_VERSION}; take the one that wrote it")
        )
    if read.right("stack") and lock.stack != stack:
        found.append((("stack",), f"is the plan of stack {lock.stack}, and this is {stack}; take its own"))
    if read.right("models", "pools"):
        found += _sites(lock) or _pools(lock)
    if problems := where.told(found):
        raise SettingsError(problems)
    return Lock(
        {name: {site_of(key): pools for key, pools in sites.items()} for name, sites in lock.models.items()},
        {site_of(key): pools for key, pools in lock.pools.items()},
    )


def write_lock(path: Path, lock: Lock, stack: str) -> bool:
    """Writes the lock whole or not at all; False where the file says so already. A link stays one: what it leads to is written.
    SettingsError when it cannot be written."""
    text, named = lock.text(stack), path.name
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file() and not path.is_dir():
        raise SettingsError([Problem(named, 0, "", "is no plain file, and the plan is kept there; move it away")])
    try:
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            return False
        handle, made = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as out:
                out.write(text)
                out.flush()
                os.fsync(out.fileno())
            mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
            Path(made).chmod(mode)
            Path(made).replace(path)
        except BaseException:
            Path(made).unlink(missing_ok=True)
            raise
    except OSError as error:
        message = f"cannot be written ({error.strerror}); the plan must be kept before anything is made: make room or the folder writable"
        raise SettingsError([Problem(named, 0, "", message)]) from error
    return True


def locked(capacity: CapacityType, machine_type: str, reservation: Reservation | None) -> LockedPool:
    """Machines as the lock has them."""
    return LockedPool(
        capacity=capacity, machine_type=machine_type, reservation=reservation.name if reservation else None
    )


def _sites(lock: _Lock) -> list[Finding]:
    """Places that no cloud has."""
    named: list[tuple[KeyPath, str]] = [
        (("models", name, site), site) for name, sites in lock.models.items() for site in sites
    ]
    named += [(("pools", site), site) for site in lock.pools]
    every = [f"{cloud}/{region}" for cloud, facts in CLOUDS.items() for region in facts.regions]
    return [
        (place, f"{site!r} is no cloud's region; {instead(site, every)}") for place, site in named if site not in every
    ]


def _pools(lock: _Lock) -> Iterator[Finding]:
    """Pools that are named and not there, and machines that no cloud has."""
    for name, sites in lock.models.items():
        for site, pools in sites.items():
            there = list(lock.pools.get(site, ()))
            if not pools:
                yield ("models", name, site), "has no pool; name one of its site's"
            for index, pool in enumerate(pools):
                if pool not in there:
                    remedy = instead(pool, there) if there else "list it under pools"
                    yield ("models", name, site, index), f"{pool!r} is no pool of {site}; {remedy}"
                elif pool in pools[:index]:
                    yield ("models", name, site, index), f"{pool} is there twice; keep one"
            yield from _together(("models", name, site), [(pool, lock.pools.get(site, {}).get(pool)) for pool in pools])
    for site, pools in lock.pools.items():
        cloud = site.partition("/")[0]
        known = [each.machine_type for each in machines().values() if each.cloud == cloud]
        for name, pool in pools.items():
            if pool.machine_type not in known:
                close = nearest(pool.machine_type, known)
                remedy = f"write {close}" if close else "write one that `factory offers` lists"
                message = f"{pool.machine_type!r} is not a machine type of {cloud}; {remedy}"
                yield ("pools", site, name, "machineType"), message
            if pool.capacity == "reserved" and not pool.reservation:
                yield ("pools", site, name), "is of reserved machines, and names no reservation; add reservation"
            elif pool.capacity != "reserved" and pool.reservation:
                message = f"is of machines that no reservation holds ({pool.capacity}); remove it, or write capacity: reserved"
                yield ("pools", site, name, "reservation"), message


def _together(place: KeyPath, pools: Sequence[tuple[str, LockedPool | None]]) -> Iterator[Finding]:
    """Pools that no model has at once: two that are bought in one way, and two kinds of machines."""
    ways: dict[CapacityType, str] = {}
    kinds: dict[str, str] = {}
    for index, (name, pool) in enumerate(pools):
        machine = machines().get(pool.machine_type) if pool is not None else None
        if pool is None or machine is None or name in ways.values():
            continue
        if (other := ways.setdefault(pool.capacity, name)) != name:
            yield (*place, index), f"{name} is {pool.capacity} as {other} is, and a model has one of each; keep one"
        elif kinds and machine.kind not in kinds:
            has = f"{name} has {machine.kind}, and {', '.join(f'{v} {k}' for k, v in kinds.items())}"
            yield (*place, index), f"{has}; a model has one kind: keep one"
        kinds.setdefault(machine.kind, name)
