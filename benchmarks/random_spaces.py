"""Random observation and action spaces: an agent acts the same wherever it has been, or it was
refused before the first step.

    python -m benchmarks.random_spaces --count 1000 [--first 0]

Each number gives an environment with spaces of its own, nested up to three deep: boxes of every
type, bounds up to the ends of it, the discrete spaces with other starts, keys in any order. A2C is
trained on it for two iterations. The agent in memory, the one that is loaded from its folder, the
one of the run that is resumed from its first checkpoint, and the exported files must then take the
same actions, and earn the same returns. A space that cannot be kept must be refused in one line,
with nothing stepped and nothing written. A line is printed for every number that does neither, and
the exit code is 1 then.
"""

from __future__ import annotations

import argparse
import collections
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium import spaces

import surefoot as sf

OPTIONS = {
    "steps": 64,
    "num_envs": 2,
    "horizon": 16,
    "hidden": (4,),
    "learning_rate": 0.1,
    "checkpoint_every": 0,
}
ROWS = 8
#: Cases after which what was compiled is dropped.
AT_ONCE = 20
_SHAPES = [(), (1,), (3,), (2, 2)]
_FLOATS = [np.float16, np.float32, np.float64]
_INTEGERS = [
    kind
    for name in ("int", "uint")
    for kind in (getattr(np, f"{name}{b}") for b in (8, 16, 32, 64))
]
_KEYS = ["place", "speed", "a", "B", "z.z", "", "ключ", "two words", "'", "0"]


class Case(NamedTuple):
    """What an environment has."""

    observation_space: spaces.Space
    action_space: spaces.Space


class Outcome(NamedTuple):
    """What became of a case."""

    verdict: str
    """"same", "refused" or "WRONG"."""
    reason: str
    """Of a refusal, its line; of what is wrong, what it is."""


def case(number: int) -> Case:
    """The spaces of that number."""
    rng = np.random.default_rng(number)
    return Case(_observation(rng, depth=int(rng.integers(4))), _action(rng))


def _observation(rng: np.random.Generator, *, depth: int) -> spaces.Space:
    if depth == 0 or rng.random() < 0.2:
        return _leaf(rng)
    parts = [_observation(rng, depth=depth - 1) for _ in range(rng.integers(1, 4))]
    if rng.random() < 0.02:
        parts = []
    if rng.random() < 0.4:
        return spaces.Tuple(parts)
    keys: list[Any] = rng.permutation(_KEYS)[: len(parts)].tolist()
    if rng.random() < 0.03:
        keys = list(range(len(parts)))
    pairs = list(zip(keys, parts, strict=True))
    return spaces.Dict(dict(pairs) if rng.random() < 0.3 else pairs)


def _leaf(rng: np.random.Generator) -> spaces.Space:
    match rng.integers(6):
        case 0:
            return spaces.Discrete(int(rng.integers(1, 6)), start=int(rng.integers(-3, 4)))
        case 1:
            return _multi_discrete(rng)
        case 2:
            shape = _SHAPES[rng.integers(1, 4)]
            return spaces.MultiBinary(shape if rng.random() < 0.5 else 3)
        case 3:
            return _integer_box(rng)
        case 4 if rng.random() < 0.1:
            return spaces.Text(3)
        case _:
            return _float_box(rng)


def _multi_discrete(rng: np.random.Generator) -> spaces.Space:
    counts = rng.integers(1, 5, size=_SHAPES[rng.integers(1, 4)])
    kind = _INTEGERS[rng.integers(len(_INTEGERS))]
    start = rng.integers(0, 4, size=counts.shape)
    return spaces.MultiDiscrete(counts, dtype=kind, start=start)


def _integer_box(rng: np.random.Generator) -> spaces.Space:
    shape = _SHAPES[rng.integers(4)]
    if rng.random() < 0.2:
        return spaces.Box(0, 1, shape, np.bool_)
    kind = _INTEGERS[rng.integers(len(_INTEGERS))]
    ends = np.iinfo(kind)
    low = ends.min if rng.random() < 0.5 else max(ends.min, -9)
    high = ends.max if rng.random() < 0.5 else 9
    return spaces.Box(np.full(shape, low, kind), np.full(shape, high, kind), shape, kind)


