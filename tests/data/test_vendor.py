"""The vendor layer as data: well-formed, unambiguous and safe, whatever reads it."""

import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import smoothtask
from smoothtask.collector.identity import ENVIRON_KEYS
from smoothtask.config.yamlfile import load_file
from smoothtask.model.classes import PriorityClass
from smoothtask.model.group import ProcessType

VENDOR = Path(smoothtask.__file__).parent / "data" / "vendor"
TYPE_FIELDS = {
    "class", "certain", "tags", "process_type", "protected", "starts_others", "part", "after_s", "description",
}  # fmt: skip
MATCH_KEYS = {
    "exe", "name", "cmdline", "flatpak", "unit", "cgroup", "parent", "ancestor", "user", "environ", "wine", "snap",
    "container", "tty",
}  # fmt: skip
INTERPRETERS = {"python", "python3", "node", "java", "perl", "ruby", "php", "mono", "dotnet", "lua", "electron", "gjs"}


@cache
def types() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = load_file(VENDOR / "types.yaml").value["types"]
    return found


@cache
def applications() -> tuple[dict[str, Any], ...]:
    files = sorted(VENDOR.glob("*.yaml"))
    return tuple(a for file in files for a in load_file(file).value.get("applications", ()))


def values(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def effective(application: dict[str, Any], field: str) -> Any:
    return application.get(field, types()[application["type"]].get(field))


def alternatives() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for application in applications():
        for alternative in application["match"]:
            yield application, alternative


def test_there_are_at_least_300_applications_with_distinct_ids() -> None:
    ids = [a["id"] for a in applications()]
    assert len(ids) >= 300
    assert len(set(ids)) == len(ids)
    assert [i for i in ids if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", i)] == []


def test_types_have_known_fields_and_values() -> None:
    for name, fields in types().items():
        assert set(fields) <= TYPE_FIELDS, name
        assert fields.get("class") is None or fields["class"] in PriorityClass.__members__, name
        assert fields["process_type"] in set(ProcessType), name
        assert fields["description"], name


def test_every_type_is_defined_and_used() -> None:
    assert {a["type"] for a in applications()} == set(types())


def test_alternatives_have_known_keys_and_usable_values() -> None:
    for application, alternative in alternatives():
        assert alternative, application["id"]
        assert set(alternative) <= MATCH_KEYS, application["id"]
        assert set(alternative.get("environ", {})) <= ENVIRON_KEYS, application["id"]
        for key in set(alternative) - {"environ", "tty"}:
            assert all(isinstance(v, str) and v for v in values(alternative[key])), (application["id"], key)
        for pattern in values(alternative.get("cmdline", "x")):
            re.compile(pattern)


@pytest.mark.parametrize("key", ["name", "flatpak", "unit", "exe", "wine"])
def test_no_two_applications_claim_the_same(key: str) -> None:
    claims = defaultdict(set)
    for application, alternative in alternatives():
        if set(alternative) == {key}:
            for value in values(alternative[key]):
                claims[value].add(application["id"])
    assert {value: ids for value, ids in claims.items() if len(ids) > 1} == {}


def test_interpreters_are_never_matched_by_name_alone() -> None:
    alone = {
        name
        for _, alternative in alternatives()
        if set(alternative) == {"name"}
        for name in values(alternative["name"])
    }
    assert alone & INTERPRETERS == set()


def test_what_starts_others_is_never_lowered_by_its_kind() -> None:
    low = {"BACKGROUND", "IDLE"}
    own_job_only = {"mpi"}
    starters = [a for a in applications() if effective(a, "starts_others")]
    assert {a["id"] for a in starters if effective(a, "class") in low} <= own_job_only


@pytest.mark.parametrize(
    "name",
    [
        "systemd", "dbus-daemon", "sshd", "sshd-session", "login", "Xorg", "Xwayland", "gnome-shell", "kwin_wayland",
        "sway", "pipewire", "wireplumber", "pulseaudio", "jackd", "systemd-logind", "NetworkManager", "polkitd",
        "gdm-session-worker", "sddm-helper", "swaylock", "gnome-session-binary", "cron", "earlyoom",
    ],
)  # fmt: skip
def test_what_holds_the_machine_together_is_protected(name: str) -> None:
    owners = [a for a, alternative in alternatives() if name in values(alternative.get("name"))]
    assert owners
    assert all(effective(a, "protected") for a in owners)


def test_package_managers_are_never_idle_and_monitors_never_lowered() -> None:
    assert types()["package-manager"]["class"] == "BACKGROUND"
    assert types()["monitor"] | {"class": "INTERACTIVE", "certain": True} == types()["monitor"]


def test_only_flatpaks_of_programs_that_run_no_others_are_matched_whole() -> None:
    """A compiler in an environment's flatpak is a build, not the environment."""
    whole = {a["id"] for a, alternative in alternatives() if set(alternative) == {"flatpak"} and a["type"] == "ide"}
    runs_nothing_else = {"godot", "dbeaver", "glade", "hotspot", "kcachegrind", "sysprof"}
    assert whole <= runs_nothing_else
