"""Episodes of an evaluation as a video."""

from surefoot.video.film import Film as Film
from surefoot.video.film import UnfilmedError as UnfilmedError
