from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.kubernetes.runtimes import RUNTIMES
from components.kubernetes.weights import ROUTES, weights_of
from components.kubernetes.weights.gcs import GcsBuckets
from components.kubernetes.weights.route import Folder, PodWeights, folder
from components.kubernetes.weights.s3 import S3Buckets
from model_factory.planning.settings.sections import ModelSettings
from tests.components.kubernetes.placed import a_model


class TestFolders:
    @given(st.text("ab/", max_size=12), st.none() | st.text("12", min_size=1, max_size=4))
    def test_end_with_one_slash_and_double_none(self, path: str, revision: str | None) -> None:
        prefix = folder(path, revision)
        assert "//" not in prefix
        assert not prefix.startswith("/")
        assert prefix == "" or prefix.endswith("/")


class Buckets:
    """Buckets of a cloud that only remember what was asked of them."""

    def weights(self, model: ModelSettings, folder: Folder) -> PodWeights:
        return PodWeights(argument=model.name, reads=folder)


class TestPlaces:
    def test_the_own_bucket_serves_every_cloud(self) -> None:
        assert ROUTES["bucket"].cloud is None
        assert weights_of(a_model(), Buckets()).reads == Folder("", "m/7/", "m/")

    def test_a_foreign_bucket_is_taken_apart(self) -> None:
        weights = {"uri": "s3://shared/models/m", "revision": "7"}
        assert weights_of(a_model(weights=weights), Buckets()).reads == Folder("shared", "models/m/7/", "models/m/")

    def test_all_revisions_can_be_read_while_one_follows_another(self) -> None:
        both = [weights_of(a_model(weights={"uri": "bucket://m", "revision": each}), Buckets()).reads for each in "78"]
        assert both == [Folder("", "m/7/", "m/"), Folder("", "m/8/", "m/")]

    def test_a_hub_serves_those_that_fetch(self) -> None:
        weights = a_model(weights={"uri": "hf://owner/m", "revision": "a" * 40})
        assert weights_of(weights, Buckets()).argument == "owner/m"
        assert "hf" in RUNTIMES["vllm"].fetches
        assert "hf" not in RUNTIMES["torchserve"].fetches

    @pytest.mark.parametrize("revision", [None, "main", "A" * 40])
    def test_hub_weights_without_a_commit_are_refused(self, revision: str | None) -> None:
        assert [key for key, _ in ROUTES["hf"].refuse("owner/m", revision)] == ["revision"]
        assert not [*ROUTES["hf"].refuse("owner/m", "a" * 40)]


FOLDERS = ("models/llm", "a/b=1/_c/", "v1.2-rc_3", "/a//b")
NO_FOLDERS = (
    "*",
    "a/*",
    "a/..",
    "../a",
    ".",
    "a/.b",
    "a b",
    "a,b",
    "a?",
    "a%2e",
    "$(HOME)",
    "${aws:userid}",
    'a"',
    "-a",
    "é",
    "a\\b",
)


class TestForms:
    """What stands in policies and options of mounts: neither can say more than the one folder."""

    @pytest.mark.parametrize("path", FOLDERS)
    def test_folders(self, path: str) -> None:
        for scheme, before in (("bucket", ""), ("s3", "shared/"), ("gs", "shared/")):
            assert [*ROUTES[scheme].refuse(before + path, "1.0")] == []

    @pytest.mark.parametrize("path", NO_FOLDERS)
    def test_no_folders(self, path: str) -> None:
        for scheme, before in (("bucket", ""), ("s3", "shared/"), ("gs", "shared/")):
            assert [key for key, _ in ROUTES[scheme].refuse(before + path, "1.0")] == ["uri"]
        with pytest.raises(ValueError, match="revision"):
            a_model(weights={"uri": "bucket://m", "revision": path})

    @pytest.mark.parametrize(
        ("scheme", "bucket", "right"),
        [
            *(("s3", each, True) for each in ("abc", "a.b-c", "0" * 63)),
            *(
                ("s3", each, False)
                for each in ("ab", "a_b", "Abc", "a..b", "1.2.3.4", "0" * 64, "x-s3alias", "*", "xn--abc", "-ab", "ab-")
            ),
            *(("gs", each, True) for each in ("abc", "a_b", "example.com", f"{'a' * 63}.{'b' * 63}")),
            *(("gs", each, False) for each in ("ab", "a..b", "a.-b", "1.2.3.4", "Abc", "0" * 64, "-ab", "ab_")),
        ],
    )
    def test_buckets(self, scheme: str, bucket: str, right: bool) -> None:
        assert [key for key, _ in ROUTES[scheme].refuse(f"{bucket}/m", None)] == ([] if right else ["uri"])

    @pytest.mark.parametrize(
        "path", ["a", "a/b/c", "a/b?x=1", "a/../b", "a/b--c", "a/.b", "a/b.git", "a/b ", "é/b", f"a/{'b' * 97}"]
    )
    def test_no_repositories(self, path: str) -> None:
        assert [key for key, _ in ROUTES["hf"].refuse(path, "a" * 40)] == ["uri"]

    @pytest.mark.parametrize("path", ["Qwen/Qwen2.5-7B-Instruct", "a/b", "01-ai/Yi_1.5"])
    def test_repositories(self, path: str) -> None:
        assert [*ROUTES["hf"].refuse(path, "a" * 40)] == []


class TestEveryRoute:
    @pytest.mark.parametrize("scheme", ROUTES)
    def test_shows_how_it_is_written(self, scheme: str) -> None:
        assert ROUTES[scheme].form.startswith(f"{scheme}://")

    @pytest.mark.parametrize("scheme", ROUTES)
    def test_brings_a_volume_exactly_if_it_is_mounted(self, scheme: str) -> None:
        asked = a_model(weights={"uri": f"{scheme}://owner/m", "revision": "a" * 40})
        for buckets in (S3Buckets("own", "us-east-1"), GcsBuckets("own")):
            assert (weights_of(asked, buckets).volume is not None) is ROUTES[scheme].mounted