def _float_box(rng: np.random.Generator) -> spaces.Space:
    kind = _FLOATS[rng.integers(3)]
    shape = _SHAPES[rng.integers(4)]
    bounds = rng.normal(size=(2, *shape)).astype(kind)
    bounds.sort(axis=0)
    for i, end in enumerate((-1, 1)):
        what = rng.random()
        if what < 0.2:
            bounds[i] = end * np.inf
        elif what < 0.3:
            bounds[i] = end * np.finfo(kind).max
    return spaces.Box(np.asarray(bounds[0]), np.asarray(bounds[1]), shape, kind)


def _action(rng: np.random.Generator) -> spaces.Space:
    match rng.integers(5):
        case 0:
            far = rng.random() < 0.1
            start = 2**40 if far else int(rng.integers(-5, 6))
            return spaces.Discrete(int(rng.integers(1, 6)), start=start)
        case 1:
            return _multi_discrete(rng)
        case 2:
            return spaces.MultiBinary(_SHAPES[rng.integers(1, 4)])
        case 3 if rng.random() < 0.1:
            return _integer_box(rng)
        case _:
            return _float_box(rng)


def sample(space: spaces.Space, rng: np.random.Generator) -> Any:
    """An observation of the space, a `Dict`'s parts in any order. Gymnasium's own sampling lacks
    the ends of 64 bits."""
    match space:
        case spaces.Dict():
            keys = list(space)
            return {keys[i]: sample(space[keys[i]], rng) for i in rng.permutation(len(keys))}
        case spaces.Tuple():
            return tuple(sample(part, rng) for part in space)
        case spaces.Box():
            near = rng.integers(-3, 4, space.shape)
            if space.dtype.kind == "f":
                near = near + rng.random(space.shape)
            else:
                near = near.astype(object)
            inside = np.minimum(np.maximum(near, space.low), space.high)
            return np.asarray(inside).astype(space.dtype)
        case spaces.Discrete():
            return int(space.start) + int(rng.integers(space.n))
        case spaces.MultiDiscrete():
            return (space.start + rng.integers(space.nvec)).astype(space.dtype)
        case _:
            return rng.integers(2, size=space.shape, dtype=np.int8)


def batch(space: spaces.Space, rows: Sequence[Any]) -> Any:
    """Observations as a batch of them."""
    match space:
        case spaces.Dict():
            return {key: batch(part, [row[key] for row in rows]) for key, part in space.items()}
        case spaces.Tuple():
            return tuple(batch(part, [row[i] for row in rows]) for i, part in enumerate(space))
        case _:
            return np.asarray(rows, space.dtype)


def environment(spaces_of: Case, taken: list[Any]) -> Callable[[], gymnasium.Env]:
    """Makes an environment of these spaces, whose rewards are told by its actions, all of which
    are added to `taken`."""

    class Random(gymnasium.Env):
        observation_space, action_space = spaces_of

        def reset(self, *, seed: int | None = None, options: Any = None) -> Any:
            super().reset(seed=seed)
            self._age = 0
            return sample(self.observation_space, self.np_random), {}

        def step(self, action: Any) -> Any:
            taken.append(action)
            self._age += 1
            reward = float(np.tanh(np.asarray(action, float)).sum())
            obs = sample(self.observation_space, self.np_random)
            return obs, reward, False, self._age == 5, {}

    return Random


