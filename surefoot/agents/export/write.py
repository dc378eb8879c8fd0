"""An exported policy's file and its card: both are written, or neither."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from surefoot.agents.export.card.card import Played, card
from surefoot.agents.export.formats.onnx_graph import to_onnx
from surefoot.agents.export.formats.provenance import Origin
from surefoot.agents.export.formats.stablehlo import to_stablehlo
from surefoot.agents.playing.policy_spec import EnvLike
from surefoot.common.errors import UsageError, closest, in_short
from surefoot.common.files.atomic import all_beside, check_new_file
from surefoot.common.parameters import check_integer
from surefoot.common.settings import MAX_EPISODE_STEPS

if TYPE_CHECKING:
    from surefoot.agents.agent import Agent


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


def check_export(path: Path, kind: str, episodes: int) -> None:
    """Raise `UsageError` unless `write` can write there."""
    check_integer("episodes", episodes, 0)
    if not isinstance(kind, str) or kind not in FORMATS:
        raise UsageError(
            f"format is {in_short(kind)}; accepted are {', '.join(FORMATS)}."
            f"{closest(str(kind), FORMATS)}"
        )
    suffix = f".{kind}"
    if path.suffix != suffix:
        others = [other for other in FORMATS if path.suffix == f".{other}"]
        fix = f": pass format {others[0]}, or another path" if others else ""
        raise UsageError(
            f"{path} ends in {path.suffix or 'nothing'!r}; accepted for the format {kind} is "
            f"{suffix}{fix}"
        )
    check_new_file(path, purpose="the policy")
    check_new_file(path.with_name(_CARD), purpose="the policy's card")
    needs = FORMATS[kind].needs
    if importlib.util.find_spec(needs) is None:
        raise UsageError(f"the format {kind} needs {needs}: pip install 'surefoot[export]'")


def write(
    agent: Agent,
    path: Path,
    origin: Origin,
    *,
    kind: str,
    episodes: int,
    seed: int,
    env: EnvLike | None,
    max_episode_steps: int = MAX_EPISODE_STEPS,
) -> Exported:
    """Write the agent's most probable actions as a file of that kind, and `card.md` beside it, with
    the returns of that many episodes, once `check_export` has passed. Raises `UsageError` if the
    policy has no such form, or a file cannot be written; nothing has been written then."""
    data = FORMATS[kind].write(agent, origin)
    where = agent.environment if env is None else env
    env_id = where if isinstance(where, str) else None
    played = None
    if episodes > 0 and where is not None:
        most = max_episode_steps
        result = agent.evaluate(episodes, seed, env=where, max_episode_steps=most)
        played = Played(result, seed, env_id)
    text = card(agent, origin, file=path.name, kind=kind, played=played, env_id=env_id)
    told = path.with_name(_CARD)
    try:
        with all_beside(path, told) as (policy_part, card_part):
            policy_part.write_bytes(data)
            # What files tell may hold half a character, which UTF-8 has none of.
            card_part.write_text(text, encoding="utf-8", errors="replace")
    except OSError as error:
        raise UsageError(f"{path} cannot be made: {error.strerror}; pass another path") from None
    return Exported(path, told, 0 if played is None else len(played.result.returns))
