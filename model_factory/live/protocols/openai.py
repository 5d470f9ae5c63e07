"""OpenAI's API as vLLM, SGLang and llama.cpp's server speak it: chats, completions and embeddings. platform.openai.com/docs/api-reference"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from model_factory.live.protocols.protocol import (
    GREETING,
    Ask,
    Call,
    ModelProtocol,
    RefusedError,
    Reply,
    ServerError,
    first_of,
    parsed,
    shortened,
)

_ANSWER_TOKENS: Final = 64
_CHAT, _COMPLETIONS, _EMBEDDINGS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
_PATHS: Final[Mapping[str, str]] = {"messages": _CHAT, "prompt": _COMPLETIONS, "input": _EMBEDDINGS}
"""Which key of a request says what it asks for."""
_UNSERVED: Final = frozenset({400, 404, 405, 501})
"""What servers answer of a task that their model is not for."""


def prepare(model: str, data: bytes | None, ask: Ask) -> Call:
    """An object with `messages`, `prompt` or `input` is sent as it is, with the model's name where it has none. A text is asked in the first
    way that the server takes of a chat, a completion and an embedding: one token is asked for, to find out."""
    name = _served(model, ask)
    given = parsed(data)
    if isinstance(given, dict):
        document = cast("dict[str, Any]", given)
        for key, path in _PATHS.items():
            if key in document:
                return Call.of(path, {"model": name, **document})
        raise RefusedError(f"--data is an object without {', '.join(_PATHS)}; give one of them, or plain text")
    try:
        text = GREETING if data is None else data.decode()
    except UnicodeDecodeError:
        raise RefusedError("--data is no text; models of this protocol take text, or JSON with messages") from None
    problems: list[str] = []
    for path, asked in _ways(name, text):
        probe = ask(Call.of(path, {**asked, "max_tokens": 1} if "max_tokens" in asked else asked))
        if probe.ok:
            return Call.of(path, asked)
        problems.append(f"{path}: {probe.problem}")
        if probe.status not in _UNSERVED:
            break
    raise ServerError(f"the server takes no text: {'; '.join(problems)}")


def told(reply: Reply) -> str:
    """The text of the answer with its count of tokens, or the first figures of an embedding."""
    document = reply.document
    if not isinstance(document, dict):
        return shortened(reply.body.decode(errors="replace"))
    found = cast("dict[str, Any]", document)
    choices: list[dict[str, Any]] = found.get("choices") or []
    if choices:
        said = (choices[0].get("message") or {}).get("content") or choices[0].get("text") or ""
        tokens = (found.get("usage") or {}).get("completion_tokens")
        return shortened(str(said).strip()) + (f"  ({tokens} tokens)" if tokens is not None else "")
    embeddings: list[dict[str, Any]] = found.get("data") or []
    if embeddings and isinstance(embeddings[0].get("embedding"), list):
        figures: list[Any] = embeddings[0]["embedding"]
        return f"{len(embeddings)} x {len(figures)} figures: {first_of(figures)}"
    return shortened(reply.body.decode(errors="replace"))


def _ways(name: str, text: str) -> list[tuple[str, dict[str, Any]]]:
    greedy = {"max_tokens": _ANSWER_TOKENS, "temperature": 0}
    return [
        (_CHAT, {"model": name, "messages": [{"role": "user", "content": text}], **greedy}),
        (_COMPLETIONS, {"model": name, "prompt": text, **greedy}),
        (_EMBEDDINGS, {"model": name, "input": text}),
    ]


def _served(model: str, ask: Ask) -> str:
    """The model's name with the server: the stack's, or that of the only one it serves."""
    reply = ask(Call("GET", "/v1/models"))
    document = reply.document if reply.ok else None
    listed: list[dict[str, Any]] = document.get("data") or [] if isinstance(document, dict) else []
    names = [str(each.get("id")) for each in listed]
    return names[0] if len(names) == 1 and model not in names else model


PROTOCOL: Final = ModelProtocol(title="OpenAI's API", prepare=prepare, told=told)
