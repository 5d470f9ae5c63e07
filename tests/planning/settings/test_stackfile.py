from __future__ import annotations

from pathlib import Path

import pytest

from model_factory.planning.settings.problems import SettingsError
from model_factory.planning.settings.stackfile import read_project_file, read_stack_file
from model_factory.planning.settings.yamlfile import Secure
from tests.planning.project import Project


class TestLines:
    def test_every_key_and_item_knows_its_line(self, project: Project) -> None:
        project.stack_file.write_text("config:\n  a:b:\n    inner:\n      - x\n      - y: 1\n")
        file = read_stack_file(project.stack_file)
        assert file.line(("a:b",)) == 2
        assert file.line(("a:b", "inner", 1)) == 5
        assert file.line(("a:b", "inner", 1, "y")) == 5

    def test_a_missing_key_is_told_at_the_line_around_it(self, project: Project) -> None:
        project.stack_file.write_text("config:\n  a:b:\n    inner: 1\n")
        assert read_stack_file(project.stack_file).line(("a:b", "absent", "deep")) == 2


class TestValues:
    def test_scalars_read_as_pulumi_reads_them(self, project: Project) -> None:
        project.stack_file.write_text(
            'config:\n  a:b: {i: 4, f: 0.5, t: true, n: null, s: "1.30", yes: yes, d: 2026-01-02, x: 0x10, o: .inf}\n'
        )
        assert read_stack_file(project.stack_file).config["a:b"] == {
            "i": 4,
            "f": 0.5,
            "t": True,
            "n": None,
            "s": "1.30",
            "yes": "yes",
            "d": "2026-01-02",
            "x": 16,
            "o": float("inf"),
        }

    def test_secure_values_stay_opaque(self, project: Project) -> None:
        project.stack_file.write_text("config:\n  aws:secretKey:\n    secure: v1:abc\n  a:b: [{secure: v1:x}]\n")
        file = read_stack_file(project.stack_file)
        assert file.config == {"aws:secretKey": Secure(), "a:b": [Secure()]}
        assert "abc" not in repr(file)

    def test_anchors_and_merges_are_followed(self, project: Project) -> None:
        project.stack_file.write_text("config:\n  a:b: &x {k: 1}\n  a:c:\n    <<: *x\n    j: 2\n")
        assert read_stack_file(project.stack_file).config["a:c"] == {"k": 1, "j": 2}


