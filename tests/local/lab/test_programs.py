from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from model_factory.facts.aws import kubernetes as aws
from model_factory.facts.gcp import kubernetes as gcp
from model_factory.local.errors import LabError, ProgramsMissingError
from model_factory.local.lab import cache
from model_factory.local.lab.modules import BASE, DEFAULT_MINOR, KWOK, MINORS, NEXT, PAUSE, Module
from model_factory.local.lab.programs import modules_of, programs_for


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def pretend_built(minor: str) -> None:
    for module in modules_of(minor):
        folder = cache.folder_of(module)
        folder.mkdir(parents=True, exist_ok=True)
        for name in module.programs:
            (folder / name).write_text("")
        for name in module.folders:
            (folder / name).mkdir(exist_ok=True)


class TestProgramsFor:
    @pytest.mark.parametrize("minor", MINORS)
    def test_every_program_is_where_it_says(self, minor: str) -> None:
        pretend_built(minor)
        found = programs_for(minor)
        paths = [getattr(found, each.name) for each in fields(found) if each.name != "version"]
        assert all(path.exists() for path in paths)
        assert len(set(paths)) == len(paths)

    def test_the_default_is_the_default_of_both_clouds(self) -> None:
        assert DEFAULT_MINOR == aws.DEFAULT_VERSION == gcp.DEFAULT_VERSION

    def test_a_newer_minor_exchanges_what_an_upgrade_exchanges(self) -> None:
        pretend_built("1.36")
        older, newer = programs_for("1.35"), programs_for("1.36")
        assert (older.version, newer.version) == (BASE.kubernetes, NEXT.kubernetes)
        assert older.kube_apiserver != newer.kube_apiserver
        assert older.etcd == newer.etcd

    def test_programs_that_are_not_built_are_told_with_the_command_that_builds_them(self) -> None:
        pretend_built("1.35")
        with pytest.raises(ProgramsMissingError, match=r"factory lab build --kubernetes 1\.36"):
            programs_for("1.36")

    def test_a_minor_that_the_lab_has_not_is_refused_by_name(self) -> None:
        with pytest.raises(LabError, match=r"no Kubernetes 1\.31, only 1\.35 and 1\.36"):
            programs_for("1.31")


class TestModules:
    @pytest.mark.parametrize("minor", MINORS)
    def test_a_minor_is_what_its_programs_tell(self, minor: str) -> None:
        told = [module.kubernetes for module in modules_of(minor) if module.kubernetes]
        assert told[-1].startswith(f"v{minor}.")

    @pytest.mark.parametrize("module", [BASE, KWOK, NEXT, PAUSE], ids=lambda each: each.name)
    def test_what_is_built_is_pinned_by_its_module(self, module: Module) -> None:
        mod, sums = ((module.source / name).read_text() for name in ("go.mod", "go.sum"))
        for package in module.programs.values():
            own = package.startswith("./") and (module.source / package / "main.go").is_file()
            assert own or f"\t{package}\n" in mod or f"tool {package}\n" in mod or f"module {package}\n" in mod
        assert (" h1:" in sums) == ("require" in mod)
