"""What the pages on exports and callbacks show is run as it stands there, as far as torch alone will do."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent.parent / "docs"


@pytest.mark.parametrize("page", ["export.md", "callbacks.md"])
def test_the_first_example_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, object] = {}
    exec(compile(examples[0], page, "exec"), names)
    if page == "export.md":
        assert (tmp_path / "small.pt2").is_file()
    else:
        assert getattr(names["pruner"], "finished", False)
