"""What processes know of their session."""

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothtask.person.environs import bus_address, cookie_files, displays, parse_environ, read_environs


def test_a_display_elsewhere_is_none_of_ours() -> None:
    assert parse_environ(b"DISPLAY=localhost:10.0\0") == {}
    assert parse_environ(b"DISPLAY=unix:3.0\0XAUTHORITY=/x\0PATH=/bin\0") == {"DISPLAY": ":3", "XAUTHORITY": "/x"}


@given(st.binary(max_size=300))
def test_any_environment_is_read(data: bytes) -> None:
    assert set(parse_environ(data)) <= {"DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR"}


def test_a_real_process_is_asked() -> None:
    environment = {"DISPLAY": ":4242", "PATH": os.environ["PATH"]}
    with subprocess.Popen(["sleep", "1000"], env=environment) as sleeper:
        try:
            assert ":4242" in displays(read_environs(os.geteuid()))
            assert ":4242" not in displays(read_environs(12345))
        finally:
            sleeper.kill()


def test_what_root_runs_by_sudo_is_no_desktop_of_roots(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs processes of root's")
    for pid, environ in ((1, b"DISPLAY=:1\0"), (2, b"DISPLAY=:2\0SUDO_UID=1000\0"), (3, b"XSUDO_UID=1\0DISPLAY=:3\0")):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "environ").write_bytes(environ)
    assert displays(read_environs(0, tmp_path)) == {":1", ":3"}


def test_cookies_are_looked_for_where_the_display_says(tmp_path: Path) -> None:
    named, other = tmp_path / "named", tmp_path / "other"
    named.touch()
    other.touch()
    (tmp_path / ".Xauthority").touch()
    environs = ({"DISPLAY": ":1", "XAUTHORITY": str(other)}, {"DISPLAY": ":0", "XAUTHORITY": str(named)})
    assert cookie_files(":0", environs, tmp_path, tmp_path) == (named, tmp_path / ".Xauthority", None)


def test_the_bus_is_where_the_session_says(tmp_path: Path) -> None:
    assert bus_address(({"DBUS_SESSION_BUS_ADDRESS": "unix:path=/x"},), tmp_path) == "unix:path=/x"
    assert bus_address((), tmp_path) == ""
