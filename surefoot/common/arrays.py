"""A tree of arrays as a flat dict of NumPy arrays, by their paths, and back.

Going back takes a template of the same structure and checks every name, shape and type against it,
so that nothing is allocated that is not expected. Typed PRNG keys go as their key data.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np


class Snapshot(NamedTuple):
    """A state that can be written to a file."""

    arrays: dict[str, np.ndarray]
    metadata: dict[str, Any]
    """The rest, as JSON."""


def to_named_arrays(**trees: Any) -> dict[str, np.ndarray]:
    """Every array of the trees by its path, `policy.network.weights[0]` for instance."""
    return {name: np.asarray(_data(leaf)) for name, leaf in _leaves(trees).items()}


def from_named_arrays(arrays: Mapping[str, np.ndarray], **templates: Any) -> dict[str, Any]:
    """The trees with these arrays in place of the templates' own, which may be abstract
    (`jax.ShapeDtypeStruct`). Raises `ValueError` where names, shapes or types differ."""
    wanted = _leaves(templates)
    if wanted.keys() != arrays.keys():
        raise ValueError(f"arrays {sorted(wanted.keys() ^ arrays.keys())} are missing or unknown")
    for name, leaf in wanted.items():
        spec, array = jax.eval_shape(_data, leaf), arrays[name]
        if array.shape != spec.shape or array.dtype != spec.dtype:
            raise ValueError(f"{name} is {array.dtype}{list(array.shape)}")

    def fill(name: str, leaf: Any) -> Any:
        value = jnp.asarray(arrays[name])
        return jax.random.wrap_key_data(value) if _is_key(leaf) else value

    values = iter([fill(name, leaf) for name, leaf in wanted.items()])
    return {
        root: jax.tree.map(lambda leaf: next(values) if _is_array(leaf) else leaf, tree)
        for root, tree in templates.items()
    }


def _leaves(trees: Mapping[str, Any]) -> dict[str, Any]:
    return {
        root + jax.tree_util.keystr(path): leaf
        for root, tree in trees.items()
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
        if _is_array(leaf)
    }


def _is_array(leaf: Any) -> bool:
    return eqx.is_array(leaf) or isinstance(leaf, jax.ShapeDtypeStruct)


def _is_key(leaf: Any) -> bool:
    return bool(jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key))


def _data(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf
