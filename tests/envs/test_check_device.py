"""What a functional environment's functions give, by shapes: one line before anything is played."""

import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium import spaces

import surefoot as sf
from surefoot.envs.checking.check_device import check_device_env
from surefoot.envs.device.classic import DEVICE_ENVS


class Functional:
    observation_space = spaces.Box(-1, 1, (2,))
    action_space = spaces.Discrete(2)

    def initial(self, rng):
        return jnp.zeros(2)

    def transition(self, state, action, rng):
        return state + action

    def observation(self, state, rng):
        return state

    def reward(self, state, action, next_state, rng):
        return 1.0

    def terminal(self, state, rng):
        return state[0] > 3


def made(**own):
    return sf.DeviceEnv(type("Own", (Functional,), own)(), time_limit=3)


NESTED = spaces.Dict(a=spaces.Discrete(2), b=spaces.Tuple([spaces.MultiBinary(3)]))


@pytest.mark.parametrize("env", [*DEVICE_ENVS.values(), made()], ids=lambda env: env.name)
def test_a_sound_one_passes(env):
    check_device_env(env)


def test_nested_observations_pass():
    def observation(self, state, rng):
        return {"a": jnp.int32(1), "b": (jnp.zeros(3, bool),), "more": state}

    check_device_env(made(observation_space=NESTED, observation=observation))


DEFECTS = {
    "shape": ({"observation": lambda self, s, rng: jnp.zeros(3)}, r"observation is float32\[3\]"),
    "no array": ({"observation": lambda self, s, rng: (s, s)}, "observation is "),
    "complex": ({"observation": lambda self, s, rng: s + 1j}, "observation is complex64"),
    "no dict": ({"observation_space": NESTED}, r"a dict with the keys \['a', 'b'\]"),
    "part": (
        {
            "observation_space": NESTED,
            "observation": lambda self, s, rng: {"a": jnp.int32(1), "b": (s,)},
        },
        r"observation\['b'\]\[0\] is float32\[2\]",
    ),
    "reward": ({"reward": lambda self, *_: jnp.ones(1)}, r"reward gives float32\[1\]"),
    "terminal": ({"terminal": lambda self, s, rng: s > 3}, r"terminal gives bool\[2\]"),
    "state": ({"transition": lambda self, s, a, rng: (s, s)}, "a state as initial's"),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_a_defect_is_one_line_before_training(name, tmp_path):
    own, says = DEFECTS[name]
    with pytest.raises(sf.UsageError, match=says) as raised:
        sf.train("reinforce", made(**own), out=tmp_path / "run")
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("limit", [0, -5, 2.5, True, "3", 2**40, np.nan])
def test_a_time_limit_is_an_integer_from_1(limit):
    with pytest.raises(sf.UsageError, match=r"time_limit is .* accepted is an integer >= 1"):
        sf.DeviceEnv(Functional(), time_limit=limit)


@pytest.mark.parametrize("limit", [np.int64(4), jnp.int32(4), 4])
def test_integers_of_numpy_and_jax_are_limits(limit):
    assert type(sf.DeviceEnv(Functional(), time_limit=limit).time_limit) is int


def test_spaces_that_are_none_are_named():
    with pytest.raises(sf.UsageError, match="action_space is None; accepted is a space"):
        made(action_space=None)
