"""The page on the theory says what is so."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "theory.md"


def test_the_page_runs_from_top_to_bottom(capsys):
    exec("\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)), {})
    told = capsys.readouterr().out
    assert "at least" in told
    assert "fixed ε: step 0.0;" in told
