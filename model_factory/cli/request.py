"""`factory request`: ask a model something, in its runtime's own protocol, once or many times."""

from __future__ import annotations

import json
import math
import re
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.text import Text

from model_factory.access.errors import AccessError
from model_factory.cli.console import json_text
from model_factory.cli.errors import BadInputError, CommandError
from model_factory.cli.options import DEFAULT_STACK, Cwd, Json, StackName, console_for
from model_factory.cli.serving import protocol_of
from model_factory.cli.session import Session
from model_factory.cli.sites import OneSite, all_sites, chosen_sites, live_sites, require_model
from model_factory.graph.masking import Masker
from model_factory.live.asking import FAILURES, Asker, Connect, at_address, through_cluster
from model_factory.live.load import Figures, Sample, arriving, figures, one, one_after_another
from model_factory.live.models import read
from model_factory.live.protocols import PROTOCOLS
from model_factory.live.protocols.protocol import ModelProtocol, RefusedError, ServerError
from model_factory.planning.placing.plan import site_of

if TYPE_CHECKING:
    from model_factory.access.client import ClusterClient

_RATE_SECONDS: Final = 10
_FILE_NAME: Final = re.compile(r"\S+\.[A-Za-z]\w{0,4}")
"""What may be the name of a file, and seldom is a text."""
"""How long requests arrive where nobody says how many."""
_PORT: Final = "http"
_DATA_BYTES_MAX: Final = 64 << 20
_PROBLEMS_MOST: Final = 3


