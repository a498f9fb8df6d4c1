"""Settings from the environment: declared once with default and help, read once, all mistakes told at once."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

T = TypeVar("T")


class ConfigError(Exception):
    """Settings that cannot be used; a sentence for each, naming the variable, what was read, and the remedy."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class Variable(NamedTuple):
    """A setting as documentation lists it."""

    name: str
    default: str
    help: str


def setting(variable: str, default: T, help: str, *, parse: Callable[[str], T] | None = None) -> Any:
    """A field of a Settings class: the environment variable, its default, what it means.

    Without `parse` the value is read as the default's type: str, int, float, bool, Path.
    """
    read: Callable[[str], Any] = parse or _PARSERS[type(default) if not isinstance(default, Path) else Path]
    return dataclasses.field(default=default, metadata={"variable": variable, "help": help, "parse": read})


@dataclass(frozen=True)
class Settings:
    """Base of a process's settings; every field is declared with `setting`."""

    @classmethod
    def load(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Reads the environment. Unset or empty means the default. Raises ConfigError with every mistake."""
        values: dict[str, Any] = {}
        problems: list[str] = []
        for field in dataclasses.fields(cls):
            name = field.metadata["variable"]
            text = environ.get(name, "")
            if not text:
                continue
            try:
                values[field.name] = field.metadata["parse"](text)
            except ValueError as error:
                problems.append(f"{name}={text} cannot be used: {error}. It means: {field.metadata['help']}")
        if problems:
            raise ConfigError(problems)
        return cls(**values)

    @classmethod
    def variables(cls) -> list[Variable]:
        """Every setting in the order of declaration."""
        return [
            Variable(field.metadata["variable"], str(field.default), field.metadata["help"])
            for field in dataclasses.fields(cls)
        ]


def choice(*allowed: str) -> Callable[[str], str]:
    """Parses one of a few words."""

    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError(f"choose one of {', '.join(allowed)}")
        return text

    return parse


def port_number(text: str) -> int:
    """Parses a port number; 0 lets the system choose, or turns off what is optional."""
    number = int(text) if text.isdecimal() else -1
    if not 0 <= number <= 65535:
        raise ValueError("give a number from 0 to 65535")
    return number


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("give a whole number") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("give a number") from None


def _boolean(text: str) -> bool:
    found = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(text.lower())
    if found is None:
        raise ValueError("give true or false")
    return found


_PARSERS: dict[type, Callable[[str], Any]] = {str: str, int: _integer, float: _number, bool: _boolean, Path: Path}


@dataclass(frozen=True)
class ProcessSettings(Settings):
    """What every process has; a service's config.py adds its own and sets its ports and database."""

    host: str = setting("HUIYIN_HOST", "127.0.0.1", "Address to listen on.")
    port: int = setting("HUIYIN_PORT", 0, "Port to serve on; 0 lets the system choose.", parse=port_number)
    metrics_port: int = setting(
        "HUIYIN_METRICS_PORT", 0, "Port of /metrics, /healthz, /readyz; 0: none", parse=port_number
    )
    database_url: str = setting("HUIYIN_DATABASE_URL", "", "sqlite:///path/to/file or postgresql://user@host/database.")
    key_file: Path = setting("HUIYIN_KEY_FILE", Path("var/keys/private/process.pem"), "This process's private key.")
    public_keys: Path = setting("HUIYIN_PUBLIC_KEYS", Path("var/keys/public"), "Folder of everybody's public keys.")
    log_level: str = setting(
        "HUIYIN_LOG_LEVEL", "info", "debug, info, warning or error.", parse=choice("debug", "info", "warning", "error")
    )
    log_format: str = setting("HUIYIN_LOG_FORMAT", "json", "json or console.", parse=choice("json", "console"))
    otlp_endpoint: str = setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT", "", "Where traces go, such as http://host:4317; none when unset."
    )
    drain_seconds: float = setting("HUIYIN_DRAIN_SECONDS", 10.0, "Longest wait for calls under way when stopping.")
    environment: str = setting(
        "HUIYIN_ENVIRONMENT",
        "development",
        "development or production; reflection is served in the first only.",
        parse=choice("development", "production"),
    )
