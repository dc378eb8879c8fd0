"""surefoot: policy optimization that knows how far it steps.

A method is what to improve (an objective), which way is steepest (a geometry) and how far to go (a
step size). `train` runs a named recipe or a combination of your own; the names below are in reading
order. They are imported on first use, so that `import surefoot` costs nothing; it only sets JAX up
(`surefoot.runtime`), if JAX has not been imported yet.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from surefoot import runtime

__version__ = "0.1.0"

runtime.before_import()

if TYPE_CHECKING:
    from surefoot import demonstrations as demonstrations
    from surefoot import recipes as recipes
    from surefoot import theory as theory
    from surefoot.agent import Agent as Agent
    from surefoot.algorithm import Algorithm as Algorithm
    from surefoot.cloning import Cloning as Cloning
    from surefoot.cross_entropy import CrossEntropy as CrossEntropy
    from surefoot.demonstrations import Demonstrations as Demonstrations
    from surefoot.distributions import Bernoulli as Bernoulli
    from surefoot.distributions import Categorical as Categorical
    from surefoot.distributions import DiagGaussian as DiagGaussian
    from surefoot.distributions import Distribution as Distribution
    from surefoot.distributions import MultiCategorical as MultiCategorical
    from surefoot.envs.device import DeviceEnv as DeviceEnv
    from surefoot.errors import TrainingError as TrainingError
    from surefoot.errors import UsageError as UsageError
    from surefoot.evaluation import Evaluation as Evaluation
    from surefoot.geometry import CG as CG
    from surefoot.geometry import KFAC as KFAC
    from surefoot.geometry import Cholesky as Cholesky
    from surefoot.geometry import Euclidean as Euclidean
    from surefoot.geometry import Fisher as Fisher
    from surefoot.geometry import Geometry as Geometry
    from surefoot.geometry import Optax as Optax
    from surefoot.inspecting import Inspection as Inspection
    from surefoot.inspecting import inspect as inspect
    from surefoot.learner import Learner as Learner
    from surefoot.learner import TrainState as TrainState
    from surefoot.local import Local as Local
    from surefoot.networks import Critic as Critic
    from surefoot.networks import Policy as Policy
    from surefoot.objectives import Clipped as Clipped
    from surefoot.objectives import EntropyBonus as EntropyBonus
    from surefoot.objectives import KLPenalized as KLPenalized
    from surefoot.objectives import Likelihood as Likelihood
    from surefoot.objectives import Linear as Linear
    from surefoot.objectives import Objective as Objective
    from surefoot.objectives import Score as Score
    from surefoot.objectives import Surrogate as Surrogate
    from surefoot.resuming import resume as resume
    from surefoot.resuming import resume_seeds as resume_seeds
    from surefoot.step_size import Backtrack as Backtrack
    from surefoot.step_size import Fixed as Fixed
    from surefoot.step_size import KLBall as KLBall
    from surefoot.step_size import Penalty as Penalty
    from surefoot.step_size import StepSize as StepSize
    from surefoot.step_size import constant as constant
    from surefoot.step_size import linear as linear
    from surefoot.training import load as load
    from surefoot.training import train as train
    from surefoot.training import train_seeds as train_seeds
    from surefoot.types import Batch as Batch
    from surefoot.types import Trajectory as Trajectory
    from surefoot.update import Epochs as Epochs
    from surefoot.update import Step as Step
    from surefoot.update import Update as Update
    from surefoot.wrappers import AdaptKL as AdaptKL
    from surefoot.wrappers import AveragePolicy as AveragePolicy

_WHERE = {
    "surefoot.training": ("train", "train_seeds", "load"),
    "surefoot.resuming": ("resume", "resume_seeds"),
    "surefoot.inspecting": ("inspect", "Inspection"),
    "surefoot.agent": ("Agent",),
    "surefoot.evaluation": ("Evaluation",),
    "surefoot.objectives": (
        "Score",
        "Surrogate",
        "Clipped",
        "Likelihood",
        "EntropyBonus",
        "KLPenalized",
        "Linear",
        "Objective",
    ),
    "surefoot.geometry": ("Euclidean", "Optax", "Fisher", "CG", "Cholesky", "KFAC", "Geometry"),
    "surefoot.step_size": (
        "Fixed",
        "KLBall",
        "Penalty",
        "Backtrack",
        "StepSize",
        "constant",
        "linear",
    ),
    "surefoot.update": ("Step", "Epochs", "Update"),
    "surefoot.wrappers": ("AdaptKL", "AveragePolicy"),
    "surefoot.algorithm": ("Algorithm",),
    "surefoot.cross_entropy": ("CrossEntropy",),
    "surefoot.cloning": ("Cloning",),
    "surefoot.learner": ("Learner", "TrainState"),
    "surefoot.local": ("Local",),
    "surefoot.distributions": (
        "Categorical",
        "DiagGaussian",
        "MultiCategorical",
        "Bernoulli",
        "Distribution",
    ),
    "surefoot.networks": ("Policy", "Critic"),
    "surefoot.envs.device": ("DeviceEnv",),
    "surefoot.demonstrations": ("Demonstrations",),
    "surefoot.types": ("Trajectory", "Batch"),
    "surefoot.errors": ("UsageError", "TrainingError"),
}
_MODULE = {name: module for module, names in _WHERE.items() for name in names}

_PACKAGES = ("recipes", "demonstrations", "theory")

__all__ = ["__version__", *_PACKAGES, *_MODULE]


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f"surefoot.{name}")
    if name not in _MODULE:
        raise AttributeError(f"module 'surefoot' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULE[name]), name)
    if "jax" in sys.modules:
        # Here, since a part's numbers become arrays when it is made.
        runtime.before_computing()
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
