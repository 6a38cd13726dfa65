"""Which sockets are a desktop's, and whose."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smoothtask.person import endpoints
from smoothtask.person.endpoints import Endpoint, Kind, endpoints_of, kind_of, owner_of, parse_listeners, read_endpoints


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Path]:
    """A socket that is called as a compositor's."""
    path = tmp_path / "wayland-7"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        yield path


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/tmp/.X11-unix/X0", Kind.X11),
        ("/run/user/1000/wayland-0", Kind.WAYLAND),
        ("/run/user/1000/wayland-0.lock", None),
        ("/run/user/1000/sway-ipc.1000.4711.sock", Kind.SWAY),
        ("/run/user/1000/hypr/abc_1/.socket2.sock", Kind.HYPRLAND),
        ("/run/user/1000/niri.wayland-1.42.sock", Kind.NIRI),
        ("/run/user/1000/pipewire-0", Kind.PIPEWIRE),
        ("/run/user/1000/pipewire-0-manager", Kind.PIPEWIRE),
        ("/run/user/1000/pulse/native", Kind.PULSE),
        ("/run/user/1000/bus", None),
        ("/somewhere/.X11-unix/X0", None),
    ],
)
def test_names_say_what_listens(path: str, kind: Kind | None) -> None:
    assert kind_of(path) is kind


def test_a_listening_socket_is_found(listening: Path) -> None:
    assert Endpoint(Kind.WAYLAND, str(listening), os.geteuid()) in read_endpoints()


def test_one_that_nobody_listens_at_is_not(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "wayland-8"))
        assert not any(e.path == str(tmp_path / "wayland-8") for e in read_endpoints())


def test_where_others_could_have_put_it_it_is_nobodys(listening: Path) -> None:
    listening.parent.chmod(0o777)
    assert owner_of(str(listening), Kind.WAYLAND) is None
    listening.parent.chmod(0o700)
    assert owner_of(str(listening), Kind.WAYLAND) == os.geteuid()


def test_a_link_to_a_socket_is_none(listening: Path) -> None:
    link = listening.with_name("wayland-9")
    link.symlink_to(listening)
    assert owner_of(str(link), Kind.WAYLAND) is None


def test_a_link_on_the_way_is_not_followed(listening: Path) -> None:
    link = listening.parent.with_name("link")
    link.symlink_to(listening.parent)
    assert owner_of(str(link / listening.name), Kind.WAYLAND) is None
    assert owner_of(f"{listening.parent}/../{listening.parent.name}/{listening.name}", Kind.WAYLAND) is None


def test_whoever_listens_at_very_many_hides_nobody_elses(listening: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    monkeypatch.setattr(endpoints, "owner_of", lambda path, _kind: looked.append(path) or 1000)
    theirs = [f"/run/user/1001/{n}/wayland-0" for n in range(5000)] + [f"/tmp/{n}/wayland-0" for n in range(5000)]
    servers = [f"/tmp/.X11-unix/X{n}" for n in range(5000)]
    mine = ["/run/user/1000/wayland-0", "/tmp/.X11-unix/X0"]
    found = {e.path for e in endpoints_of([*theirs, *servers, *mine])}
    assert found >= {*mine}
    assert len(looked) < 300


def test_nothing_is_looked_at_elsewhere() -> None:
    assert endpoints_of(["/net/somewhere/wayland-0", "/home/me/wayland-0"]) == frozenset()


@pytest.mark.root
def test_a_folder_of_somebody_else_is_not_believed(listening: Path) -> None:
    os.chown(listening.parent, 65534, 65534)
    assert owner_of(str(listening), Kind.WAYLAND) is None
    os.chown(listening.parent, 0, 0)


def test_a_machine_without_the_file_has_none(tmp_path: Path) -> None:
    assert read_endpoints(tmp_path) == frozenset()


@given(st.binary(max_size=400))
def test_any_table_is_read(table: bytes) -> None:
    header = b"Num       RefCount Protocol Flags    Type St Inode Path\n"
    endpoints_of(parse_listeners(header + table))
    line = b"00000000a1b2c3d4: 00000002 00000000 00010000 0001 01 17 /x/y\n"
    assert "/x/y" in parse_listeners(header + line + table)
