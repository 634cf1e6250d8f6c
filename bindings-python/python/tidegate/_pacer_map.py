"""A function over many items through a pacer: in order, resumable, from threads or tasks."""

from __future__ import annotations

import threading
from collections import deque
from importlib import import_module
from typing import Generic, TypeVar

from tidegate import _native
from tidegate._pacer_errors import Stopped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
    from typing import Any

    from tidegate._pacer import Pacer

_T = TypeVar("_T")


class _Results(Generic[_T]):
    """What is finished, by the item's place."""

    def __init__(
        self,
        pacer: Pacer,
        function: Callable[[Any], Any],
        items: Iterable[Any],
        concurrency: int | None,
        progress: bool,
        return_exceptions: bool,
    ) -> None:
        if not callable(function):
            raise TypeError(f"function: expected a callable, got {type(function).__name__}")
        if concurrency is None:
            concurrency = pacer.concurrency
        elif not isinstance(concurrency, int) or isinstance(concurrency, bool):
            raise TypeError(f"concurrency: expected an int, got {type(concurrency).__name__}")
        elif concurrency < 1:
            raise ValueError(f"concurrency: {concurrency} at once; give 1 or more")
        self._pacer = pacer
        self._function = function
        self._items = list(items)
        self._concurrency = concurrency
        self._progress = progress
        self._return_exceptions = return_exceptions
        self._running = False
        self._finished: dict[int, _T] = {}
        self._failed: dict[int, BaseException] = {}

    @property
    def failed(self) -> dict[int, BaseException]:
        """dict of int to BaseException: What ended the last iteration, by the item's place."""
        return dict(sorted(self._failed.items()))

    @property
    def finished(self) -> dict[int, _T]:
        """dict of int to object: Results so far, by the item's place from 0; a copy."""
        return dict(sorted(self._finished.items()))

    @property
    def pending(self) -> list[int]:
        """list of int: Places of the items without a result."""
        return [place for place in range(len(self._items)) if place not in self._finished]

    def __len__(self) -> int:
        return len(self._items)

    def __repr__(self) -> str:
        done = f"{len(self._finished)} of {len(self._items)}"
        return f"<tidegate.{type(self).__name__} {done} finished>"

    def _begin(self) -> deque[int]:
        if self._running:
            raise RuntimeError("the map runs already; iterate over it once at a time")
        self._running = True
        self._failed = {}
        return deque(self.pending)

    def _bar(self) -> _Bar:
        return _Bar(self._progress, len(self._items), len(self._finished))


class _Bar:
    """A progress bar, where tqdm is installed. One that fails is no reason to lose results."""

    def __init__(self, is_wanted: bool, total: int, initial: int) -> None:
        self._bar: Any = None
        if not is_wanted:
            return
        try:
            tqdm = import_module("tqdm").tqdm
        except ImportError:
            return
        try:
            self._bar = tqdm(total=total, initial=initial)
        except Exception:
            self._give_up()

    def update(self) -> None:
        try:
            if self._bar is not None:
                self._bar.update()
        except Exception:
            self._give_up()

    def close(self) -> None:
        try:
            if self._bar is not None:
                self._bar.close()
        except Exception:
            self._give_up()
        self._bar = None

    def _give_up(self) -> None:
        self._bar = None
        import_module("logging").getLogger("tidegate").warning("no progress bar", exc_info=True)


class PacedMap(_Results[_T]):
    """What `Pacer.map` returns: iterate over it for the results, in the order of the items.

    Iterating starts the threads, and the end of it, however it comes, ends them: who waits for its
    turn gives up, calls under way finish and are kept. Iterating again yields what is kept, and
    goes on with the rest.
    """

    def __iter__(self) -> Iterator[_T]:
        run = _Run(self, self._begin())
        try:
            run.begin()
            yield from run.results()
        finally:
            try:
                run.end()
            finally:
                self._running = False


class _Run(Generic[_T]):
    """One pass over what is left: threads that take places, and who waits for results."""

    def __init__(self, owner: PacedMap[_T], places: deque[int]) -> None:
        self._owner = owner
        self._places = places
        self._stop = _native._Stop()
        self._changed = threading.Condition()
        self._failed = owner._failed
        self._bar = owner._bar()
        self._threads: list[threading.Thread] = []

    def begin(self) -> None:
        for i in range(min(self._owner._concurrency, len(self._places))):
            thread = threading.Thread(target=self._work, name=f"tidegate-map-{i}", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                if not self._threads:
                    raise
                return  # the system has no more: those that there are do it
            self._threads.append(thread)

    def results(self) -> Iterator[_T]:
        finished = self._owner._finished
        for place in range(len(self._owner._items)):
            if place not in finished:
                with self._changed:
                    self._changed.wait_for(lambda: place in finished or self._failed)
            if place not in finished:
                self.end()  # what is under way is kept, too
                if place not in finished:
                    raise self._failed[min(self._failed)]
            yield finished[place]

    def end(self) -> None:
        self._places.clear()
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._bar.close()

    def _work(self) -> None:
        owner = self._owner
        while not self._failed:
            try:
                place = self._places.popleft()
            except IndexError:
                return
            result: Any
            try:
                item = owner._items[place]
                result = owner._pacer._call_until(self._stop, owner._function, item)
            except Stopped:
                return
            except Exception as error:
                if not owner._return_exceptions:
                    self._fail(place, error)
                    return
                result = error
            except BaseException as error:
                self._fail(place, error)
                return
            with self._changed:
                owner._finished[place] = result
                self._bar.update()
                self._changed.notify()

    def _fail(self, place: int, error: BaseException) -> None:
        self._stop.set()
        with self._changed:
            self._failed[place] = error
            self._changed.notify()


class PacedAsyncMap(_Results[_T]):
    """What `Pacer.map_async` returns: `async for` over it, or `await` it for a list.

    As `PacedMap`, with tasks: when the iteration ends, however it does, tasks that are left are
    cancelled. Iterating again yields what is kept, and goes on with the rest.
    """

    def __await__(self) -> Generator[Any, None, list[_T]]:
        return self._all().__await__()

    async def _all(self) -> list[_T]:
        return [result async for result in self]

    async def __aiter__(self) -> AsyncIterator[_T]:
        import asyncio

        places = self._begin()
        failed = self._failed
        bar = self._bar()
        changed = asyncio.Event()
        is_over = False

        async def work() -> None:
            while places and not failed:
                place = places.popleft()
                result: Any
                try:
                    result = await self._pacer.call_async(self._function, self._items[place])
                except Exception as error:
                    if not self._return_exceptions:
                        failed[place] = error
                        changed.set()
                        return
                    result = error
                except BaseException as error:
                    # Of the function's own, which awaited what was cancelled: else nobody would come for its result.
                    if not is_over:
                        failed[place] = error
                        changed.set()
                    raise
                self._finished[place] = result
                bar.update()
                changed.set()

        count = min(self._concurrency, len(places))
        tasks = [asyncio.ensure_future(work()) for _ in range(count)]
        try:
            for place in range(len(self._items)):
                while place not in self._finished and not failed:
                    await changed.wait()
                    changed.clear()
                if place not in self._finished:
                    raise failed[min(failed)]
                yield self._finished[place]
        finally:
            is_over = True
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            bar.close()
            self._running = False
