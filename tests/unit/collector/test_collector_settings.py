"""A setting that would forget everything is refused."""

from __future__ import annotations

import pytest
from huiyin_chassis.config import ConfigError
from huiyin_collector.config import CollectorSettings


def test_the_defaults_run() -> None:
    assert CollectorSettings.load({}).retention_days == 180


@pytest.mark.parametrize("variable", ["HUIYIN_RETENTION_DAYS", "HUIYIN_IMPORT_BYTES"])
@pytest.mark.parametrize("value", ["0", "-1", "never"])
def test_limits_are_at_least_one(variable: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"{variable}={value} cannot be used: give a whole number of at least 1"):
        CollectorSettings.load({variable: value})
