"""Networks that map a batch of observations to a distribution, and what they are made of."""

from surefoot.core.networks.activations import ACTIVATIONS, Activation
from surefoot.core.networks.cnn import CNN
from surefoot.core.networks.heads import (
    BernoulliHead,
    CategoricalHead,
    GaussianHead,
    Head,
    MultiCategoricalHead,
    StateGaussianHead,
)
from surefoot.core.networks.impala import Impala
from surefoot.core.networks.mlp import MLP, Layers
from surefoot.core.networks.patches import Patches
from surefoot.core.networks.policy_and_critic import Critic, Policy
from surefoot.core.networks.recurrent import GRU, LSTM, LSTMState, Memory, MemoryState

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "BernoulliHead",
    "CNN",
    "CategoricalHead",
    "Critic",
    "GRU",
    "GaussianHead",
    "Head",
    "Impala",
    "LSTM",
    "LSTMState",
    "Layers",
    "MLP",
    "Memory",
    "MemoryState",
    "MultiCategoricalHead",
    "Patches",
    "Policy",
    "StateGaussianHead",
]
