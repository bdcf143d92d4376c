"""How `python -m pytest tests/contrib` finds the library."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from frozen_library import pytest_addoption, pytest_configure  # noqa: E402, F401
