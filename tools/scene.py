"""Makes a scene of a recorded log: `python tools/scene.py LOG FIRST LAST FILE.jsonl.gz` (ids of snapshots).

One frame a line, as the control socket says it. Paths of this machine become those of an installation; command lines
are shortened to the program's name, so that nothing personal is kept.
"""

import gzip
import re
import sys
from dataclasses import replace
from pathlib import Path

from smoothtask.control.protocol import encode_frame
from smoothtask_tui.recorded import read_moments, read_past

OURS = re.compile(rb"/[^\" ]*/smoothtask/data/")


def main() -> int:
    """Read, clean, write."""
    log, first, last, target = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    ids = [m.id for m in read_moments(log) if first <= m.id <= last]
    with gzip.GzipFile(target, "wb", mtime=0) as file:
        for seq, moment in enumerate(ids, 1):
            frame = read_past(log, moment).frame
            processes = tuple(replace(p, command=p.name) for p in frame.processes)
            line = encode_frame(replace(frame, seq=seq, processes=processes))
            file.write(OURS.sub(b"/usr/share/smoothtask/data/", line))
    print(f"{target}: {len(ids)} frames")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
