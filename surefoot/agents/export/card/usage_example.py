"""Python that runs an exported policy, for its card; a test executes it.

It is of two parts: `act`, which hands one observation to the policy, and a loop that plays an
episode with it. A memory is handed on from step to step in the loop, and a mask that the
environment gives beside its observations is put into them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from gymnasium import spaces

from surefoot.agents.export.formats.ports import Interface, Port, ports
from surefoot.agents.export.formats.program import nested
from surefoot.envs.host.atari import Preprocessing
from surefoot.envs.spaces.masks import ACTION_MASK

_WRAPPERS = "AtariPreprocessing", "FrameStackObservation"


def usage(
    taken: Interface,
    *,
    file: str,
    kind: str,
    env_id: str | None,
    observed: str | None = None,
    game: Preprocessing | None = None,
) -> str:
    """The code: an episode of a Gymnasium environment if its id is given, otherwise the action for
    one observation. `observed` is Python for what the policy sees of `observation` and `info`,
    where that is more than the observation; `game` what becomes of an Atari game's frames."""
    runtime = {"onnx": "import onnxruntime", "stablehlo": "import jax"}[kind]
    imports = ["import numpy as np", runtime]
    made: list[str] = []
    if env_id:
        imports.append("import gymnasium")
        made = [f"env = gymnasium.make({_literal(env_id)})"]
    if env_id and game is not None:
        imports += ["import ale_py", f"from gymnasium.wrappers import {', '.join(_WRAPPERS)}"]
        made = _game(env_id, game)
    ordered = sorted(imports, key=lambda line: line.split()[1])
    acting = _onnx(taken) if kind == "onnx" else _stablehlo(taken)
    played = [*made, *_episode(taken, observed)] if env_id else _once(taken)
    return "\n".join([*ordered, "", *_loading(file, kind), "", *acting, "", *played])


def _loading(file: str, kind: str) -> list[str]:
    if kind == "onnx":
        return [f"policy = onnxruntime.InferenceSession({_literal(file)})"]
    return [
        f'with open({_literal(file)}, "rb") as opened:',
        "    policy = jax.export.deserialize(bytearray(opened.read()))",
    ]


def _has_memory(taken: Interface) -> bool:
    return "state" in taken.takes


def _head(taken: Interface) -> str:
    return f"def act({', '.join(taken.takes)}):"


def _onnx(taken: Interface) -> list[str]:
    parts = [
        f"        {_literal(port.name)}: {_batch_of_one(port, name)},"
        for name, space in taken.takes.items()
        for port in ports(space, name)
    ]
    lines = [_head(taken), "    batch = {", *parts, "    }"]
    names = [port.name for port in taken.outputs]
    run = f"policy.run([{', '.join(map(_literal, names))}], batch)"
    several = isinstance(taken.gives["action"], spaces.Dict | spaces.Tuple)
    if len(names) == 1 and not several:
        return [*lines, f"    return {run}[0][0]"]
    place = {name: f"outputs[{i}]" for i, name in enumerate(names)}
    made = [_nested(taken.gives["action"], "action", lambda port: f"{place[port.name]}[0]")]
    if _has_memory(taken):
        state = taken.gives["next_state"]
        made.append(_nested(state, "next_state", lambda port: place[port.name]))
    return [*lines, f"    outputs = {run}", f"    return {', '.join(made)}"]


def _stablehlo(taken: Interface) -> list[str]:
    observation, action = taken.takes["observation"], taken.gives["action"]
    batch = _nested(observation, "observation", lambda port: _batch_of_one(port, "observation"))
    lines = [
        _head(taken),
        f"    batch = {batch}",
        "    with jax.enable_x64(True):  # Types may be of 64 bits.",
    ]
    if not _has_memory(taken) and not isinstance(action, spaces.Dict | spaces.Tuple):
        return [*lines, "        return np.asarray(policy.call(batch))[0]"]
    made = _nested(action, "action", lambda port: f"np.asarray(action{_keys(port)})[0]")
    if _has_memory(taken):
        call = "        action, state = policy.call(batch, state, np.array([reset]))"
        return [*lines, call, f"        return {made}, state"]
    return [*lines, "        action = policy.call(batch)", f"        return {made}"]


