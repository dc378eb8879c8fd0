"""What Python shows of an agent, and of what it did, says what it is and has no array in it."""

import jax
import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given, settings
from hypothesis import strategies as st

import surefoot as sf
from surefoot.agents.demonstrations import Demonstrations
from surefoot.agents.playing.policy_spec import PolicySpec
from surefoot.core.networks.architecture import Architecture
from surefoot.envs.spaces.space_text import space_text
from surefoot.theory.inspection import Inspection

BOX = spaces.Box(-np.arange(1.0, 4.0, dtype=np.float32), np.arange(1.0, 4.0, dtype=np.float32))


def agent_of(observation_space, provenance):
    spec = PolicySpec(
        observation_space,
        spaces.Discrete(2),
        Architecture(hidden=(8,)),
        -0.5,
        False,
        "affine",
        False,
    )
    return sf.Agent(spec.policy(jax.random.key(0)), spec.normalizer(), spec, provenance=provenance)


def test_a_trained_agent_says_by_what_on_what_and_how_long(trained):
    told = "'trpo' on 'CartPole-v1', Box(4) → Discrete(2), trained for 640 steps"
    assert repr(sf.load(trained())) == f"<Agent: {told}>"
    assert repr(agent_of(BOX, None)) == "<Agent: Box(3) → Discrete(2)>"


ANY = agent_of(BOX, {})


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    st.dictionaries(
        st.sampled_from(["algorithm", "environment", "trained_steps"]),
        st.one_of(st.text(max_size=20), st.integers(), st.none(), st.floats()),
    )
)
def test_any_provenance_can_be_printed_on_a_terminal(provenance):
    ANY.provenance = provenance
    assert repr(ANY).isprintable()


@pytest.mark.parametrize(
    ("space", "text"),
    [
        (BOX, "Box(3)"),
        (spaces.Box(0, 255, (84, 84, 3), np.uint8), "Box(84 × 84 × 3)"),
        (spaces.Box(0, 1, ()), "Box(1)"),
        (spaces.Discrete(5, start=2), "Discrete(5)"),
        (spaces.MultiDiscrete([3, 4]), "MultiDiscrete(2)"),
        (spaces.MultiBinary(7), "MultiBinary(7)"),
        (spaces.Dict(a=BOX, b=BOX), "Dict of 2"),
        (spaces.Tuple((BOX, BOX, BOX)), "Tuple of 3"),
    ],
)
def test_a_space_is_its_kind_and_size(space, text):
    assert space_text(space) == text


def test_an_evaluation_has_its_mean():
    result = sf.Evaluation(np.array([9.0, 10.0, 12.5]), np.array([9, 10, 12]))
    told = (
        "3 episodes: return 10.5 ± 1.5 (standard deviation over episodes), 9.0 to 12.5; length 10.3"
    )
    assert str(result) == told
    assert repr(result) == f"<Evaluation: {told}>"
    assert str(sf.Evaluation(np.zeros(0), np.zeros(0, int))) == "0 episodes"
    assert str(sf.Evaluation(np.ones(1), np.ones(1, int))).startswith("1 episode: ")


def test_recordings_and_tables_are_counted():
    rows = 1234
    recorded = Demonstrations(
        obs=np.zeros((rows, 3)),
        action=np.zeros(rows, np.int64),
        reward=np.zeros(rows),
        terminated=np.zeros(rows, bool),
        truncated=np.zeros(rows, bool),
        observation_space=BOX,
        action_space=spaces.Discrete(2),
        environment="Mine\x1b[2J-v0",
    )
    assert repr(recorded) == (
        "<Demonstrations: 1,234 transitions of 'Mine\\x1b[2J-v0', Box(3) → Discrete(2)>"
    )
    lake = sf.theory.TabularMDP(np.ones((1, 2, 1)), np.zeros((1, 2)), discount=0.9, initial=[1.0])
    assert repr(lake) == "<TabularMDP: 1 states, 2 actions, discount 0.9>"
    assert repr(Inspection("an update", ())) == "<Inspection: an update>"


def test_what_acting_needs_is_printed_without_arrays():
    agent = agent_of(BOX, {})
    for shown in (agent, agent.policy, agent.normalizer):
        assert "array" not in repr(shown)
        assert "[-" not in repr(shown)