class TestRefusals:
    @pytest.mark.parametrize(
        ("text", "line", "fragment"),
        [
            ("config:\n  a:b: [1,\n", 3, "is not YAML"),
            ("config:\n  a:b: 1\n\tc: 2\n", 3, "spaces, not tabs"),
            ("config:\n  a: b: c\n", 2, "is not YAML"),
            ("config: {}\n---\nconfig: {}\n", 2, "is not YAML"),
            ("", 1, "empty or not a mapping"),
            ("- a\n- b\n", 1, "empty or not a mapping"),
            ("config:\n  a:b: &x\n    c: *x\n", 3, "inside of what it names"),
        ],
    )
    def test_what_is_not_yaml_is_told_with_its_line(
        self, project: Project, text: str, line: int, fragment: str
    ) -> None:
        (problem,) = project.problems_of_text(text)
        assert fragment in problem.message
        assert problem.file == "Pulumi.dev.yaml"
        assert abs(problem.line - line) <= 1

    def test_anchors_cannot_blow_up_memory(self, project: Project) -> None:
        lines = ["config:", "  a:x0: &x0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
        lines += [f"  a:x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 10)}]" for n in range(1, 9)]
        (problem,) = project.problems_of_text("\n".join(lines))
        assert "anchors expand to" in problem.message

    def test_duplicate_keys_are_all_told_with_both_lines(self, project: Project) -> None:
        project.stack_file.write_text("config:\n  a:b: 1\n  a:b: 2\n  a:c:\n    x: 1\n    x: 2\n")
        problems = read_stack_file(project.stack_file).problems
        assert [(each.line, each.key) for each in problems] == [(3, "a:b"), (6, "a:c.x")]
        assert "first on line 2" in problems[0].message

    def test_not_utf8(self, project: Project) -> None:
        project.stack_file.write_bytes(b"config:\n  a:b: \xff\n")
        assert "UTF-8" in project.problems_as_written()[0].message

    def test_a_missing_file_names_those_that_are_there(self, project: Project) -> None:
        project.write()
        with pytest.raises(SettingsError, match=r"Pulumi.prod.yaml: does not exist; there is Pulumi.dev.yaml"):
            read_stack_file(project.root / "Pulumi.prod.yaml")

    def test_a_file_of_another_name(self, tmp_path: Path) -> None:
        path = tmp_path / "settings.yaml"
        path.write_text("config:\n  a:b: 1\n")
        assert "Pulumi.<stack>.yaml" in read_stack_file(path).problems[0].message

    def test_keys_outside_config(self, project: Project) -> None:
        project.stack_file.write_text(
            "confg:\n  a: 1\naws:region: us-east-1\nencryptionsalt: v1:x\nenvironment:\n  - e\n"
        )
        problems = {each.key: each.message for each in read_stack_file(project.stack_file).problems}
        assert "write config" in problems["confg"]
        assert "move it below config" in problems["aws:region"]
        assert "Pulumi ESC" in problems["environment"]
        assert "missing" in problems["config"]
        assert "encryptionsalt" not in problems


class TestProjectFile:
    def test_values_of_settings_are_refused_and_types_are_not(self, tmp_path: Path) -> None:
        path = tmp_path / "Pulumi.yaml"
        path.write_text(
            "name: model-factory\nconfig:\n  a:t: {type: string}\n  a:d: {default: 1}\n  aws:region: {value: x}\n  a:p: 1\n"
        )
        file = read_project_file(path)
        assert file.name == "model-factory"
        assert [each.line for each in file.problems] == [4, 5, 6]

    @pytest.mark.parametrize(
        ("text", "key", "remedy"),
        [
            ("stackConfigDir: stacks\n", "stackConfigDir", "beside Pulumi.yaml"),
            ("backend: {url: s3://states}\n", "backend", "PULUMI_BACKEND_URL"),
            ("options: {refresh: always}\n", "options", "--refresh"),
            ("plugins: {providers: []}\n", "plugins", "remove it"),
            ("packages: {x: y}\n", "packages", "remove it"),
            ("stackConfigDirs: stacks\n", "stackConfigDirs", "write stackConfigDir"),
            ("main: infra\n", "main", "write main: ."),
            ("main: [a]\n", "main", "write main: ."),
            ("runtime: yaml\n", "runtime", "write python"),
            ("runtime: {name: nodejs}\n", "runtime", "write python"),
            ("runtime: {name: python, options: {typechecker: mypy}}\n", "runtime.options.typechecker", "remove it"),
        ],
    )
    def test_what_the_cli_alone_would_do_is_refused_by_name(
        self, tmp_path: Path, text: str, key: str, remedy: str
    ) -> None:
        (path := tmp_path / "Pulumi.yaml").write_text(f"name: model-factory\n{text}")
        (problem,) = read_project_file(path).problems
        assert (problem.key, problem.line) == (key, 2)
        assert remedy in problem.message

    def test_what_changes_nothing_of_a_run_is_taken(self, tmp_path: Path) -> None:
        (path := tmp_path / "Pulumi.yaml").write_text(
            "name: model-factory\nmain: ./\nruntime: {name: python, options: {virtualenv: .venv, toolchain: uv}}\n"
            "template: {description: x}\nauthor: a\nrequiredPulumiVersion: '>=3'\n"
        )
        assert read_project_file(path).problems == ()
        assert read_project_file(Path(__file__).parents[3] / "Pulumi.yaml").problems == ()

    def test_a_name_is_needed(self, tmp_path: Path) -> None:
        path = tmp_path / "Pulumi.yaml"
        path.write_text("runtime: python\n")
        assert "name: model-factory" in read_project_file(path).problems[0].message
