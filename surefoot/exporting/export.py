"""`export`: the file and its card, both written or neither."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from surefoot.errors import UsageError, closest
from surefoot.exporting.card import Played, card
from surefoot.exporting.onnx_graph import to_onnx
from surefoot.exporting.origin import Origin, origin_of
from surefoot.exporting.stablehlo import to_stablehlo
from surefoot.new_files import all_beside, check_new_file

if TYPE_CHECKING:
    from surefoot.agent import Agent


class Format(NamedTuple):
    """A kind of file."""

    needs: str
    """The package that writing takes."""
    write: Callable[[Agent, Origin], bytes]


FORMATS = {"onnx": Format("onnx", to_onnx), "stablehlo": Format("flatbuffers", to_stablehlo)}
_CARD = "card.md"


class Exported(NamedTuple):
    """What was written."""

    policy: Path
    card: Path
    evaluated: int
    """Episodes that were played for the card."""


def check_export(path: Path, kind: str) -> None:
    """Raise `UsageError` unless `export` can write there."""
    if kind not in FORMATS:
        raise UsageError(
            f"format is {kind!r}; accepted are {', '.join(FORMATS)}.{closest(str(kind), FORMATS)}"
        )
    suffix = f".{kind}"
    if path.suffix != suffix:
        others = [other for other in FORMATS if path.suffix == f".{other}"]
        mend = f": pass format {others[0]}, or another path" if others else ""
        raise UsageError(
            f"{path} ends in {path.suffix or 'nothing'!r}; accepted for the format {kind} is "
            f"{suffix}{mend}"
        )
    check_new_file(path, purpose="the policy")
    check_new_file(path.with_name(_CARD), purpose="the policy's card")
    needs = FORMATS[kind].needs
    if importlib.util.find_spec(needs) is None:
        raise UsageError(f"the format {kind} needs {needs}: pip install 'surefoot[export]'")


def export(
    agent: Agent,
    path: str | Path,
    *,
    format: str = "onnx",  # noqa: A002
    episodes: int = 20,
    seed: int = 1,
    env: Any = None,
    run: Path | None = None,
) -> Exported:
    """Write the agent's most probable actions as a file of that format, and `card.md` beside it.

    Args:
        agent: whose policy it is.
        path: a new file that ends in .onnx or .stablehlo.
        format: "onnx" or "stablehlo".
        episodes: how many are played for the card; none if the agent knows no environment.
        seed: of these episodes.
        env: what they are played on, if not what the agent was trained on.
        run: the run's folder, for the command and the returns of training.

    Raises:
        UsageError: the file cannot be written there, or the policy has no such form; nothing has
            been written then.
    """
    path = Path(path)
    if isinstance(episodes, bool) or not isinstance(episodes, int) or episodes < 0:
        raise UsageError(f"episodes is {episodes!r}; accepted is an integer >= 0")
    check_export(path, format)
    origin = origin_of(agent, run)
    data = FORMATS[format].write(agent, origin)
    where = agent.environment if env is None else env
    env_id = where if isinstance(where, str) else None
    played = None
    if episodes > 0 and where is not None:
        played = Played(agent.evaluate(episodes, seed, env=where), seed, env_id)
    text = card(agent, origin, file=path.name, kind=format, played=played, env_id=env_id)
    told = path.with_name(_CARD)
    try:
        with all_beside(path, told) as (policy_part, card_part):
            policy_part.write_bytes(data)
            # What files tell may hold half a character, which UTF-8 has none of.
            card_part.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(f"{path} cannot be made: {error.strerror}; pass another path") from None
    return Exported(path, told, 0 if played is None else len(played.result.returns))
