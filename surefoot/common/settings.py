"""What a run is, beside its method: a plain dataclass that imports no JAX.

The command line's options are its fields, and its help their docstrings.
"""

from __future__ import annotations

import dataclasses
import typing
from typing import Any, Literal

from surefoot.common.errors import UsageError, closest
from surefoot.common.fields import Interval, at_least, fraction, nonnegative, number, validate

Backend = Literal["host", "envpool", "device"]
Vectorization = Literal["sync", "thread", "async"]
Log = Literal["csv", "tensorboard", "wandb"]
ActionMasks = Literal["auto", "info", "none"]
#: Steps after which an episode that is played on the host, and does not end, is cut, unless another
#: number is given.
MAX_EPISODE_STEPS = 100_000


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSettings:
    """What a run is, beside its method."""

    # Half of what `core.data.count.Count` holds.
    steps: int = at_least(1, 1_000_000, high=2**60)
    """Environment steps at most; rounded down to whole batches."""
    seed: int = at_least(0, 0, high=2**32 - 1)
    """Seed of everything random in the run."""
    preset: str = ""
    """Options that belong together, atari for instance; those that are given win."""
    backend: Backend = "host"
    """host: Gymnasium environments; envpool: EnvPool's, in C++; device: environments in JAX,
    compiled with the update."""
    vectorization: Vectorization = "sync"
    """sync: Gymnasium environments step in this process; thread: in two threads of it, one half
    while the policy acts for the other; async: in a worker process each."""
    env_timeout: float = nonnegative(60.0)
    """Seconds that a step in a worker process (async) may take before its environment is restarted;
    0: any time. A step in this process (sync, thread) cannot be interrupted."""
    max_env_restarts: int = at_least(0, 10)
    """Restarts of worker processes (async) that died or took too long, in the whole run."""
    env_threads: int = at_least(0, 0)
    """Threads of EnvPool's pool; 0: as many as there are cores."""
    devices: int = at_least(1, 1)
    """Devices that environments in JAX, and what is learned from them, are shared out over."""
    stagger_starts: bool = True
    """Cut the first episode of each environment at a random step of its time limit, so that they
    are out of phase; not where no limit is known, in vector environments of one's own, nor
    without a critic."""
    action_masks: ActionMasks = "auto"
    """Where masks of valid actions come from, beside a Dict observation's "action_mask": auto: the
    environment's method action_masks(), if there is one; info: info["action_mask"]; none."""
    noop_max: int = at_least(0, 30)
    """Atari: no-ops that a game begins with at most; how many is drawn."""
    frame_skip: int = at_least(1, 4)
    """Atari: frames that an action lasts; what is seen is the maximum of the last two."""
    screen_size: int = at_least(16, 84, high=1024)
    """Atari: height and width of what is seen, in gray pixels."""
    frame_stack: int = at_least(1, 4, high=15)
    """Atari: how many pictures are seen at once, the newest and those before."""
    repeat_action_probability: float = fraction(0.25)
    """Atari: probability that a frame repeats the last one's action, whatever the policy says."""
    terminal_on_life_loss: bool = False
    """Atari: a lost life ends an episode for learning; the game goes on, and returns are told of
    whole games."""
    action_map: Literal["affine", "clip"] = "affine"
    """How a Box action's raw sample meets its bounds: [-1, 1] mapped to them, or clipped only."""
    checkpoint_every: float = nonnegative(60.0)
    """Seconds between two checkpoints of a run that has a folder; 0: after every iteration."""
    evaluate_every: int = at_least(0, 0, high=2**60)
    """Environment steps between two evaluations of a run that has a folder, by whole deterministic
    episodes on environments of their own; 0: none."""
    evaluation_episodes: int = at_least(1, 10)
    """Episodes of an evaluation."""
    log: tuple[Log, ...] = ()
    """Where rows go beside metrics.jsonl: csv, tensorboard, wandb."""
    network: str = "auto"
    """What lies between an observation and the policy's output: mlp, cnn or impala (images), gru or
    lstm (a memory), or two of them, cnn+gru for instance; auto: mlp, or cnn for images."""
    critic_network: str = ""
    """The same of the critic, if it is another."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the layers that see vectors, of policy and critic; with a memory, the last one is
    the memory's size."""
    critic_hidden: tuple[int, ...] = ()
    """The same of the critic, if they are others."""
    activation: Literal["tanh", "relu", "swish", "elu", "gelu"] = "tanh"
    """What follows these layers."""
    layer_norm: bool = False
    """Normalize these layers before their activation."""
    segment_length: int = at_least(0, 0)
    """Rows of one environment that a network with a memory learns from in one piece, which divide
    the horizon; 0: the horizon."""
    policy_keys: tuple[str, ...] = ()
    """Parts of a Dict observation that the policy sees; none: all."""
    critic_keys: tuple[str, ...] = ()
    """The same of the critic."""
    log_std: float = number(-0.5, -5.0, 5.0)
    """Initial log standard deviation of Gaussian policies; bounds are at ±1 by the action map."""
    action_distribution: Literal["gaussian", "beta", "tanh_gaussian"] = "gaussian"
    """That of Box actions; beta and tanh_gaussian lie within the bounds, which must be finite."""
    state_dependent_std: bool = False
    """Let the log standard deviation of Gaussian policies depend on the state."""
    normalize_observations: bool = True
    """Standardize observations by their running mean and deviation."""
    scale_rewards: bool = True
    """Divide the rewards that the learner sees by the running deviation of the return."""
    clip_rewards: Literal["none", "sign"] = "none"
    """What the learner sees of rewards, before that: none: all; sign: -1, 0 or 1. Returns are told
    of the rewards as they are."""

    def __post_init__(self) -> None:
        validate(self)
        self._check_log()
        width = Interval(1, 65_536, integer=True)
        for name in ("hidden", "critic_hidden"):
            widths: Any = getattr(self, name)
            if not isinstance(widths, tuple) or any(w not in width for w in widths):
                raise UsageError(
                    f"{name} is {widths!r}; accepted is a tuple of integers from 1 to 65,536, "
                    "(64, 64) for instance"
                )
        for name in ("policy_keys", "critic_keys"):
            keys: Any = getattr(self, name)
            if not isinstance(keys, tuple) or not all(isinstance(k, str) for k in keys):
                raise UsageError(
                    f"{name} is {keys!r}; accepted is a tuple of keys of the observation, "
                    "('position', 'goal') for instance"
                )

    def _check_log(self) -> None:
        log: Any = self.log
        accepted = typing.get_args(Log)
        names = tuple(log) if isinstance(log, list | tuple) else (log,)
        for name in names:
            if name not in accepted:
                near = closest(name, accepted) if isinstance(name, str) else ""
                raise UsageError(
                    f"log is {name!r}; accepted are {', '.join(map(repr, accepted))}.{near}"
                )
        object.__setattr__(self, "log", tuple(dict.fromkeys(names)))
