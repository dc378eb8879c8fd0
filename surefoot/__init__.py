"""surefoot: policy optimization that knows how far it steps.

A method is what to improve (an objective), which way is steepest (a geometry) and how far to go (a
step size). `train` runs a named recipe or a combination of your own; the names below are in reading
order. They are imported on first use, so that `import surefoot` costs nothing; it only sets JAX up
(`surefoot.common.jax_setup`), if JAX has not been imported yet.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from surefoot.common import jax_setup
from surefoot.common.version import __version__ as __version__

jax_setup.configure_before_import()

if TYPE_CHECKING:
    from surefoot import theory as theory
    from surefoot.agents import demonstrations as demonstrations
    from surefoot.agents.agent import Agent as Agent
    from surefoot.agents.export.write import Exported as Exported
    from surefoot.agents.history import History as History
    from surefoot.agents.playing.evaluation import Evaluation as Evaluation
    from surefoot.common.errors import TrainingError as TrainingError
    from surefoot.common.errors import UsageError as UsageError
    from surefoot.core.data.types import Batch as Batch
    from surefoot.core.data.types import Trajectory as Trajectory
    from surefoot.core.distributions import Bernoulli as Bernoulli
    from surefoot.core.distributions import Beta as Beta
    from surefoot.core.distributions import Categorical as Categorical
    from surefoot.core.distributions import DiagGaussian as DiagGaussian
    from surefoot.core.distributions import Distribution as Distribution
    from surefoot.core.distributions import MultiCategorical as MultiCategorical
    from surefoot.core.distributions import Product as Product
    from surefoot.core.distributions import TanhGaussian as TanhGaussian
    from surefoot.core.geometry import CG as CG
    from surefoot.core.geometry import KFAC as KFAC
    from surefoot.core.geometry import Cholesky as Cholesky
    from surefoot.core.geometry import Compatible as Compatible
    from surefoot.core.geometry import Euclidean as Euclidean
    from surefoot.core.geometry import Fisher as Fisher
    from surefoot.core.geometry import Geometry as Geometry
    from surefoot.core.geometry import Optax as Optax
    from surefoot.core.local_model import LocalModel as LocalModel
    from surefoot.core.networks import CNN as CNN
    from surefoot.core.networks import GRU as GRU
    from surefoot.core.networks import LSTM as LSTM
    from surefoot.core.networks import Critic as Critic
    from surefoot.core.networks import Impala as Impala
    from surefoot.core.networks import Policy as Policy
    from surefoot.core.networks import mlp_critic as mlp_critic
    from surefoot.core.networks import mlp_policy as mlp_policy
    from surefoot.core.objectives import Clipped as Clipped
    from surefoot.core.objectives import CostSurrogate as CostSurrogate
    from surefoot.core.objectives import EntropyBonus as EntropyBonus
    from surefoot.core.objectives import KLPenalized as KLPenalized
    from surefoot.core.objectives import Likelihood as Likelihood
    from surefoot.core.objectives import Objective as Objective
    from surefoot.core.objectives import RatioPenalized as RatioPenalized
    from surefoot.core.objectives import Score as Score
    from surefoot.core.objectives import Surrogate as Surrogate
    from surefoot.core.objectives import TrustRegionGradient as TrustRegionGradient
    from surefoot.core.step_size import Backtrack as Backtrack
    from surefoot.core.step_size import Decay as Decay
    from surefoot.core.step_size import Fixed as Fixed
    from surefoot.core.step_size import KLBall as KLBall
    from surefoot.core.step_size import Penalty as Penalty
    from surefoot.core.step_size import Secant as Secant
    from surefoot.core.step_size import StepSize as StepSize
    from surefoot.core.step_size import schedules as schedules
    from surefoot.core.updates import AdaptKL as AdaptKL
    from surefoot.core.updates import AveragePolicy as AveragePolicy
    from surefoot.core.updates import Constrained as Constrained
    from surefoot.core.updates import Epochs as Epochs
    from surefoot.core.updates import Exponential as Exponential
    from surefoot.core.updates import Lagrangian as Lagrangian
    from surefoot.core.updates import LimitTV as LimitTV
    from surefoot.core.updates import Positive as Positive
    from surefoot.core.updates import RelativeEntropy as RelativeEntropy
    from surefoot.core.updates import Step as Step
    from surefoot.core.updates import Tilt as Tilt
    from surefoot.core.updates import TiltRule as TiltRule
    from surefoot.core.updates import Update as Update
    from surefoot.core.updates import WithCosts as WithCosts
    from surefoot.envs.device.device_env import DeviceEnv as DeviceEnv
    from surefoot.methods import recipes as recipes
    from surefoot.methods.learners.algorithm import Algorithm as Algorithm
    from surefoot.methods.learners.behavior_cloning import Cloning as Cloning
    from surefoot.methods.learners.cost_limits import CostLimited as CostLimited
    from surefoot.methods.learners.covariance_adaptation import (
        CovarianceAdaptation as CovarianceAdaptation,
    )
    from surefoot.methods.learners.cross_entropy import CrossEntropy as CrossEntropy
    from surefoot.methods.learners.learner import Learner as Learner
    from surefoot.methods.learners.learner import TrainState as TrainState
    from surefoot.reporting.entry import report as report
    from surefoot.runs.earlier.resume import resume as resume
    from surefoot.runs.earlier.resume import resume_seeds as resume_seeds
    from surefoot.runs.export import export as export
    from surefoot.runs.train import load as load
    from surefoot.runs.train import train as train
    from surefoot.runs.train import train_seeds as train_seeds
    from surefoot.theory.inspection import Inspection as Inspection
    from surefoot.theory.inspection import inspect as inspect

_WHERE = {
    "surefoot.runs.train": ("train", "train_seeds", "load"),
    "surefoot.runs.earlier.resume": ("resume", "resume_seeds"),
    "surefoot.runs.export": ("export",),
    "surefoot.reporting.entry": ("report",),
    "surefoot.theory.inspection": ("inspect", "Inspection"),
    "surefoot.agents.agent": ("Agent",),
    "surefoot.agents.history": ("History",),
    "surefoot.agents.playing.evaluation": ("Evaluation",),
    "surefoot.agents.export.write": ("Exported",),
    "surefoot.core.objectives": (
        "Score",
        "Surrogate",
        "Clipped",
        "CostSurrogate",
        "RatioPenalized",
        "Likelihood",
        "EntropyBonus",
        "KLPenalized",
        "TrustRegionGradient",
        "Objective",
    ),
    "surefoot.core.geometry": (
        "Euclidean",
        "Optax",
        "Fisher",
        "Compatible",
        "CG",
        "Cholesky",
        "KFAC",
        "Geometry",
    ),
    "surefoot.core.step_size": (
        "Fixed",
        "KLBall",
        "Penalty",
        "Backtrack",
        "Secant",
        "Decay",
        "StepSize",
    ),
    "surefoot.core.updates": (
        "Step",
        "Epochs",
        "AdaptKL",
        "LimitTV",
        "AveragePolicy",
        "Constrained",
        "Lagrangian",
        "WithCosts",
        "Tilt",
        "RelativeEntropy",
        "Exponential",
        "Positive",
        "TiltRule",
        "Update",
    ),
    "surefoot.methods.learners.algorithm": ("Algorithm",),
    "surefoot.methods.learners.cost_limits": ("CostLimited",),
    "surefoot.methods.learners.cross_entropy": ("CrossEntropy",),
    "surefoot.methods.learners.covariance_adaptation": ("CovarianceAdaptation",),
    "surefoot.methods.learners.behavior_cloning": ("Cloning",),
    "surefoot.methods.learners.learner": ("Learner", "TrainState"),
    "surefoot.core.local_model": ("LocalModel",),
    "surefoot.core.distributions": (
        "Categorical",
        "DiagGaussian",
        "TanhGaussian",
        "Beta",
        "MultiCategorical",
        "Bernoulli",
        "Product",
        "Distribution",
    ),
    "surefoot.core.networks": (
        "Policy",
        "Critic",
        "mlp_policy",
        "mlp_critic",
        "CNN",
        "Impala",
        "GRU",
        "LSTM",
    ),
    "surefoot.envs.device.device_env": ("DeviceEnv",),
    "surefoot.core.data.types": ("Trajectory", "Batch"),
    "surefoot.common.errors": ("UsageError", "TrainingError"),
}
_MODULE = {name: module for module, names in _WHERE.items() for name in names}

_PACKAGES = {
    "recipes": "surefoot.methods.recipes",
    "schedules": "surefoot.core.step_size.schedules",
    "demonstrations": "surefoot.agents.demonstrations",
    "theory": "surefoot.theory",
}

__all__ = ["__version__", *_PACKAGES, *_MODULE]


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(_PACKAGES[name])
    if name not in _MODULE:
        raise AttributeError(f"module 'surefoot' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULE[name]), name)
    if "jax" in sys.modules:
        # Here, since a part's numbers become arrays when it is made.
        jax_setup.configure_before_compute()
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
