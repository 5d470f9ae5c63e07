"""A stack comes up whole, and once, over a connection that loses the answer of every create."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from tests.local.fault_proxy import Asked, Fault, fault_proxy
from tests.stacks.harness import LocalStack
from tests.stacks.test_faults import small

pytestmark = [pytest.mark.slow, pytest.mark.faults]

_CREATES: Final = re.compile(
    r"\w+:(Create(?!Tags)|Allocate|Associate|Authorize|Run)|s3:Put|.*\.(insert|create|enable|set|batch)"
)
_SETS: Final = re.compile(r"s3:|storage\..*\.set")


def losing() -> Callable[[Asked], Fault | None]:
    """Every answer to a create, and the first one to a call that sets something as a whole (PUT) and is made again."""
    seen: set[str] = set()

    def lose(asked: Asked) -> Fault | None:
        again = asked.name in seen and _SETS.match(asked.name) is not None
        seen.add(asked.name)
        lost = asked.changes and not again and _CREATES.match(asked.name) and "/_cloud/" not in asked.name
        return "reset after" if lost else None

    return lose


def test_a_stack_comes_up_although_no_create_is_answered(tmp_path: Path) -> None:
    stack = LocalStack(tmp_path)
    try:
        stack.edit(small)
        stack.factory("clouds", "start")
        empty = stack.held()
        stack.factory("up", "--yes", "--skip-preview")
        whole = stack.held()
        stack.factory("destroy", "--yes")
        with ExitStack() as proxies:
            text = stack.stack_file.read_text(encoding="utf-8")
            opened = []
            for port in stack.ports.values():
                proxy = proxies.enter_context(fault_proxy(f"http://127.0.0.1:{port}"))
                proxy.spoil = losing()
                opened.append(proxy)
                text = text.replace(f"http://127.0.0.1:{port}", proxy.url)
            stack.stack_file.write_text(text, encoding="utf-8")
            ended = stack.factory("up", "--yes", "--skip-preview", check=False)
            assert ended.code == 0, ended.out + ended.err
            assert all(len(proxy.spoiled) > 10 for proxy in opened)
            assert stack.held() == whole
            for proxy in opened:
                proxy.spoil = lambda _: None
            again = stack.factory("up", "--refresh", "--yes", "--json").json
            assert set(again["changeSummary"]) == {"same"}
            stack.factory("destroy", "--yes")
        assert stack.held() == empty
    finally:
        stack.close()
