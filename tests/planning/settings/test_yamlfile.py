"""The budget of files, and what readers of YAML disagree on: the stack file, the project file and the plan lock go through one reader."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_factory.planning.settings.problems import SettingsError
from model_factory.planning.settings.yamlfile import DIGITS_MAX, ENTRIES_MAX, LEVELS_MAX, VALUES_MAX, YamlReader
from tests.planning.project import Project, put

LLM = "model-factory:models/llm"
LLM_KEY = "model-factory:models.llm"


def read(folder: Path, text: str) -> tuple[dict[str, object], YamlReader]:
    path = folder / "file.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    reader = YamlReader(path.name)
    return reader.read(path), reader


def refused(folder: Path, text: str) -> tuple[int, str]:
    with pytest.raises(SettingsError) as error:
        read(folder, text)
    (problem,) = error.value.problems
    return problem.line, problem.message


def multiplied(one: str) -> str:
    """Nine levels, each of which stands nine times in the next."""
    levels = "".join(f"x{level}: &x{level} {one.format(', '.join([f'*x{level - 1}'] * 9))}\n" for level in range(1, 10))
    return f"x0: &x0 {{k: 1}}\n{levels}"


class TestBudget:
    @pytest.mark.parametrize("one", ["{{<<: [{0}]}}", "[{0}]", "{{a: [{0}], <<: [{0}]}}"])
    def test_what_anchors_and_merges_multiply_is_counted_without_being_built(self, tmp_path: Path, one: str) -> None:
        line, message = refused(tmp_path, multiplied(one))
        assert (f"over {VALUES_MAX:,} values" in message, 1 < line < 10) == (True, True)

    @pytest.mark.parametrize(
        "text",
        ["a: &x\n  <<: *x\n", "a: &x\n  <<: [*x]\n", "a: &x\n  b: *x\n", "a: &x [*x]\n", "&x\na: 1\n<<: *x\n", "a: &x\n  b: &y\n    <<: *x\n"],
    )  # fmt: skip
    def test_nothing_stands_inside_of_itself(self, tmp_path: Path, text: str) -> None:
        assert "*x stands inside of what it names" in refused(tmp_path, text)[1]

    @pytest.mark.parametrize(
        "text",
        [
            "a: " + "[" * 500 + "]" * 500,
            "a: " + "[" * 200_000,
            "a: " + "{a: " * 500 + "1" + "}" * 500,
            "\n".join(" " * level + "a:" for level in range(500)),
            "a:\n  " + "- " * 500 + "1",
            "? " * 500,
        ],
    )
    def test_levels_are_counted_as_they_open(self, tmp_path: Path, text: str) -> None:
        assert f"deeper than {LEVELS_MAX} levels" in refused(tmp_path, text)[1]

    def test_levels_up_to_the_most_are_read(self, tmp_path: Path) -> None:
        value, _ = read(tmp_path, "a: " + "[" * LEVELS_MAX + "]" * LEVELS_MAX)
        assert value

    def test_values_up_to_the_most_are_read(self, tmp_path: Path) -> None:
        row = f"- &row [{'1, ' * 999}]\n"  # with itself 1,000 values, and 2 around it
        rows = (VALUES_MAX - 2) // 1_000
        text = "a:\n" + row + "- *row\n" * (rows - 1)
        assert len(read(tmp_path, text)[0]["a"]) == rows  # type: ignore[arg-type]
        assert "over" in refused(tmp_path, text + "- *row\n")[1]

    @pytest.mark.parametrize("text", ["[{0}]", "{{{0}}}"])
    def test_a_list_or_mapping_has_so_many_entries(self, tmp_path: Path, text: str) -> None:
        entries = [f"a{number}" for number in range(ENTRIES_MAX)]
        assert len(read(tmp_path, f"a: {text.format(', '.join(entries))}")[0]["a"]) == ENTRIES_MAX  # type: ignore[arg-type]
        assert "2,001 of its list" in refused(tmp_path, f"a: {text.format(', '.join([*entries, 'b']))}")[1]

    @pytest.mark.parametrize(
        "text", ["9" * 400, "0x" + "f" * 5000, "9" * 100_000 + "x_", "0." + "0" * 400 + "1", "1e" + "9" * 50]
    )
    def test_numbers_have_so_many_digits(self, tmp_path: Path, text: str) -> None:
        value, reader = read(tmp_path, f"a:\n  b: {text}\n")
        if text.endswith("x_"):
            assert value == {"a": {"b": text}}
            return
        (problem,) = reader.problems
        assert value == {"a": {"b": None}}
        assert (problem.line, problem.key) == (2, "a.b")
        assert f"{len(text):,} digits, and a number has {DIGITS_MAX} at most" in problem.message
        assert len(problem.message) < 250

    @pytest.mark.parametrize("key", ["a" * 201, '"a\\e[31m"', '"a\\n"', '"\\u202e"'])
    def test_keys_are_short_and_can_be_seen(self, tmp_path: Path, key: str) -> None:
        value, reader = read(tmp_path, f"b:\n  ? {key}\n  : 1\n  c: 2\n")
        (problem,) = reader.problems
        assert value == {"b": {"c": 2}}
        assert str(problem).isprintable()
        assert (problem.line, problem.key) == (2, "b")


class TestScalars:
    @pytest.mark.parametrize(
        ("text", "remedy"),
        [("02", "write 2,"), ("010", "write 10,"), ("1_000", "write 1000,"), ("06.5", "write 6.5,"), ("-02", "quote it"), ("6_", "write 6,"), ("0o17", "quote it"), ("0b11", "quote it"), ("0_2", "write 2,")],
    )  # fmt: skip
    def test_what_readers_disagree_on_is_refused(self, tmp_path: Path, text: str, remedy: str) -> None:
        value, reader = read(tmp_path, f"a: {text}\n")
        assert (value, remedy in reader.problems[0].message) == ({"a": None}, True)
        assert read(tmp_path, f'a: "{text}"\n')[0] == {"a": text}

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("0", 0), ("-3", -3), ("+3", 3), ("0x11", 17), ("1.", 1.0), (".5", 0.5), ("-1.5e-3", -0.0015), ("1:30", "1:30"),
            ("1.2.3", "1.2.3"), ("-", ["-"]), ("_", "_"), ("v1", "v1"), ("!!str 5", "5"), ("!!int 5", 5), ("!!float 5", 5.0), ("! 5", "5"),
            ("Null", None), ("~", None), ("on", "on"), ("deadbeef", "deadbeef"), ("2026-01-02", "2026-01-02"),
        ],
    )  # fmt: skip
    def test_read_as_yaml_1_2_has_them(self, tmp_path: Path, text: str, value: object) -> None:
        if text == "-":
            text = "[-]"
        read_value, reader = read(tmp_path, f"a: {text}\n")
        assert (read_value["a"], type(read_value["a"]), reader.problems) == (value, type(value), [])

    @pytest.mark.parametrize(
        "text",
        [
            "!!int x",
            "!!bool maybe",
            "!!binary aGk=",
            "!x 1",
            "!!set {a}",
            "!!python/object/apply:os.system [ls]",
            "!!null 1",
        ],
    )
    def test_tags_that_mean_nothing_here_are_refused(self, tmp_path: Path, text: str) -> None:
        _, reader = read(tmp_path, f"a: {text}\n")
        assert [each.key for each in reader.problems] == ["a"]


class TestMerges:
    def test_what_is_written_out_wins_then_what_is_named_first(self, tmp_path: Path) -> None:
        text = "x: &x {k: 1, l: 1, m: 1}\ny: &y {l: 2, n: 2}\na:\n  m: 3\n  <<: [*y, *x]\n"
        value, reader = read(tmp_path, text)
        assert value["a"] == {"m": 3, "l": 2, "n": 2, "k": 1}
        assert (reader.lines["a", "m"], reader.lines["a", "l"], reader.problems) == (4, 5, [])

    @pytest.mark.parametrize("merged", ["5", "[5]", "[[5]]", "~", "&x [1, 2]"])
    def test_what_is_no_mapping_is_refused(self, tmp_path: Path, merged: str) -> None:
        value, reader = read(tmp_path, f"a:\n  <<: {merged}\n  b: 1\n")
        assert value == {"a": {"b": 1}}
        assert all("<< takes a mapping" in each.message and each.line == 2 for each in reader.problems)
        assert reader.problems

    def test_a_quoted_sign_is_a_key(self, tmp_path: Path) -> None:
        assert read(tmp_path, 'a: {"<<": 1}\n')[0] == {"a": {"<<": 1}}


class TestStackFiles:
    def test_what_could_not_be_read_is_told_once(self, project: Project) -> None:
        text = project.write().replace("min: 1", "min: 01", 1)
        (problem,) = project.problems_of_text(text)
        assert (problem.key, "write 1," in problem.message) == (f"{LLM_KEY}.replicas.min", True)

    @pytest.mark.parametrize(
        "key",
        ["gpuMemoryGib", "memoryGib", "cpu", "requestsPerSecond", "p95LatencyMs", "replicas/max", "gpusPerReplica"],
    )
    @pytest.mark.parametrize("number", [1e308, 1e-300, -1e308, 10**29, 0, float("inf"), float("nan")])
    def test_every_number_of_a_model_has_a_range(self, project: Project, key: str, number: float) -> None:
        (problem,) = project.problems(put(f"{LLM}/{key}", number))
        assert problem.key == f"{LLM_KEY}.{key.replace('/', '.')}"

    @pytest.mark.parametrize(
        "section",
        [
            "model-factory:aws",
            "model-factory:labels",
            "model-factory:models",
            "model-factory:environment",
            "model-factory:rules",
            "aws:endpoints",
        ],
    )
    @pytest.mark.parametrize(
        "text", ["[" * 100_000 + "]" * 100_000, '{"a":' * 900 + "1" + "}" * 900, "{" * 100_000, f"[{'1, ' * 9_000}1]"]
    )
    def test_json_text_is_within_the_same_levels(self, project: Project, section: str, text: str) -> None:
        problems = project.problems(put(section, text))
        assert section in {each.key for each in problems}

    @pytest.mark.parametrize("inner", ["weights/revision", "weights/uri", "runtime", "image"])
    @pytest.mark.parametrize("character", ["\x1b[31m", "\x00", "\n", "\u202e", "\u200b"])
    def test_texts_hold_what_can_be_seen(self, project: Project, inner: str, character: str) -> None:
        (problem,) = project.problems(put(f"{LLM}/{inner}", f"abc{character}def"))
        assert "not printed" in problem.message
        assert str(problem).isprintable()

    def test_texts_and_lists_have_an_end(self, project: Project) -> None:
        assert "1,000 at most" in project.problems(put(f"{LLM}/weights/uri", "bucket://" + "a" * 1_000))[0].message
        assert "100 entries" in project.problems(put(f"{LLM}/args", ["--flag"] * 101))[0].message
        labels = {f"label{number}": "x" for number in range(21)}
        assert "20 entries" in project.problems(put("model-factory:labels", labels))[0].message
        assert "100 entries" in project.problems(put("model-factory:aws/regions", ["us-east-1"] * 1_000))[0].message

    def test_a_stack_has_so_many_models(self, project: Project) -> None:
        models = "".join(f"    m{number}: {{}}\n" for number in range(1_001))
        text = f"config:\n  aws:region: us-east-1\n  model-factory:environment: dev\n  model-factory:aws: {{}}\n  model-factory:models:\n{models}"
        (problem,) = project.problems_of_text(text)
        assert (problem.line, "1,001 models, and 1,000 are planned" in problem.message) == (5, True)

    def test_thousands_of_problems_are_told_in_a_few_lines(self, project: Project) -> None:
        text = project.write() + "".join(f"  model-factory:x{number}: 1\n" for number in range(1_000))
        problems = project.problems_of_text(text)
        assert len(problems) == 1_000
        assert str(SettingsError(problems)).splitlines()[-1] == "and 800 more problems"


class TestProviderKeys:
    @pytest.mark.parametrize("value", [[], {"a": "b"}, None])
    @pytest.mark.parametrize(
        "key",
        ["aws:secretKey", "aws:skipMetadataApiCheck", "aws:maxRetries", "gcp:zone", "gcp:accessToken", "docker:host"],
    )
    def test_one_value_is_no_list_and_not_empty(self, project: Project, key: str, value: object) -> None:
        problems = project.problems(put(key, value))
        assert any(each.key == key and "takes one value" in each.message for each in problems)

    @pytest.mark.parametrize(
        ("key", "value", "told"),
        [
            ("aws:skipMetadataApiCheck", "banana", "neither true nor false"),
            ("aws:maxRetries", "many", "not a whole number"),
            ("aws:maxRetries", 1.5, "not a whole number"),
            ("gcp:zone", "us\x1b[31m", "not printed"),
        ],
    )
    def test_flags_and_numbers_are_what_the_provider_reads(
        self, project: Project, key: str, value: object, told: str
    ) -> None:
        (problem,) = project.problems(put(key, value))
        assert (problem.key, told in problem.message) == (key, True)

    def test_right_ones_are_accepted(self, project: Project) -> None:
        for key, value in {"aws:skipMetadataApiCheck": True, "aws:maxRetries": "5", "aws:allowedAccountIds": ["123456789012"], "gcp:zone": "us-central1-a"}.items():  # fmt: skip
            project.load(put(key, value))

    def test_endpoints_are_of_services_that_there_are(self, project: Project) -> None:
        (problem,) = project.problems(lambda config: config["aws:endpoints"][0].update(eksx="http://127.0.0.1:4610"))
        assert (problem.key, "write eks" in problem.message) == ("aws:endpoints[0].eksx", True)

    @pytest.mark.parametrize("group", [{}, {"sns": "http://127.0.0.1:4610"}, {"sts": "http://127.0.0.1:4666"}])
    def test_endpoints_stand_in_one_mapping(self, project: Project, group: object) -> None:
        (problem,) = project.problems(lambda config: config["aws:endpoints"].append(group))
        assert (problem.key, "second mapping" in problem.message) == ("aws:endpoints[1]", True)
