"""What a pacer calls goes wrong in odd ways: the call comes to what it comes to, and nothing hangs or is left behind."""

from __future__ import annotations

import asyncio
import sys
import threading
from types import ModuleType
from typing import Any

import pytest
import tidegate
from pacer_kit import Answer, script, script_async, settle


def holds_nothing(pacer: tidegate.Pacer) -> bool:
    stats = pacer.stats()
    return (stats.in_flight, stats.waiting) == (0, 0)


class Stuck(Answer):
    def __init__(self) -> None:
        super().__init__(429)

    def close(self) -> None:
        raise OSError("stuck")


class Uncallable(Answer):
    release = 5


@pytest.mark.parametrize("refusal", [Stuck(), Uncallable(429)])
def test_a_response_that_cannot_be_closed_is_no_end_in_asyncio(refusal):
    told: list[dict[str, Any]] = []

    async def main() -> Any:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
        return await pacer.call_async(script_async(refusal, "done"))

    pacer = tidegate.Pacer(concurrency=1, base=0)
    assert asyncio.run(main()) == "done" and holds_nothing(pacer)
    assert [type(context["exception"]) for context in told] in ([OSError], [TypeError])


def test_a_map_ends_when_its_function_is_cancelled():
    pacer = tidegate.Pacer(concurrency=2)

    async def work(item: int) -> int:
        if item == 1:
            await asyncio.sleep(0)
            raise asyncio.CancelledError("of its own")
        return item

    async def main() -> None:
        items = pacer.map_async(work, range(4))
        task = asyncio.ensure_future(items._all())
        for _ in range(5):
            await settle()
        assert task.done()  # it does not wait for what will never come
        assert task.cancelled() and list(items.failed) == [1] and items.finished[0] == 0

    asyncio.run(main())
    assert holds_nothing(pacer)


def test_a_map_that_is_left_has_failed_nowhere():
    pacer = tidegate.Pacer(concurrency=3)

    async def work(item: int) -> int:
        if item:
            await asyncio.Event().wait()
        return item

    async def main() -> None:
        items = pacer.map_async(work, range(4))
        each = items.__aiter__()
        assert await each.__anext__() == 0
        await each.aclose()
        assert items.failed == {} and items.pending == [1, 2, 3]

    asyncio.run(main())


def test_a_loop_that_is_closed_with_its_tasks_left_keeps_no_place(clock):
    pacer = tidegate.Pacer("1/hour", clock=clock, headroom=0, concurrency=1)
    pacer.call(lambda: None)
    loop = asyncio.new_event_loop()
    left = loop.create_task(pacer.call_async(script_async("never")))
    loop.run_until_complete(settle())
    loop.close()
    assert pacer.stats().waiting == 1
    clock.advance(3600)
    call = pacer._begin()
    call.poll(lambda: None)  # lets the first go, which is nowhere
    assert call.poll(lambda: None) is True
    call.close()
    assert holds_nothing(pacer) and not left.done()
    left._log_destroy_pending = False


@pytest.mark.parametrize("broken", ["__init__", "update", "close"])
def test_results_outlive_a_progress_bar(broken, monkeypatch, caplog):
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no terminal")

    methods = {"__init__": lambda *_, **__: None, "update": lambda _: None, "close": lambda _: None}
    tqdm = ModuleType("tqdm")
    tqdm.tqdm = type("Bar", (), {**methods, broken: fail})
    monkeypatch.setitem(sys.modules, "tqdm", tqdm)
    pacer = tidegate.Pacer(concurrency=2)

    async def work(item: int) -> int:
        return item

    async def main() -> list[int]:
        return await pacer.map_async(work, range(5), progress=True)

    items = pacer.map(int, range(5), progress=True)
    results: list[list[int]] = []
    reader = threading.Thread(target=lambda: results.append(list(items)), daemon=True)
    reader.start()
    idle = 0
    while reader.is_alive() and idle < 100:  # nobody works, and it waits nevertheless: it hangs
        reader.join(0.01)
        idle += not any(thread.name.startswith("tidegate-map") for thread in threading.enumerate())
    assert results == [list(range(5))] == [asyncio.run(main())]
    assert "no terminal" in caplog.text


def test_a_map_takes_the_threads_that_there_are(monkeypatch):
    begin = threading.Thread.start
    most = 1

    def start(thread: threading.Thread) -> None:
        nonlocal most
        if not most:
            raise RuntimeError("can't start new thread")
        most -= 1
        begin(thread)

    pacer = tidegate.Pacer(concurrency=3)
    items = pacer.map(int, range(5))
    monkeypatch.setattr(threading.Thread, "start", start)
    assert list(items) == list(range(5))
    items = pacer.map(int, range(5))
    with pytest.raises(RuntimeError, match="new thread"):
        list(items)
    monkeypatch.undo()
    assert list(items) == list(range(5))


def test_what_classify_raises_does_not_hide_what_it_looked_at():
    lost = KeyError("lost")
    pacer = tidegate.Pacer(classify=lambda _: 1 // 0)
    with pytest.raises(ZeroDivisionError) as raised:
        pacer.call(script(lost))
    assert raised.value.__context__ is lost
    pacer = tidegate.Pacer(classify=lambda error: (_ for _ in ()).throw(error))
    with pytest.raises(KeyError) as raised:
        pacer.call(script(lost))
    assert raised.value is lost and holds_nothing(pacer)


@pytest.mark.parametrize("seconds", [90, 90.0, "90", b"90"])
def test_headers_of_a_stand_in_may_be_numbers(seconds):
    refusal = Answer(429)
    refusal.headers = {"Retry-After": seconds}
    with pytest.raises(tidegate.RetryAfterTooLong) as caught:
        tidegate.Pacer().call(lambda: refusal)
    assert caught.value.retry_after == 90


def test_pairs_of_headers_may_be_lists():
    pairs = [["Retry-After", "7"], ("X", "y")]
    assert tidegate.read_headers(pairs).retry_after == 7
    refusal = Answer(429)
    refusal.headers = [["Retry-After", "90"]]
    with pytest.raises(tidegate.RetryAfterTooLong):
        tidegate.Pacer().call(lambda: refusal)
    for wrong in [[("a",)], [("a", "b", "c")], [["a"]], ["ab"], [5]]:
        with pytest.raises(TypeError, match="^headers: expected a mapping or an iterable of pairs"):
            tidegate.read_headers(wrong)
