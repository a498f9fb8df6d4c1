"""What keeps `make run` from starting is told in one sentence with its remedy."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from huiyin_local import preflight
from huiyin_local.layout import Layout
from huiyin_local.ports import free_port


def told(caught: pytest.ExceptionInfo[preflight.CannotStart]) -> str:
    text = str(caught.value)
    assert "\n" not in text and text.rstrip(".)0123456789").strip()
    return text


def test_defaults_are_8080_sqlite_and_var() -> None:
    layout = preflight.read_layout({})
    assert (layout.port, layout.database, layout.var.name) == (8080, "sqlite", "var")


@pytest.mark.parametrize("port", ["http", "80", "70000", "-1", "65530"])
def test_a_port_that_cannot_be_used_is_refused(port: str) -> None:
    with pytest.raises(preflight.CannotStart) as caught:
        preflight.read_layout({"PORT": port})
    assert "make run PORT=9080" in told(caught)


def test_an_unknown_database_is_refused() -> None:
    with pytest.raises(preflight.CannotStart) as caught:
        preflight.read_layout({"DATABASE": "oracle"})
    assert "DATABASE=postgres" in told(caught)


def test_a_busy_port_is_told_with_who_needs_it(tmp_path: Path) -> None:
    layout = Layout(tmp_path, free_port())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", layout.port_of("casework")))
        taken.listen()
        with pytest.raises(preflight.CannotStart) as caught:
            preflight.check_ports(layout)
    assert f"Port {layout.port_of('casework')}, which the casework needs" in told(caught)


def test_a_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "var").touch()
    with pytest.raises(preflight.CannotStart) as caught:
        preflight.check_folder(Layout(tmp_path / "var"))
    assert "make run VAR=" in told(caught)


def test_the_other_database_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    preflight.check_database_kind(Layout(tmp_path, database="sqlite"))
    with pytest.raises(preflight.CannotStart) as caught:
        preflight.check_database_kind(Layout(tmp_path, database="postgres"))
    assert "begun with DATABASE=sqlite" in told(caught)


def test_a_second_start_on_the_same_folder_is_refused_and_a_stale_mark_is_not(tmp_path: Path) -> None:
    mark = tmp_path / "supervisord.pid"
    preflight.check_not_running(mark)
    mark.write_text("999999999")
    preflight.check_not_running(mark)
    mark.write_text(str(os.getpid()))  # lives, and is no supervisor
    preflight.check_not_running(mark)
