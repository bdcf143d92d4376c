"""With the C libraries beside the modules the wheel is one of a machine and any Python 3, as
build_wheel.sh makes it. Without them it is pure Python and uses the system's libfrozen."""

import pathlib

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel

LIBRARIES = ("libfrozen.so.0", "libfrozen-freeze.so.0")
BUNDLED = all((pathlib.Path(__file__).parent / "frozen" / name).exists() for name in LIBRARIES)


class BundleDistribution(Distribution):
    def has_ext_modules(self):
        """Makes the wheel one of a platform if what it installs is not pure Python."""
        return BUNDLED


class BundleWheel(bdist_wheel):
    def get_tag(self):
        return ("py3", "none", super().get_tag()[2]) if BUNDLED else super().get_tag()


setup(distclass=BundleDistribution, cmdclass={"bdist_wheel": BundleWheel})
