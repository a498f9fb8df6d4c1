"""Settings: defaults that run, and mistakes told all at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from huiyin_chassis.config import ConfigError, ProcessSettings


def test_defaults_need_no_environment() -> None:
    settings = ProcessSettings.load({})
    assert settings.host == "127.0.0.1" and settings.environment == "development"


def test_values_are_read_by_their_type() -> None:
    read = {"HUIYIN_PORT": "9000", "HUIYIN_KEY_FILE": "/keys/a.pem", "HUIYIN_DRAIN_SECONDS": "2.5", "HUIYIN_HOST": ""}
    settings = ProcessSettings.load(read)
    assert (settings.port, settings.key_file, settings.drain_seconds) == (9000, Path("/keys/a.pem"), 2.5)
    assert settings.host == "127.0.0.1"


def test_every_mistake_is_told_with_variable_value_and_remedy() -> None:
    with pytest.raises(ConfigError) as caught:
        ProcessSettings.load({"HUIYIN_PORT": "99999", "HUIYIN_LOG_LEVEL": "loud", "HUIYIN_DRAIN_SECONDS": "long"})
    assert len(caught.value.problems) == 3
    told = " ".join(caught.value.problems)
    assert "HUIYIN_PORT=99999" in told and "from 0 to 65535" in told
    assert "HUIYIN_LOG_LEVEL=loud" in told and "choose one of debug" in told
    assert "HUIYIN_DRAIN_SECONDS=long" in told and "give a number" in told


def test_variables_are_listed_for_documentation() -> None:
    listed = {variable.name: variable for variable in ProcessSettings.variables()}
    assert listed["HUIYIN_HOST"].default == "127.0.0.1"
    assert all(variable.help for variable in listed.values())
