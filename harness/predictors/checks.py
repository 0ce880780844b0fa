"""Checks of numbers that users give as parameters, in one voice."""

from harness.errors import ConfigError


def check_positive(**values: float) -> None:
    """Raises ConfigError unless every value is above 0."""
    for name, value in values.items():
        if not value > 0:
            raise ConfigError(f"parameter {name!r}: got {value!r}, expected a number above 0")


def check_not_negative(**values: float) -> None:
    """Raises ConfigError unless every value is 0 or more."""
    for name, value in values.items():
        if not value >= 0:
            raise ConfigError(f"parameter {name!r}: got {value!r}, expected 0 or more")


def check_fraction(**values: float) -> None:
    """Raises ConfigError unless every value lies in [0, 1)."""
    for name, value in values.items():
        if not 0 <= value < 1:
            raise ConfigError(f"parameter {name!r}: got {value!r}, expected a number from 0 up and below 1")