def _keys(port: Port) -> str:
    return "".join(f"[{_literal(key)}]" for key in port.path)


def _batch_of_one(port: Port, name: str) -> str:
    match name:
        case "state":
            return f"state{_keys(port)}"
        case "reset":
            return "np.array([reset])"
        case _:
            return f"np.asarray(observation{_keys(port)}, np.{port.dtype})[None]"


def _nested(space: spaces.Space, name: str, part: Callable[[Port], str]) -> str:
    """Python for what is called so, each part as `part` has it."""
    return _text(nested(space, map(part, ports(space, name))))


def _text(tree: Any) -> str:
    match tree:
        case dict():
            return "{" + ", ".join(f"{_literal(k)}: {_text(x)}" for k, x in tree.items()) + "}"
        case tuple():
            return "(" + "".join(f"{_text(x)}, " for x in tree) + ")"
        case _:
            return str(tree)


def _start(taken: Interface) -> list[str]:
    """The state of before an episode."""
    if not _has_memory(taken):
        return []

    def zeros(port: Port) -> str:
        return f"np.zeros({(1, *port.shape)!r}, np.{port.dtype})"

    any_state = _nested(taken.takes["state"], "state", zeros)
    return [
        f"state = {any_state}  # Of no account where an episode starts.",
        "reset = True",
    ]


def _game(env_id: str, game: Preprocessing) -> list[str]:
    """How an Atari game is made that is seen as the policy saw it."""
    sticky = game.repeat_action_probability
    return [
        "gymnasium.register_envs(ale_py)",
        "env = gymnasium.make(",
        f"    {_literal(env_id)}, frameskip=1, repeat_action_probability={sticky},",
        '    obs_type="grayscale",',
        ")",
        "env = AtariPreprocessing(",
        f"    env, noop_max={game.noop_max}, frame_skip={game.frame_skip}, "
        f"screen_size={game.screen_size}",
        ")",
        f"env = FrameStackObservation(env, {game.frame_stack})",
    ]


def _episode(taken: Interface, observed: str | None) -> list[str]:
    info = "info" if observed else "_"
    seen = "seen" if observed else "observation"
    stepped = f"observation, reward, terminated, truncated, {info} = env.step"
    if _has_memory(taken):
        acting = [
            f"    action, state = act({seen}, state, reset)",
            "    reset = False  # Until the next episode.",
            f"    {stepped}(action)",
        ]
    else:
        acting = [f"    {stepped}(act({seen}))"]
    return [
        f"observation, {info} = env.reset(seed=1)",
        *_start(taken),
        "total, ended = 0.0, False",
        "while not ended:",
        *([f"    seen = {observed}"] if observed else []),
        *acting,
        "    total, ended = total + reward, terminated or truncated",
        'print("return", total)',
    ]


def _once(taken: Interface) -> list[str]:
    example = _nested(taken.takes["observation"], "observation", _example)
    lines = [f"observation = {example}  # Yours.", *_start(taken)]
    if not _has_memory(taken):
        return [*lines, 'print("action", act(observation))']
    return [
        *lines,
        "for _ in range(3):  # Steps of one episode.",
        "    action, state = act(observation, state, reset)",
        "    reset = False  # Until the next episode.",
        '    print("action", action)',
    ]


def _example(port: Port) -> str:
    # Every action is valid.
    start: Any = 1 if port.name == ACTION_MASK else 0
    if isinstance(port.space, spaces.Discrete):
        start = int(port.space.start)
    elif isinstance(port.space, spaces.MultiDiscrete):
        start = np.asarray(port.space.start).tolist()
    return f"np.full({port.shape!r}, {start!r}, np.{port.dtype})"


def _literal(value: Any) -> str:
    """Python for it, text in the quotes of this library where it has none of its own."""
    text = repr(value)
    plain = isinstance(value, str) and not {"'", '"'} & set(value)
    return f'"{text[1:-1]}"' if plain else text
