"""The page on deploying says what is so."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "deploying.md"


def test_the_page_runs_from_top_to_bottom(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec("\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)), {})
    assert "policy.onnx robot/card.md 20" in capsys.readouterr().out
    made = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.glob("r*/*") if p.is_file())
    assert made == [
        "robot-jax/card.md",
        "robot-jax/policy.stablehlo",
        "robot/card.md",
        "robot/policy.onnx",
    ]
    assert (tmp_path / "out.mp4").stat().st_size > 1000
