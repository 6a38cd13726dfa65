"""Processes end up in the application a person would name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenery import classification, identity, known
from smoothtask.grouper import KERNEL_GROUP, Placed, place, split_hogs
from smoothtask.model.group import Behaviour, Classification, Membership, ProcessType
from smoothtask.model.identity import Identity
from smoothtask.model.tasks import ProcKey

SHELL = known("bash", starts_others=True)
MAKE = known("make", part="build", process_type=ProcessType.BATCH)
BROWSER = known("firefox", process_type=ProcessType.GUI)


def put(i: Identity, c: Classification, parent: Placed | None = None, leader: Placed | None = None) -> Placed:
    """A process in its place."""
    return Placed(i, c, place(i, c, parent, leader))


@pytest.fixture
def shell() -> Placed:
    """A terminal's shell, a session leader."""
    return put(identity(100, 50, "bash", sid=100, tty="pts/1"), SHELL)


def test_a_container_outranks_everything() -> None:
    """All processes of a container are one group."""
    i = identity(20, 10, container="0123456789ab", unit="docker-0123456789ab.scope", sid=20)
    assert place(i, BROWSER, None, None) == Membership("container:0123456789ab")


def test_a_container_of_one_manager_is_not_that_of_another() -> None:
    """A user may call a scope as root's container is called; what runs inside of root's may have users, too."""
    scope = f"docker-{'0123456789ab' + 52 * 'c'}.scope"
    users, roots = f"/user.slice/user-1000.slice/user@1000.service/app.slice/{scope}", f"/system.slice/{scope}"
    cgroups = [roots, f"{roots}{users}", users, f"{users}/user.slice/user-0.slice/user@0.service/x.scope"]
    found = [place(identity(20, container="0123456789ab", cgroup=c), BROWSER, None, None).group for c in cgroups]
    assert found == ["container:0123456789ab"] * 2 + ["container:0123456789ab@1000"] * 2


@given(st.text(), st.text(), st.text())
def test_no_outer_id_holds_a_slash(container: str, flatpak: str, unit: str) -> None:
    """FLATPAK_ID is what anybody makes it, and what is behind a slash is a part of somebody else's group."""
    for named in ({"container": container}, {"flatpak": flatpak}, {"unit": unit, "cgroup": f"/x/{unit}"}):
        assert "/" not in place(identity(20, **named), BROWSER, None, None).group


def test_a_flatpak_is_one_group_a_person() -> None:
    """Two people's instances of one flatpak are two groups."""
    a, b = (place(identity(20, flatpak="org.x.App", uid=u), BROWSER, None, None) for u in (1000, 1001))
    assert a == Membership("flatpak:org.x.App@1000")
    assert a != b


@pytest.mark.parametrize(
    ("unit", "cgroup", "expected"),
    [
        ("cron.service", "/system.slice/cron.service", "unit:cron.service"),
        (
            "app-firefox-12.scope",
            "/user.slice/user-1000.slice/user@1000.service/app.slice/app-firefox-12.scope",
            "unit:app-firefox-12.scope@1000",
        ),
    ],
)
def test_a_unit_is_a_group(unit: str, cgroup: str, expected: str) -> None:
    """System units and each person's own units."""
    assert place(identity(20, unit=unit, cgroup=cgroup), BROWSER, None, None) == Membership(expected)


@pytest.mark.parametrize("unit", ["session-2.scope", "init.scope", "user@1000.service"])
def test_a_unit_that_holds_a_whole_session_is_no_group(unit: str) -> None:
    """There the process tree is looked at."""
    i = identity(20, unit=unit, cgroup=f"/user.slice/{unit}")
    assert place(i, BROWSER, None, None) == Membership("proc:20-2000")


def test_what_a_shell_starts_belongs_to_it(shell: Placed) -> None:
    """A program without a rule is part of its terminal's group."""
    assert put(identity(101, 100, "foo"), classification(), shell).membership == shell.membership


def test_a_graphical_program_started_in_a_shell_is_a_group(shell: Placed) -> None:
    """firefox& from a terminal is not the terminal."""
    assert put(identity(101, 100, "firefox"), BROWSER, shell).membership.group == "proc:101-10100"


def test_helpers_of_an_application_belong_to_it() -> None:
    """Even when they begin a session of their own."""
    browser = put(identity(200, 1, "firefox"), BROWSER)
    helper = put(identity(201, 200, "firefox", sid=201), BROWSER, browser)
    assert helper.membership == browser.membership


def test_a_build_is_a_part_of_its_terminal_and_holds_what_it_starts(shell: Placed) -> None:
    """make, and the compiler and shells below it."""
    make = put(identity(101, 100, "make"), MAKE, shell)
    below = put(identity(102, 101, "sh"), SHELL, make)
    compiler = put(identity(103, 102, "cc1"), MAKE, below)
    assert {p.membership for p in (make, below, compiler)} == {Membership("proc:100-10000", "proc:100-10000/build")}


def test_a_known_tool_in_a_shell_is_a_part_by_its_name(shell: Placed) -> None:
    """ffmpeg in a terminal can be lowered alone."""
    tool = put(identity(101, 100, "ffmpeg"), known("ffmpeg", process_type=ProcessType.BATCH), shell)
    assert tool.membership.subgroup == "proc:100-10000/app:ffmpeg"


def test_an_orphan_goes_to_its_session(shell: Placed) -> None:
    """Its parent is gone, its session leader is not."""
    orphan = put(identity(150, 1, "job", sid=100), classification(), None, shell)
    assert orphan.membership.group == shell.membership.group


def test_nobody_is_counted_to_a_protected_parent() -> None:
    """What a session manager starts is not the session manager."""
    manager = put(identity(300, 1, "gnome-shell"), known("gnome-shell", protected=True))
    child = put(identity(301, 300, "tool", sid=300), classification(), manager, manager)
    assert child.membership.group == "proc:301-30100"


def test_kernel_threads_are_one_group() -> None:
    """However many there are."""
    assert place(identity(9, 2, "kworker/0:1", kernel_thread=True), classification(), None, None) == Membership(
        KERNEL_GROUP
    )


def test_hogs_are_split_from_a_shell_and_from_those_who_wake_often() -> None:
    """By program name: six hogs of one name are one part."""
    a, b, c, d = (ProcKey(n, n) for n in range(1, 5))
    members = [
        (a, "bash", Behaviour.QUIET, True),
        (b, "burn", Behaviour.HOG, False),
        (c, "burn", Behaviour.HOG, False),
        (d, "loop", Behaviour.STEADY, False),
    ]
    assert split_hogs({"g": members}) == {b: "g/hog:burn", c: "g/hog:burn"}


def test_an_application_that_only_hogs_is_not_split() -> None:
    """A sleeping parent of workers is no reason to."""
    members = [(ProcKey(1, 1), "w", Behaviour.QUIET, False), (ProcKey(2, 2), "w", Behaviour.HOG, False)]
    assert split_hogs({"g": members}) == {}


def test_an_id_never_holds_what_a_name_smuggles() -> None:
    """A slash or a space in a program's name does not make another part."""
    members = [(ProcKey(1, 1), "sh", Behaviour.QUIET, True), (ProcKey(2, 2), "a/b c", Behaviour.HOG, False)]
    assert split_hogs({"g": members}) == {ProcKey(2, 2): "g/hog:a_b_c"}
