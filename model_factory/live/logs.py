"""What the containers of a model write, of all its replicas at once."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from model_factory.access.errors import AccessError, ApiError
from model_factory.graph.pods import KIND, MODEL, MODEL_SERVER, SERVER_CONTAINER
from model_factory.graph.values import at
from model_factory.live.models import Replica, replica

if TYPE_CHECKING:
    from model_factory.access.client import ClusterClient

_LOST: Final = "unable to retrieve container logs for "
"""What a kubelet writes in the place of a log that it has removed: it keeps one ended run of a container."""
LOOK_SECONDS: Final = 2.0
"""How often a follower looks for replicas that have come."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which lines: of which container (the server's where none is named), the last so many, of the run before."""

    container: str = ""
    tail_lines: int | None = None
    previous: bool = False

    def of(self, found: Replica) -> str:
        """The container of a replica."""
        containers = found.containers
        return self.container or (SERVER_CONTAINER if SERVER_CONTAINER in containers else next(iter(containers), ""))


@dataclass(frozen=True, slots=True)
class Source:
    """A replica at a site."""

    site: str
    client: ClusterClient = field(repr=False, compare=False)
    replica: Replica = field(compare=False)
    pod: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a source; `problem` where there is none to be had, and it says why."""

    source: Source
    text: str
    problem: bool = False


def sources(clients: Sequence[tuple[str, ClusterClient]], model: str) -> list[Source]:
    """The replicas of a model at sites, by name. Raises AccessError."""
    selector = f"{KIND}={MODEL_SERVER},{MODEL}={model}"
    found: list[Source] = []
    for site, client in clients:
        pods = client.list("v1", "Pod", labels=selector)
        nodes = {str(at(each, "metadata", "name")): each for each in client.list("v1", "Node")} if pods else {}
        each_one = sorted((replica(pod, nodes) for pod in pods), key=lambda each: each.pod)
        found += [Source(site, client, each, each.pod) for each in each_one]
    return found


def lines(source: Source, wanted: Wanted, *, follow: bool = False) -> Generator[Line]:
    """The lines of one source; where it has none yet, one that says why."""
    container = wanted.of(source.replica)
    if source.replica.simulated:
        yield Line(source, "its node is simulated, and runs nothing", problem=True)
        return
    found = source.client.logs(
        source.pod,
        namespace=source.replica.namespace,
        container=container,
        follow=follow,
        previous=wanted.previous,
        tail_lines=wanted.tail_lines,
    )
    reason, none = source.replica.reason, True
    try:
        for text in found:
            none = False
            yield Line(source, text, problem=text.startswith(_LOST))
        # Of a Pod that no node has the API server gives an empty log.
        if none and reason:
            yield Line(source, f"nothing is written yet ({reason})", problem=True)
    except ApiError as error:
        yield Line(source, f"{error.message}{f' ({reason})' if reason else ''}", problem=True)
    finally:
        found.close()


def followed(look: Callable[[], Sequence[Source]], wanted: Wanted) -> Generator[Line]:
    """The lines of all sources as they come, those of later replicas and of containers that start anew too, without end. Close the generator
    to end it."""
    out: queue.SimpleQueue[Line] = queue.SimpleQueue()
    over = threading.Event()
    runs: set[tuple[str, str, int]] = set()
    problems: dict[tuple[str, str], str] = {}

    def follow(source: Source, run: tuple[str, str, int]) -> None:
        for line in lines(source, wanted, follow=True):
            if over.is_set():
                return
            if not line.problem:
                out.put(line)
                continue
            # A container that has not begun has no log: it is asked again, and why is said once.
            if problems.get(run[:2]) != line.text:
                problems[run[:2]] = line.text
                out.put(line)
            runs.discard(run)

    def seek() -> None:
        while not over.is_set():
            with suppress(AccessError):
                for source in look():
                    run = (source.site, source.pod, source.replica.restarts.get(wanted.of(source.replica), 0))
                    if run not in runs:
                        runs.add(run)
                        threading.Thread(target=follow, args=(source, run), daemon=True).start()
            over.wait(LOOK_SECONDS)

    threading.Thread(target=seek, daemon=True).start()
    try:
        while True:
            yield out.get()
    finally:
        over.set()
