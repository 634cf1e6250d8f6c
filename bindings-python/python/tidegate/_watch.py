"""Following a policy file: what `Limiter.watch` returns."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from tidegate import _native


class Watch:
    """A policy file that a limiter follows, until it is closed; also a context manager.

    Made by `Limiter.watch`. One that nobody refers to any more is closed, and so are all when
    the interpreter exits.
    """

    __slots__ = ("__weakref__", "_close")

    def __init__(self, native: _native.Watch) -> None:
        import weakref  # loaded for those who use it

        # Also at exit: once the interpreter goes, the watching thread cannot be waited for.
        self._close = weakref.finalize(self, native.close)

    def close(self) -> None:
        """Follow the file no longer. Again: does nothing.

        When it returns, `on_event` is not running and is not called any more, unless it is called
        from within `on_event`, or in a process forked from the one that watches.
        """
        self._close()

    @property
    def closed(self) -> bool:
        """bool: Is the file followed no longer?"""
        return not self._close.alive

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<tidegate.Watch {'closed' if self.closed else 'open'}>"


Watch.__module__ = "tidegate"
