"""Recorded behavior: what was seen, what was done, and what it earned.

`record` plays an agent's episodes, `save` and `load` keep them in one file, and `load` also reads
Minari datasets.
"""

from surefoot.demonstrations.base import Demonstrations as Demonstrations
from surefoot.demonstrations.files import check_new_file as check_new_file
from surefoot.demonstrations.files import load as load
from surefoot.demonstrations.files import save as save
from surefoot.demonstrations.recording import record as record
