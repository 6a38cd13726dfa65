"""An engine in this process, as an `EngineClient`."""

import os
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError

from smoothtask.engine.host import EngineHost
from smoothtask.model.command import Caller, Command, Reply
from smoothtask.model.frame import Frame

ASK_TIMEOUT_S = 5.0


class LocalEngine:
    """Turns *host*'s loop in the thread that calls `run`; *on_close* is called there when the loop has ended."""

    def __init__(self, host: EngineHost, on_close: Callable[[], None] = lambda: None) -> None:
        self._host = host
        self._on_close = on_close
        self._caller = Caller(uid=os.getuid(), pid=os.getpid())
        self._ended = False

    @property
    def description(self) -> str:
        """See `EngineClient`."""
        return "this process"

    @property
    def ends_with_us(self) -> bool:
        """See `EngineClient`."""
        return True

    def run(self, on_frame: Callable[[Frame], None], on_state: Callable[[str], None]) -> None:  # noqa: ARG002
        """See `EngineClient`. The connection cannot be lost: *on_state* is never called."""
        self._host.on_frame(on_frame)
        self._host.watch(+1)
        try:
            self._host.run()
        finally:
            self._ended = True
            self._on_close()

    def ask(self, command: Command) -> Reply:
        """See `EngineClient`. From any thread but the loop's own."""
        if self._ended:
            return Reply(False, "the engine has stopped")
        answer: Future[Reply] = Future()

        def carry_out() -> None:
            if not answer.set_running_or_notify_cancel():
                return  # nobody waits any more
            try:
                answer.set_result(self._host.handle(command, self._caller))
            except OSError as error:
                answer.set_result(Reply(False, f"failed: {error}"))  # such as a full disk
            except Exception as error:
                answer.set_exception(error)
                raise

        self._host.call_soon(carry_out)
        try:
            return answer.result(ASK_TIMEOUT_S)
        except FutureTimeoutError:
            answer.cancel()
            return Reply(False, f"the engine did not answer within {ASK_TIMEOUT_S:g} s")

    def close(self) -> None:
        """See `EngineClient`."""
        if not self._ended:
            self._host.stop()
