"""docker-compose.yml and the Dockerfiles name what the code reads; they are checked here and not run."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from huiyin_analyzer.config import AnalyzerSettings
from huiyin_casework.config import CaseworkSettings
from huiyin_chassis.config import ProcessSettings
from huiyin_collector.config import CollectorSettings
from huiyin_gateway.config import GatewaySettings
from huiyin_local.layout import PROCESSES, Layout
from huiyin_notifier.config import NotifierSettings

ROOT = Path(__file__).parents[2]
SETTINGS: dict[str, type[ProcessSettings]] = {
    "collector": CollectorSettings,
    "analyzer": AnalyzerSettings,
    "casework": CaseworkSettings,
    "notifier": NotifierSettings,
    "gateway": GatewaySettings,
}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    return content


def dockerfile(process: str) -> str:
    folder = ROOT / ("gateway" if process == "gateway" else f"services/{process}")
    return (folder / "Dockerfile").read_text("utf-8")


def test_the_compose_file_fits_its_schema() -> None:
    check = Path(sys.executable).parent / "check-jsonschema"
    command = [check, "--builtin-schema", "vendor.compose-spec", str(ROOT / "docker-compose.yml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("process", PROCESSES)
def test_every_variable_is_one_that_the_process_reads(process: str, compose: dict[str, Any]) -> None:
    known = {variable.name for variable in SETTINGS[process].variables()}
    for service in (process, f"{process}-migrate"):
        assert set(compose["services"][service]["environment"]) <= known
    assert set(re.findall(r"\b(HUIYIN_\w+)=", dockerfile(process))) <= known
    settings = set(Layout(Path("var")).environment(process, "sqlite:///x"))
    assert {name for name in settings if not name.endswith("_ADDRESS")} <= known


@pytest.mark.parametrize("process", PROCESSES)
def test_every_setting_loads_with_what_compose_gives(process: str, compose: dict[str, Any]) -> None:
    environment = {name: str(value) for name, value in compose["services"][process]["environment"].items()}
    environment["HUIYIN_DATABASE_URL"] = "postgresql://huiyin:x@postgres/huiyin"
    settings = SETTINGS[process].load(environment)
    assert settings.environment == "production" and settings.log_format == "json"


@pytest.mark.parametrize("process", PROCESSES)
def test_ports_are_the_defaults_of_the_code(process: str) -> None:
    settings = SETTINGS[process].load({})
    text = dockerfile(process)
    assert f"HUIYIN_PORT={settings.port} " in text and f"HUIYIN_METRICS_PORT={settings.metrics_port}\n" in text
    assert f"EXPOSE {settings.port} {settings.metrics_port}\n" in text
    assert f"http://127.0.0.1:{settings.metrics_port}/readyz" in text
    assert settings.metrics_port == settings.port + 10


def test_neighbours_are_found_at_their_ports(compose: dict[str, Any]) -> None:
    for process in PROCESSES:
        for name, value in compose["services"][process]["environment"].items():
            if name.endswith("_ADDRESS"):
                host, _, port = str(value).partition(":")
                assert name == f"HUIYIN_{host.upper()}_ADDRESS"
                assert int(port) == SETTINGS[host].load({}).port


@pytest.mark.parametrize("process", PROCESSES)
def test_commands_start_modules_that_are_there(process: str, compose: dict[str, Any]) -> None:
    assert f'CMD ["python", "-m", "huiyin_{process}"]' in dockerfile(process)
    assert compose["services"][f"{process}-migrate"]["command"] == ["python", "-m", f"huiyin_{process}", "migrate"]
    assert importlib.util.find_spec(f"huiyin_{process}.__main__") is not None


@pytest.mark.parametrize("process", PROCESSES)
def test_containers_do_not_run_as_root_and_are_watched(process: str) -> None:
    text = dockerfile(process)
    assert "\nUSER huiyin\n" in text and text.index("\nUSER huiyin\n") < text.index("CMD [")
    assert "HEALTHCHECK" in text


@pytest.mark.parametrize("process", PROCESSES)
def test_what_an_image_copies_is_let_into_its_context(process: str) -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")}
    for source in re.findall(r"^COPY (?!--from)(\S+)", dockerfile(process), re.MULTILINE):
        assert source.partition("/")[0] in allowed
        assert (ROOT / source).exists()


def test_every_process_has_a_database_of_its_own(compose: dict[str, Any]) -> None:
    created = set(re.findall(r"CREATE DATABASE (\w+);", (ROOT / "deploy/postgres/databases.sql").read_text("utf-8")))
    used = {
        str(compose["services"][process]["environment"]["HUIYIN_DATABASE_URL"]).rpartition("/")[2]
        for process in PROCESSES
    }
    assert created == used and len(used) == len(PROCESSES)


@pytest.mark.parametrize("process", PROCESSES)
def test_every_setting_is_documented_with_its_default(process: str) -> None:
    text = (ROOT / "docs" / "settings.md").read_text("utf-8")
    for variable in SETTINGS[process].variables():
        lines = [line for line in text.splitlines() if line.startswith(f"| `{variable.name}` |")]
        assert any(variable.default in line for line in lines), (
            f"{variable.name} of the {process} is not in settings.md"
        )
