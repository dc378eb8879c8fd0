"""Networks that map a batch of observations to a distribution."""

from surefoot.core.networks.activations import ACTIVATIONS, Activation
from surefoot.core.networks.base import Layers, Memoryless, Network
from surefoot.core.networks.cnn import CNN
from surefoot.core.networks.heads import (
    BernoulliHead,
    BetaHead,
    CategoricalHead,
    GaussianHead,
    Head,
    MultiCategoricalHead,
    ProductHead,
    StateGaussianHead,
    TanhGaussianHead,
)
from surefoot.core.networks.impala import Impala
from surefoot.core.networks.mlp import MLP
from surefoot.core.networks.patches import Patches
from surefoot.core.networks.policy_and_critic import (
    Critic,
    Critics,
    CriticsMemory,
    Policy,
    mlp_critic,
    mlp_policy,
)
from surefoot.core.networks.recurrent import GRU, LSTM, LSTMState, Memory

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "BernoulliHead",
    "CNN",
    "BetaHead",
    "CategoricalHead",
    "Critic",
    "Critics",
    "CriticsMemory",
    "GRU",
    "GaussianHead",
    "Head",
    "Impala",
    "LSTM",
    "LSTMState",
    "Layers",
    "MLP",
    "Memory",
    "Memoryless",
    "MultiCategoricalHead",
    "Network",
    "Patches",
    "Policy",
    "ProductHead",
    "StateGaussianHead",
    "mlp_critic",
    "mlp_policy",
    "TanhGaussianHead",
]
