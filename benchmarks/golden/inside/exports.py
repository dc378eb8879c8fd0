"""Exported policies: what they answer, and what their cards say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
import onnxruntime
from command import done
from outcomes import rows
from pages import versionless

import surefoot as sf

_ENVS = {"categorical": "CartPole-v1", "gaussian": "Pendulum-v1"}
_SMALL = ["--num-envs", "2", "--horizon", "32", "--hidden", "4", "--steps", "128", "--no-report"]


def exported(name: str) -> dict[str, Any]:
    """The actions of an agent that a command trained, and of its files, for the same
    observations."""
    done("train", "trpo", _ENVS[name], *_SMALL, "--out", "run")
    seen = observations(_ENVS[name])
    agent = sf.load("run")
    made: dict[str, Any] = {
        "rows": rows(Path("run/metrics.jsonl")),
        "agent": np.asarray(agent.predict(seen)[0]).tolist(),
    }
    for kind, answers in (("onnx", _onnx), ("stablehlo", _stablehlo)):
        done("export", "run", "--format", kind, "--episodes", "3", "--out", f"{kind}/policy.{kind}")
        card = Path(kind) / "card.md"
        made[kind] = {
            **answers(Path(kind) / f"policy.{kind}", seen),
            "card": [versionless(line) for line in card.read_text().splitlines()],
        }
    return made


def observations(env: str) -> np.ndarray:
    """A few that are always the same, some of them far from what is seen in training."""
    size = {"CartPole-v1": 4, "Pendulum-v1": 3}[env]
    drawn = np.random.default_rng(0).normal(size=(16, size)) * np.geomspace(0.01, 10.0, 16)[:, None]
    return drawn.astype(np.float32)


def _onnx(file: Path, seen: np.ndarray) -> dict[str, Any]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options)
    (taken,), (given,) = session.get_inputs(), session.get_outputs()
    facts = session.get_modelmeta().custom_metadata_map
    return {
        "ports": [[port.name, port.type, list(port.shape)] for port in (taken, given)],
        "facts": {key: versionless(value) for key, value in sorted(facts.items())},
        "actions": session.run([given.name], {taken.name: seen})[0].tolist(),
    }


def _stablehlo(file: Path, seen: np.ndarray) -> dict[str, Any]:
    program = jax.export.deserialize(bytearray(file.read_bytes()))
    return {
        "ports": [str(program.in_avals), str(program.out_avals)],
        "actions": np.asarray(program.call(seen)).tolist(),
    }
