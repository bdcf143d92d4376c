"""The wheel holds the C libraries, so that it is made for one machine and any Python 3."""

import pathlib

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel


class PlatformDistribution(Distribution):
    def has_ext_modules(self):
        """Makes the wheel one of a platform: what it installs is not pure Python."""
        return True


class PlatformWheel(bdist_wheel):
    def finalize_options(self):
        folder = pathlib.Path(__file__).parent / "frozen"
        for name in ("libfrozen.so.0", "libfrozen-freeze.so.0"):
            if not (folder / name).exists():
                raise SystemExit(f"{name} is not in {folder}: build with python/build_wheel.sh")
        super().finalize_options()

    def get_tag(self):
        return "py3", "none", super().get_tag()[2]


setup(distclass=PlatformDistribution, cmdclass={"bdist_wheel": PlatformWheel})
