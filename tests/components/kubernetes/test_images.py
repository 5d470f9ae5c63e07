from __future__ import annotations

import pytest

from components.kubernetes.images import image_in, in_own_registry

DIGEST = f"sha256:{'a' * 64}"


class TestImages:
    @pytest.mark.parametrize("image", [f"llm@{DIGEST}", f"llm:1.2@{DIGEST}"])
    def test_a_bare_name_is_of_the_own_registry(self, image: str) -> None:
        assert in_own_registry(image)

    @pytest.mark.parametrize("image", [f"vllm/vllm-openai@{DIGEST}", f"registry.test/llm@{DIGEST}"])
    def test_a_name_with_an_owner_is_taken_as_written(self, image: str) -> None:
        assert not in_own_registry(image)

    def test_keeps_tag_and_digest(self) -> None:
        assert image_in("registry.test/r", f"llm:1.2@{DIGEST}") == f"registry.test/r:1.2@{DIGEST}"
        assert image_in("registry.test/r", f"llm@{DIGEST}") == f"registry.test/r@{DIGEST}"

    def test_no_digest_is_refused(self) -> None:
        with pytest.raises(ValueError, match="has no digest"):
            image_in("r", "llm:1.2")
