"""surefoot: `train`, or `train_seeds`, as a user calls it, the run's folder included."""

import contextlib
import json
import tempfile
from pathlib import Path

from clock import Done, clock_of, parser, report

import surefoot as sf

SETTINGS = {
    "trpo": {
        "discount": 0.99,
        "gae_lambda": 0.95,
        "max_kl": 0.01,
        "cg_steps": 10,
        "damping": 0.1,
        "tries": 10,
        "decay": 0.8,
        "critic_learning_rate": 1e-3,
        "critic_epochs": 20,
        "critic_minibatch_size": 128,
    },
    "ppo_clip": {
        "discount": 0.99,
        "gae_lambda": 0.95,
        "clip": 0.2,
        "learning_rate": 3e-4,  # Falls linearly to 0.
        "epochs": 10,
        "minibatch_size": 64,
        "entropy_coefficient": 0.0,
        "max_grad_norm": 0.5,
        "critic_learning_rate": 3e-4,
        "critic_epochs": 10,
        "critic_minibatch_size": 64,
    },
}
SETUP = {
    "hidden": (64, 64),
    "log_std": -0.5,
    "action_map": "clip",
    "normalize_observations": False,
    "scale_rewards": False,
}
# A call on the device runs as many iterations as divide their number, 16 at most: here 16.
STEPS = 2048 * 16 * 300
PARTS = ("environment", "act", "update", "critic", "program", "total")

args = parser(
    algorithm="trpo",
    env="HalfCheetah-v5",
    backend="host",
    num_envs=8,
    horizon=256,
    seeds=1,
    vary="",  # Options to take instead of those above: NAME=NUMBER,NAME=NUMBER
).parse_args()
pairs = [pair.partition("=") for pair in args.vary.split(",") if pair]
varied = {name: json.loads(number) for name, _, number in pairs}
per_turn = 16 if args.backend == "device" else 1
clock = clock_of(args)
timings = []


class Watch:
    """Where `train` shows its progress: every iteration comes by here, once it is on disk."""

    def show(self, iteration):
        if clock.started:
            timings.append(iteration.timing)
        if (iteration.number + 1) % per_turn == 0:
            clock.tick(iteration.steps)

    def note(self, text):
        raise AssertionError(text)

    def close(self):
        pass


options = {
    **SETTINGS[args.algorithm],
    **SETUP,
    "steps": STEPS,
    "backend": args.backend,
    "num_envs": args.num_envs,
    "horizon": args.horizon,
    "display": lambda steps: Watch(),
    **varied,
}
with tempfile.TemporaryDirectory() as folder:
    options["out"] = Path(folder) / "run"
    with contextlib.suppress(Done):
        if args.seeds == 1:
            sf.train(args.algorithm, args.env, seed=0, **options)
        else:
            sf.train_seeds(args.algorithm, args.env, range(args.seeds), **options)

means = {}
for part in PARTS:
    seconds = [value for timing in timings if (value := getattr(timing, part)) is not None]
    if seconds:
        means[part] = sum(seconds) / len(seconds)
report(clock, ["jax", "numpy", "gymnasium", "mujoco", "envpool"], profile=means)
