"""Check every notebook strictly: see tests/tools/strict_nbval.py."""

from strict_nbval import *  # noqa: F403
