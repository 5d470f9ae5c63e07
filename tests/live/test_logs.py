from __future__ import annotations

from collections.abc import Generator
from typing import Any, cast

from model_factory.access.client import ClusterClient
from model_factory.access.errors import ApiError
from model_factory.live import logs
from model_factory.live.logs import Source, Wanted, followed
from model_factory.live.models import replica


class Api:
    """Writes for each run of a Pod's container the lines that it is given, or says that it has not begun."""

    def __init__(self, *runs: list[str] | str) -> None:
        self.runs = list(runs)
        self.restarts = 0

    def logs(self, pod: str, **_: Any) -> Generator[str]:
        del pod
        run = self.runs[min(self.restarts, len(self.runs) - 1)]
        if isinstance(run, str):
            raise ApiError("log", reason="BadRequest", status=400, message=run)
        yield from run
        self.restarts = min(self.restarts + 1, len(self.runs) - 1)

    def source(self) -> Source:
        status = {"containerStatuses": [{"name": "server", "restartCount": self.restarts}]}
        pod = {
            "metadata": {"name": "p", "namespace": "n"},
            "spec": {"containers": [{"name": "server"}]},
            "status": status,
        }
        return Source("aws/us-east-1", cast("ClusterClient", self), replica(pod), "p")


class TestFollowed:
    def test_a_container_that_starts_anew_is_followed_on_and_nothing_is_said_twice(self, monkeypatch: Any) -> None:
        monkeypatch.setattr(logs, "LOOK_SECONDS", 0.001)
        api = Api(["one", "two"], ["three"], ["four"])
        found = followed(lambda: [api.source()], Wanted())
        assert [next(found).text for _ in range(4)] == ["one", "two", "three", "four"]
        found.close()

    def test_why_there_is_no_log_yet_is_said_once(self, monkeypatch: Any) -> None:
        monkeypatch.setattr(logs, "LOOK_SECONDS", 0.001)
        api = Api("waiting to start")
        looks = 0

        def look() -> list[Source]:
            nonlocal looks
            looks += 1
            if looks == 20:
                api.runs = [["begun"]]
            return [api.source()]

        found = followed(look, Wanted())
        first, second = next(found), next(found)
        assert (first.problem, second.problem) == (True, False)
        assert second.text == "begun"
        found.close()
