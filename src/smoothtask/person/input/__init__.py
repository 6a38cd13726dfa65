"""When somebody last touched this machine: keyboards and mice, logind, terminals. Never what was typed."""
