"""An agent as a folder: safetensors and a JSON manifest."""

from __future__ import annotations

import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax

from surefoot.agents.earlier_formats import from_format_1
from surefoot.agents.playing.policy_spec import EnvLike, PolicySpec
from surefoot.common.arrays import from_named_arrays, to_named_arrays
from surefoot.common.errors import UsageError
from surefoot.common.files import array_folder
from surefoot.core.data.normalization import Normalizer
from surefoot.core.networks import Policy
from surefoot.core.networks.architecture import Architecture, MakeNetwork
from surefoot.envs.host.atari import Preprocessing, is_atari
from surefoot.envs.registered import MakeCall
from surefoot.envs.spaces.actions import ActionMapName, DistributionName
from surefoot.envs.spaces.space_json import space_from_json, space_to_json

if TYPE_CHECKING:
    from surefoot.agents.agent import Agent

_FORMAT = "surefoot agent"
_FORMAT_VERSION = 2


def write(agent: Agent, path: Path) -> None:
    """Write the agent to a folder. Raises `OSError` where the disk is full."""
    spec = agent.spec
    call = MakeCall.of(agent.environment)
    made = None if call is None or not call.options else call.to_json()
    manifest = {
        "format": _FORMAT,
        "format_version": _FORMAT_VERSION,
        "observation_space": space_to_json(spec.observation_space),
        "action_space": space_to_json(spec.action_space),
        "network": spec.network.to_json(),
        "policy_keys": list(spec.policy_keys),
        "action_distribution": spec.action_distribution,
        "action_masks": spec.action_masks,
        **({"preprocessing": spec.preprocessing._asdict()} if is_atari(agent.environment) else {}),
        "log_std": spec.log_std,
        "state_dependent_std": spec.state_dependent_std,
        "action_map": spec.action_map,
        "normalize_observations": spec.normalize_observations,
        "environment": agent.environment if isinstance(agent.environment, str) else None,
        **({} if made is None else {"environment_call": made}),
        "provenance": agent.provenance,
    }
    arrays = to_named_arrays(policy=agent.policy, normalizer=agent.normalizer)
    array_folder.save(path, arrays, manifest)


def save(agent: Agent, path: Path) -> None:
    """`write`. Raises `UsageError` if the folder cannot be made."""
    try:
        write(agent, path)
    except OSError as error:
        raise UsageError(f"{path} cannot be made: {error.strerror}; pass another path") from None


def _network(manifest: dict[str, Any], make: MakeNetwork | None) -> Architecture:
    if "network" not in manifest:
        # Agents of before there was another one.
        return Architecture("mlp", tuple(manifest["hidden"]))
    return Architecture.from_json(manifest["network"], make)


def read(
    path: Path, make: MakeNetwork | None = None
) -> tuple[Policy, Normalizer, PolicySpec, EnvLike | None, dict[str, Any]]:
    """What `write` wrote: policy, normalizer, spec, environment, provenance. `make` makes
    its network, if that is one of the user's own. Raises `UsageError` if the folder holds none."""
    arrays, manifest = array_folder.load(path)
    try:
        if manifest["format"] != _FORMAT:
            raise ValueError(f"its format is {manifest['format']!r}")
        if manifest["format_version"] > _FORMAT_VERSION:
            raise ValueError("it was written by a newer version of surefoot")
        if manifest["format_version"] == 1:
            arrays = from_format_1(arrays)
        spec = PolicySpec(
            observation_space=space_from_json(manifest["observation_space"]),
            action_space=space_from_json(manifest["action_space"]),
            network=_network(manifest, make),
            policy_keys=tuple(manifest.get("policy_keys", ())),
            action_distribution=manifest.get("action_distribution", "gaussian"),
            action_masks=manifest.get("action_masks", "none"),
            preprocessing=Preprocessing(**manifest.get("preprocessing", {})),
            log_std=manifest["log_std"],
            # Agents of before there was this option lack it.
            state_dependent_std=manifest.get("state_dependent_std", False),
            action_map=manifest["action_map"],
            normalize_observations=manifest["normalize_observations"],
        )
        if spec.action_map not in typing.get_args(ActionMapName):
            raise ValueError(f"its action map is {spec.action_map!r}")
        if spec.action_distribution not in typing.get_args(DistributionName):
            raise ValueError(f"its distribution is {spec.action_distribution!r}")
        # Never computed, so that sizes are checked before anything is allocated.
        template = eqx.filter_eval_shape(
            lambda: (spec.policy(jax.random.key(0)), spec.normalizer())
        )
        policy, normalizer = from_named_arrays(
            arrays, policy=template[0], normalizer=template[1]
        ).values()
        environment, provenance = manifest["environment"], dict(manifest["provenance"])
        call = MakeCall.from_json(manifest.get("environment_call"))
        if call is not None:
            environment = call.source
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UsageError(f"{path} is no intact saved agent: {error!r}") from None
    return policy, normalizer, spec, environment, provenance
