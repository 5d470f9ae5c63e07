from __future__ import annotations

import csv
import hashlib
import io
import json
import tarfile
from pathlib import Path
from zipfile import ZipFile, ZipInfo

import pytest

from model_factory.local.errors import LabError
from model_factory.local.lab import cache
from model_factory.local.lab.images import debian, wheels
from model_factory.local.lab.images.catalogue import RECIPES, Recipe
from model_factory.local.lab.images.debian import Package
from model_factory.local.lab.images.image import image_of
from model_factory.local.lab.images.layers import Entry, File, Folder, Link, write_layer
from model_factory.local.lab.images.store import ImageStore
from model_factory.local.lab.registry import Layer


def written(path: Path, *entries: Entry) -> bytes:
    write_layer(path, entries)
    return path.read_bytes()


def deb(path: Path, files: dict[str, bytes]) -> Path:
    """A Debian package as dpkg-deb lays it out, of data alone."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    archive = b"!<arch>\n"
    for name, content in (("debian-binary", b"2.0\n\n"), ("data.tar.xz", data.getvalue())):
        archive += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode()
        archive += content + b"\n" * (len(content) % 2)
    path.write_bytes(archive)
    return path


class TestLayers:
    def test_are_the_same_bytes_whatever_the_order_and_the_day(self, tmp_path: Path) -> None:
        some = (File("usr/bin/x", b"x", executable=True), Link("bin", "usr/bin"), Folder("tmp", 0o1777))
        assert written(tmp_path / "a", *some) == written(tmp_path / "b", *reversed(some))

    def test_belong_to_root_and_are_everyones_to_read(self, tmp_path: Path) -> None:
        write_layer(tmp_path / "a", [File("etc/x", b""), File("usr/bin/y", b"", executable=True)])
        with tarfile.open(tmp_path / "a") as tar:
            assert {(each.uid, each.gid, each.mtime) for each in tar} == {(0, 0, 0)}
            modes = {each.name: each.mode for each in tar}
        assert modes == {"etc": 0o755, "etc/x": 0o644, "usr": 0o755, "usr/bin": 0o755, "usr/bin/y": 0o755}

    def test_have_each_path_once_the_last_one(self, tmp_path: Path) -> None:
        write_layer(tmp_path / "a", [File("x", b"old"), File("x", b"new")])
        with tarfile.open(tmp_path / "a") as tar:
            assert [each.name for each in tar] == ["x"]
            assert (file := tar.extractfile("x")) is not None
            assert file.read() == b"new"


class TestDebian:
    def test_packages_lie_where_the_system_has_merged_its_folders(self, tmp_path: Path) -> None:
        package = deb(tmp_path / "x.deb", {"bin/bash": b"b", "usr/share/man/x": b"", "usr/share/doc/x/copyright": b"c"})
        assert list(debian.entries(package)) == [File("usr/bin/bash", b"b"), File("usr/share/doc/x/copyright", b"c")]

    def test_a_version_that_has_gone_names_the_way_out(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        apt = tmp_path / "bin" / "apt-get"
        apt.parent.mkdir()
        apt.write_text("#!/bin/sh\necho \"E: Version '1' for 'bash' was not found\" >&2; exit 100\n")
        apt.chmod(0o755)
        monkeypatch.setenv("PATH", str(apt.parent))
        with pytest.raises(LabError, match=r"bash 1 \(Version '1' .* apt-get update.*images\.lock") as error:
            debian.fetch([Package("bash", "1", "0" * 64)], tmp_path / "kept")
        assert str(tmp_path) not in str(error.value)

    def test_without_apt_it_says_what_images_are_made_of(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(LabError, match="Debian 12"):
            debian.fetch([Package("bash", "1", "0" * 64)], tmp_path / "kept")

    def test_what_is_kept_whole_is_not_fetched_again(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", str(tmp_path))
        package = Package("bash", "1:5", hashlib.sha256(b"deb").hexdigest())
        (tmp_path / package.file_name).write_bytes(b"deb")
        assert debian.fetch([package], tmp_path) == [tmp_path / "bash_1%3a5_amd64.deb"]


class TestWheels:
    def test_install_their_platforms_files_beside_the_others_and_no_scripts(self, tmp_path: Path) -> None:
        with ZipFile(tmp_path / "x.whl", "w") as archive:
            archive.writestr("x/__init__.py", "")
            program = ZipInfo("x/run")
            program.external_attr = 0o100755 << 16
            archive.writestr(program, "")
            archive.writestr("x-1.data/platlib/x/lib.so", "")
            archive.writestr("x-1.data/scripts/tool", "")
        found = {entry.path: entry.executable for entry in wheels.entries(tmp_path / "x.whl", "lib")}
        assert found == {"lib/x/__init__.py": False, "lib/x/run": True, "lib/x/lib.so": False}


class TestLocks:
    @pytest.mark.parametrize("path", [debian.LOCK, wheels.LOCK])
    def test_pin_everything_by_its_hash(self, path: Path) -> None:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert rows
        assert all(row["name"] and row["version"] and len(row["sha256"]) == 64 for row in rows)

    def test_have_every_wheel_that_a_layer_is_made_of(self) -> None:
        wanted = {name for recipe in RECIPES for part in recipe.parts for name in part.wheels}
        assert wanted <= wheels.read_lock().keys()


class TestImages:
    def test_run_as_a_user_and_name_their_layers(self, tmp_path: Path) -> None:
        write_layer(tmp_path / "a", [])
        image = image_of("x", [Layer.of(tmp_path / "a")], {"PATH": "/bin"})
        config = json.loads(image.config)
        assert config["config"]["User"].startswith("1000")
        assert [each.digest for each in image.layers] == config["rootfs"]["diff_ids"]

    @pytest.mark.slow
    @pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
    def test_made_anew_have_the_same_digest(self, recipe: Recipe, tmp_path: Path) -> None:
        kept = cache.root()
        if not (kept / "debs").is_dir() or not (kept / "wheels").is_dir():
            pytest.skip("what images are made of is not in the cache; `factory lab build` brings it")
        for folder in ("debs", "wheels"):
            (tmp_path / folder).symlink_to(kept / folder)
        anew = ImageStore(folder=tmp_path).image(recipe)
        assert anew.digest == ImageStore().image(recipe).digest