def check(number: int, folder: Path) -> Outcome:
    """What becomes of the case of that number; `folder` is a new one."""
    case_ = case(number)
    taken: list[Any] = []
    env = environment(case_, taken)
    run = folder / "run"
    try:
        agent = sf.train("a2c", env, out=run, seed=number, **OPTIONS)
    except sf.UsageError as error:
        if "\n" in str(error) or taken or run.exists():
            return Outcome("WRONG", f"refused too late, or in several lines: {error}")
        return Outcome("refused", str(error))
    rng = np.random.default_rng(number)
    rows = [sample(case_.observation_space, rng) for _ in range(ROWS)]
    seen = batch(case_.observation_space, rows)
    wanted = agent.predict(seen)[0]
    wrong = []

    def compare(what: str, found: Any, *, exact: bool = True) -> None:
        found = np.asarray(found)
        near = (
            0.0 if exact or found.dtype.kind != "f" else 1e-2 if found.dtype.itemsize == 2 else 1e-4
        )
        same = found.shape == wanted.shape and found.dtype == wanted.dtype
        if not same or not np.allclose(found, wanted, rtol=near, atol=near, equal_nan=True):
            wrong.append(f"{what} acts otherwise")

    if not np.isfinite(np.asarray(wanted, float)).all():
        wrong.append("its actions are not finite")
    single = np.stack([agent.predict(row)[0] for row in rows])
    compare("one observation after the other", single, exact=False)
    loaded = sf.load(run)
    compare("the loaded agent", loaded.predict(seen)[0])
    ours, theirs = (one.evaluate(3, env=env) for one in (agent, loaded))
    if not (np.array_equal(ours.returns, theirs.returns) and len(ours.returns) == 3):
        wrong.append(f"the loaded agent earns {theirs.returns}, and not {ours.returns}")
    compare("the resumed run", _resumed(run, folder / "resumed", env).predict(seen)[0])
    compare("ONNX", _onnx(loaded, folder / "policy.onnx", seen), exact=False)
    compare("StableHLO", _stablehlo(loaded, folder / "policy.stablehlo", seen), exact=False)
    return Outcome("WRONG", "; ".join(wrong)) if wrong else Outcome("same", "")


def _resumed(run: Path, copy: Path, env: Any) -> sf.Agent:
    """The agent of a run that went on from the first checkpoint of another."""
    shutil.copytree(run, copy)
    newest = max((copy / "checkpoints").iterdir(), key=lambda path: int(path.name))
    shutil.rmtree(newest)
    shutil.rmtree(copy / "agent")
    sf.resume(copy, env=env)
    return sf.load(copy)


def _onnx(agent: sf.Agent, path: Path, seen: Any) -> Any:
    import onnxruntime

    from surefoot.agents.export.formats.ports import ports

    sf.export(agent, path, episodes=0)
    session = onnxruntime.InferenceSession(str(path))
    given = {}
    for port in ports(agent.observation_space):
        part = seen
        for key in port.path:
            part = part[key]
        given[port.name] = part
    return session.run(["action"], given)[0]


def _stablehlo(agent: sf.Agent, path: Path, seen: Any) -> Any:
    import jax

    sf.export(agent, path.parent / "stablehlo" / path.name, format="stablehlo", episodes=0)
    program = jax.export.deserialize(
        bytearray((path.parent / "stablehlo" / path.name).read_bytes())
    )
    with jax.enable_x64(True):
        return np.asarray(program.call(seen))


def main() -> int:
    """Check as many as are asked for, and print what became of them."""
    import jax

    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n\n")[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    options = parser.parse_args()
    found: collections.Counter[str] = collections.Counter()
    for number in range(options.first, options.first + options.count):
        with tempfile.TemporaryDirectory() as folder:
            try:
                outcome = check(number, Path(folder))
            except Exception as error:  # Whatever it is, it is what is looked for.
                outcome = Outcome("WRONG", f"{type(error).__name__}: {error}")
        found[outcome.verdict] += 1
        if (number + 1) % AT_ONCE == 0:
            print(f"up to {number}: {json.dumps(found)}", flush=True)
            # No two have programs in common, and all of them would be kept.
            jax.clear_caches()
        if outcome.verdict == "WRONG":
            print(f"{number}: {outcome.reason}\n  {case(number)}", flush=True)
    print(json.dumps(found))
    return 1 if found["WRONG"] else 0


if __name__ == "__main__":
    sys.exit(main())
