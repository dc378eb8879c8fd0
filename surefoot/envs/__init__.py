"""Environments: Gymnasium's on the host, pure JAX ones on the device, and the spaces of both."""
