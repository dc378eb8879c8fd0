"""The faults, a file a room, in the house's order from the ground up."""

from benchmarks.planted_faults.fault import Fault
from benchmarks.planted_faults.rooms import (
    agents,
    cli,
    common,
    core,
    envs,
    methods,
    reporting,
    runs,
    theory,
    training,
)

_ROOMS = (common, core, envs, methods, agents, training, runs, reporting, theory, cli)
FAULTS: tuple[Fault, ...] = tuple(fault for room in _ROOMS for fault in room.FAULTS)
#: Each room's faults, by its name.
ROOMS: dict[str, tuple[Fault, ...]] = {
    room.__name__.rpartition(".")[2]: room.FAULTS for room in _ROOMS
}
