"""A session refuses before anything is called or written."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_factory.cli.errors import BadInputError
from model_factory.cli.session import Session


class TestRenderTo:
    def test_a_folder_with_files_of_others_is_refused_by_key(self, project: Path) -> None:
        file = project / "Pulumi.dev.yaml"
        text = file.read_text(encoding="utf-8")
        assert "model-factory:local:" not in text
        file.write_text(f"{text.rstrip()}\n  model-factory:local: {{renderTo: docs}}\n", encoding="utf-8")
        (project / "docs").mkdir()
        assert Session.open("dev", project)
        (project / "docs" / "index.md").touch()
        with pytest.raises(
            BadInputError, match=r"Pulumi\.dev\.yaml: model-factory:local\.renderTo: 'docs' holds index\.md"
        ):
            Session.open("dev", project)
