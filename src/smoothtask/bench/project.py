"""Writes a program in C of many units, with its Makefile: what is built where a load is a build."""

from pathlib import Path

UNITS = 40
FUNCTIONS = 120
"""Of one unit where nothing else is said: about half a second of a compiler's work."""


def write_project(folder: Path, times: int = 1, tally: str | None = None, functions: int = FUNCTIONS) -> None:
    """Into the new *folder*; each unit is compiled *times*. *tally*: a file that grows by a byte each time.

    Where a unit is built more than once, what it is compiled to is dropped at once: nothing is linked then.
    """
    folder.mkdir(parents=True)
    for unit in range(UNITS):
        (folder / f"unit{unit}.c").write_text("\n".join(_function(unit, n) for n in range(functions)) + "\n")
    (folder / "Makefile").write_text(_once() if times == 1 and tally is None else _often(times, tally))


def _once() -> str:
    objects = " ".join(f"unit{unit}.o" for unit in range(UNITS))
    return f"all: {objects}\n\tar rcs project.a {objects}\n%.o: %.c\n\t$(CC) -O2 -c -o $@ $<\nclean:\n\trm -f *.o *.a\n"


def _often(times: int, tally: str | None) -> str:
    done = f" && printf . >> {tally}" if tally is not None else ""
    names = [(unit, f"unit{unit}.{n}.o") for n in range(times) for unit in range(UNITS)]
    rules = "".join(f"{name}: unit{unit}.c\n\t$(CC) -O2 -c -o $@ $< && : > $@{done}\n" for unit, name in names)
    return f"all: {' '.join(name for _, name in names)}\n{rules}clean:\n\trm -f *.o\n"


def _function(unit: int, number: int) -> str:
    cases = "\n".join(
        f"    case {c}: for (int i = 0; i < n; i++) a[i] = a[i] * {c + number} + a[n - i] % {unit + c + 2}; break;"
        for c in range(8)
    )
    return f"void f{unit}_{number}(int *a, int n) {{\n  switch (n % 8) {{\n{cases}\n  }}\n}}"
