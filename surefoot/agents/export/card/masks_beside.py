"""How code that has no surefoot puts a mask into an observation that the environment gives it
beside: by the method `action_masks`, or in `info`."""

from __future__ import annotations

import gymnasium
from gymnasium import spaces

from surefoot.agents.playing.policy_spec import PolicySpec
from surefoot.envs.host.action_masks import METHOD, mask_source
from surefoot.envs.spaces.masks import ACTION_MASK, OBSERVATION


def masks_beside(spec: PolicySpec, env_id: str | None) -> str | None:
    """Python for what the policy sees of `observation`, `info` and `env`; `None` where that is the
    observation alone."""
    if env_id is None or not spec.masked_outside:
        return None
    try:
        env = gymnasium.make(env_id)
    except gymnasium.error.Error:
        return None
    source = mask_source(env, spec.action_masks)
    parts = isinstance(env.observation_space, spaces.Dict)
    env.close()
    if source is None:
        return None
    given = f'info["{ACTION_MASK}"]' if source == "info" else f'env.get_wrapper_attr("{METHOD}")()'
    seen = "**observation" if parts else f'"{OBSERVATION}": observation'
    # Of several choices there may be a list of their flags.
    return f'{{"{ACTION_MASK}": np.hstack({given}), {seen}}}'
