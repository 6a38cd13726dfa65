"""The one place that puts the parts together: real or dry-run, lock, signals, restore."""

from smoothtask.daemon.build import build
from smoothtask.daemon.headless import run_daemon, serve
from smoothtask.daemon.process import AlreadyRunning, LockedError
from smoothtask.daemon.restoring import Restored, restore_all
from smoothtask.engine.parameters import parameters_of

__all__ = ["AlreadyRunning", "LockedError", "Restored", "build", "parameters_of", "restore_all", "run_daemon", "serve"]
