"""Exit statuses, and what they say."""

OK = 0
FAILED = 1
USAGE = 2
NO_DAEMON = 3
REFUSED = 4
TOO_LITTLE = 5
DOUBTFUL = 6
CONFIG = 78
"""EX_CONFIG of sysexits.h: systemd's RestartPreventExitStatus can tell it apart."""

MEANINGS = {
    OK: "done",
    FAILED: "failed, or not found",
    USAGE: "the command line is wrong",
    NO_DAEMON: "no daemon is running",
    REFUSED: "not permitted",
    TOO_LITTLE: "there is too little recorded to learn from",
    DOUBTFUL: "what was learnt is no better: it is kept, but not used",
    CONFIG: "the configuration is wrong",
}
