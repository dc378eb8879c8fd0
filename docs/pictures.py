"""Make the pictures of README.md and of the first page from a run on HalfCheetah-v5:

    surefoot train trpo HalfCheetah-v5 --steps 1000000 --out runs/cheetah
    python docs/pictures.py runs/cheetah

`figures/cheetah.gif` is the trained policy at work, `figures/report.png` the top of the run's
report in Chromium. It needs the extras `mujoco`, `video` and `report`, and Chromium.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
FIGURES = ROOT / "docs" / "figures"
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

#: Seconds of the film that are left out, where the robot falls on its feet, and that are shown.
BEGIN, LENGTH = 6.0, 3.0
#: Pixels, pictures a second, and colors: what keeps the file below a megabyte or two.
WIDTH, RATE, COLORS = 400, 20, 64
#: Pixels of the page that are shown.
PAGE = (1280, 1350)


def film(run: Path, out: Path) -> None:
    """A run's policy as a GIF that goes on forever."""
    import functools

    import gymnasium
    import imageio_ffmpeg

    import surefoot as sf

    with tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "run.mp4"
        # The environment's own camera stays where the robot started.
        env = functools.partial(
            gymnasium.make,
            "HalfCheetah-v5",
            render_mode="rgb_array",
            camera_name="track",
            width=640,
            height=400,
        )
        result = sf.load(run).evaluate(episodes=1, seed=1, env=env, video=video)
        print(f"return {result.mean:.0f}")
        palette = f"split[a][b];[a]palettegen=max_colors={COLORS}[p];[b][p]paletteuse=dither=none"
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-loglevel", "error"]
        command += ["-ss", str(BEGIN), "-t", str(LENGTH), "-i", str(video)]
        command += ["-vf", f"fps={RATE},scale={WIDTH}:-1:flags=lanczos,{palette}", str(out)]
        subprocess.run(command, check=True)


def report(run: Path, out: Path) -> None:
    """The top of a run's report."""
    from support.browser import Browser
    from surefoot import reporting

    with tempfile.TemporaryDirectory() as folder, Browser(Path(folder) / "profile") as browser:
        page = reporting.write([run], Path(folder) / "report.html")
        width, height = PAGE
        browser.page().show(page, width=width, height=height).screenshot(out, height=height)


def main() -> None:
    """Make both pictures."""
    (run,) = map(Path, sys.argv[1:])
    for make, name in ((film, "cheetah.gif"), (report, "report.png")):
        make(run, FIGURES / name)
        print(f"docs/figures/{name}: {(FIGURES / name).stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