@dataclass(frozen=True, slots=True)
class Way:
    """How a model is reached: the site, its Pods that are ready (none at an address) and a connection to each."""

    site: str
    pods: tuple[str, ...]
    connects: tuple[Connect, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """A model's answers: the first as a person reads it, all as figures."""

    way: Way
    protocol: str
    samples: tuple[Sample, ...]
    answer: str
    figures: Figures
    interrupted: bool = False
    """By Ctrl-C: the samples are those that had ended."""


def request(
    model: Annotated[str, typer.Argument(help="The model.", show_default=False)],
    stack_name: StackName = DEFAULT_STACK,
    site: OneSite = "",
    data: Annotated[
        str | None,
        typer.Option("--data", "-d", help="What to ask: a file, a text, or - for stdin.", metavar="FILE|TEXT|-"),
    ] = None,
    repeat: Annotated[
        int | None,
        typer.Option("--repeat", "-n", min=1, help="So many requests, one after another.", metavar="N"),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(
            "--rate", min=0.001, max=10_000, help="So many a second, arriving at random, answered or not.", metavar="R"
        ),
    ] = None,
    url: Annotated[
        str, typer.Option("--url", help="Ask this address instead of a Pod, as a route has it.", metavar="URL")
    ] = "",
    as_json: Json = False,
    cwd: Cwd = Path(),
) -> None:
    """Ask a model: through the API server of its cluster, at a replica that is ready, or at an address; print its answer and the latency.

    Without --data it is asked what any model of its protocol can be: its server says what it takes. JSON that the protocol knows is sent as
    it is. A first request finds out how; those that are counted follow.

    --repeat and --rate print p50, p95 and p99 of those that were answered, and the failures. Latencies under --rate are of Poisson arrivals
    (the same at each run), over all ready replicas, and count from the arrival: waiting counts. Without --repeat they arrive for 10 s.
    Ctrl-C ends either, and prints the figures of those that were answered by then.

    --json has model, site, pods, protocol, requests, failures, problems, latencyMs (p50, p95, p99, max), answersPerSecond, answer (the
    first, shortened), document (the first, whole, where it is JSON). Any failure is exit code 1.
    """
    session = Session.open(stack_name, cwd)
    require_model(session, model)
    given = _given(data)
    with closing(Reaching(session)) as reaching:
        answered = reaching.ask(model, site=site, data=given, repeat=repeat, rate=rate, url=url)
    _show(model, answered, as_json=as_json, many=bool(repeat or rate))
    if answered.interrupted:
        raise KeyboardInterrupt
    if failures := answered.figures.failures:
        problem = Masker().text(answered.figures.problems[0][0])
        raise CommandError(f"{failures} of {answered.figures.requests} requests failed: {problem}")


class NoReplicaError(CommandError):
    """Nothing of a model can answer now."""


class Reaching:
    """The models of a session's stack, to be asked; closes what it has opened."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._clients: dict[str, ClusterClient] = {}

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def ask(
        self,
        model: str,
        *,
        site: str = "",
        data: bytes | None = None,
        repeat: int | None = None,
        rate: float | None = None,
        url: str = "",
    ) -> Answered:
        """Ask a model once, `repeat` times, or at a rate. Failures of counted requests are in the figures.

        Raises:
            BadInputError: the data is nothing for this model.
            CommandError: `NoReplicaError` where no replica is ready; else the server is not reached at all.
        """
        protocol = self._protocol(model)
        way = _at(url) if url else self._way(model, site)
        with Asker(way.connects[0]) as asker:
            try:
                call = protocol.prepare(model, data, asker.ask)
            except RefusedError as error:
                raise BadInputError(Masker().text(str(error))) from error
            except ServerError as error:
                raise CommandError(f"{_target(model, way)} cannot be asked: {Masker().text(str(error))}") from error
            except FAILURES as error:
                raise CommandError(f"{_target(model, way)} does not answer: {Masker().text(str(error))}") from error
            samples: list[Sample] = []
            interrupted = False
            began = time.perf_counter()
            try:
                if rate is not None:
                    count = repeat or max(round(rate * _RATE_SECONDS), 1)
                    samples.extend(arriving(way.connects, call, count, rate))
                elif repeat is not None:
                    samples.extend(one_after_another(way.connects[0], call, repeat))
                else:
                    samples.append(one(asker, call))
            except KeyboardInterrupt:
                if not samples:
                    raise
                interrupted = True
            wall = time.perf_counter() - began
        first = next((each.reply for each in samples if each.ok and each.reply), None)
        answer = Masker().text(protocol.told(first)) if first else ""
        return Answered(way, protocol.title, tuple(samples), answer, figures(samples, wall), interrupted)

    def _protocol(self, model: str) -> ModelProtocol:
        settings = next(each for each in self._session.settings.models if each.name == model)
        return PROTOCOLS[protocol_of(self._session.project.root, settings.runtime)]

    def _way(self, model: str, site: str) -> Way:
        """To the first site in order that has a replica ready, and to all of its ready replicas."""
        names = chosen_sites(self._session, [site] if site else None)
        waits: list[str] = []
        for place in live_sites(self._session, names):
            try:
                client = self._clients.get(place.name) or self._clients.setdefault(place.name, place.client())
                found = read(client, place.name, {}, model)
            except AccessError as error:
                waits.append(f"{place.name}: {error}")
                continue
            ready = [each for row in found for each in row.replicas if each.ready and _PORT in each.ports]
            if ready and all(each.simulated for each in ready):
                waits.append(f"{place.name}: its nodes are simulated, and run nothing")
                continue
            ready = [each for each in ready if not each.simulated]
            if ready:
                connects = tuple(through_cluster(client, each.namespace, each.pod, each.ports[_PORT]) for each in ready)
                return Way(place.name, tuple(each.pod for each in ready), connects)
            waits += [f"{row.site}: {reason}" for row in found for reason, _ in row.pending]
        why = f": {'; '.join(Masker().text(each) for each in waits)}" if waits else ""
        runs = [place for place in all_sites(self._session) if model in self._planned_at(place)]
        if site and runs and site not in runs:
            raise BadInputError(f"{model} does not run at {site}; it runs at {', '.join(runs)}")
        raise NoReplicaError(f"no replica of {model} can answer{why}; `factory status {model}` shows all of them")

    def _planned_at(self, site: str) -> set[str]:
        place = site_of(site)
        return {each.model.name for each in self._session.plan.placements_of(place.cloud, place.region)}


def _at(url: str) -> Way:
    try:
        return Way("", (), (at_address(url),))
    except ValueError as error:
        raise BadInputError(f"--url {error}") from error


def _target(model: str, way: Way) -> str:
    return f"{model} at {way.site}, {way.pods[0]}," if way.pods else f"{model} at that address"


def _given(data: str | None) -> bytes | None:
    """The bytes: of stdin, of a file where there is one of that name, else the text itself."""
    if data is None:
        return None
    try:
        if data == "-":
            return sys.stdin.buffer.read(_DATA_BYTES_MAX)
        # A text may be longer than any name, or hold what none has.
        file = Path(data)
        if "\n" not in data and len(data) < 1024 and file.is_file():
            if file.stat().st_size > _DATA_BYTES_MAX:
                raise BadInputError(f"--data {data} has more than {_DATA_BYTES_MAX >> 20} MiB; give less")
            return file.read_bytes()
    except (OSError, ValueError):
        pass
    if _FILE_NAME.fullmatch(data):
        console_for(as_json=True).print(f"no file is named {data}: it is taken as text", style="yellow", soft_wrap=True)
    return data.encode(errors="surrogateescape")


def _show(model: str, answered: Answered, *, as_json: bool, many: bool) -> None:
    if as_json:
        document = json.dumps(_document(model, answered), indent=4, ensure_ascii=False)
        sys.stdout.write(json_text(document) + "\n")
        return
    console = console_for(as_json=False)
    told, way = answered.figures, answered.way
    if answered.answer:
        console.print(Text(answered.answer), soft_wrap=True)
    place = f"{way.site} {way.pods[0]}" if len(way.pods) == 1 or (way.pods and not many) else way.site
    where = f"{model} at {place}" if place else model
    if not many:
        if not told.failures:
            console.print(Text(f"{where}: {told.p50_ms:,.1f} ms, {answered.protocol}", "dim"))
        return
    line = f"{told.requests:,} requests in {told.wall_seconds:,.1f} s, {told.answers_per_second:,.1f} answers/s"
    console.print(Text(f"{where}: {line}", "dim"))
    if told.failures < told.requests:
        console.print(
            f"p50 {told.p50_ms:,.1f} ms  p95 {told.p95_ms:,.1f} ms  p99 {told.p99_ms:,.1f} ms  max {told.most_ms:,.1f} ms"
        )
    console.print(Text(f"{told.failures} failed", "red" if told.failures else "green"))
    for problem, count in told.problems[:_PROBLEMS_MOST]:
        console.print(Text(f"  {count} x {Masker().text(problem)}"), soft_wrap=True)


def _document(model: str, answered: Answered) -> Mapping[str, Any]:
    told = answered.figures
    first = next((each.reply for each in answered.samples if each.ok and each.reply), None)
    return {
        "model": model,
        "site": answered.way.site or None,
        "pods": list(answered.way.pods),
        "protocol": answered.protocol,
        "requests": told.requests,
        "failures": told.failures,
        "problems": [{"problem": Masker().text(text), "count": count} for text, count in told.problems],
        "latencyMs": {
            "p50": _figure(told.p50_ms),
            "p95": _figure(told.p95_ms),
            "p99": _figure(told.p99_ms),
            "max": _figure(told.most_ms),
        },
        "answersPerSecond": _figure(told.answers_per_second),
        "answer": answered.answer or None,
        "document": Masker().value(first.document) if first else None,
    }


def _figure(value: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(value) else round(value, 3)
