"""erc-harness."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("erc-harness")
except PackageNotFoundError:  # a bare checkout
    __version__ = "0.1.0"
