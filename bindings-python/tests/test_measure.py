"""measure: blocks and functions, sync and async; what they took is charged, permits come back."""

import asyncio
import inspect

import pytest
import tidegate

POLICY = {
    "limit": [
        {"name": "time", "rate": "10s/minute"},
        {"name": "at once", "method": "concurrency", "quota": 1},
    ]
}


@pytest.fixture
def limiter(clock):
    return tidegate.Limiter(POLICY, clock=clock)


def used(limiter):
    time, permits = limiter.snapshot("a").buckets
    return time.used, permits.used


def test_a_block_is_charged_and_releases(limiter, clock):
    with limiter.measure("a") as decision:
        assert decision.allowed and used(limiter) == (0, 1)
        clock.advance(duration_ns=1_500_000_001)
    assert used(limiter)[1] == 0
    # The budget dripped back 1/6 of the time that passed before the charge: it was full.
    assert used(limiter)[0] == 1_500_000_001


def test_a_block_that_raises_is_charged_too(limiter, clock):
    with pytest.raises(KeyError), limiter.measure("a"):
        clock.advance(2)
        raise KeyError
    assert used(limiter) == (2_000_000_000, 0)


def test_a_denied_block_does_not_run(limiter):
    with limiter.measure("a"), pytest.raises(tidegate.RateLimited) as caught:
        with limiter.measure("a"):
            pytest.fail("the block must not run")
    error = caught.value
    assert isinstance(error, tidegate.Error) and not isinstance(error, ValueError)
    assert not error.decision and error.decision.name == "at once"
    assert str(error) == "limit 'at once' (1) has no room; retry after 1 s"
    assert used(limiter)[1] == 0


def test_entering_twice_is_refused(limiter):
    measure = limiter.measure("a")
    with measure, pytest.raises(tidegate.Error, match="entered already"):
        measure.__enter__()
    with measure:
        assert used(limiter)[1] == 1


def test_async_block_and_exception(limiter, clock):
    async def main():
        async with limiter.measure("a") as decision:
            assert decision
            clock.advance(1)
            await asyncio.sleep(0)
            with pytest.raises(tidegate.RateLimited):
                async with limiter.measure("a"):
                    pytest.fail("the block must not run")
        assert used(limiter) == (1_000_000_000, 0)
        with pytest.raises(KeyError):
            async with limiter.measure("a"):
                raise KeyError
        assert used(limiter)[1] == 0

    asyncio.run(main())


def test_a_decorated_function_keeps_its_signature(limiter, clock):
    @limiter.measure("a")
    def work(first: int, *rest: str, flag: bool = False) -> str:
        """Does the work."""
        clock.advance(1)
        return f"{first}{rest}{flag}"

    assert str(inspect.signature(work)) == "(first: int, *rest: str, flag: bool = False) -> str"
    assert (work.__name__, work.__doc__) == ("work", "Does the work.")
    assert work(1, "x", flag=True) == "1('x',)True"
    assert used(limiter) == (1_000_000_000, 0)
    limiter.record_latency("a", 10)
    with pytest.raises(tidegate.RateLimited):
        work(1)


def test_a_decorated_coroutine_function_stays_one(limiter, clock):
    @limiter.measure("a")
    async def work(value: int) -> int:
        assert used(limiter)[1] == 1
        await asyncio.sleep(0)
        clock.advance(1)
        return value + 1

    assert inspect.iscoroutinefunction(work)
    assert asyncio.run(work(1)) == 2
    assert used(limiter) == (1_000_000_000, 0)


def test_a_decorated_method(limiter):
    class Service:
        @limiter.measure("a")
        def call(self, value):
            return self, value

    service = Service()
    assert service.call(5) == (service, 5)


def test_generators_are_refused(limiter):
    with pytest.raises(TypeError, match="generator"):

        @limiter.measure("a")
        def items():
            yield 1

    with pytest.raises(TypeError, match="expected a function, got int"):
        limiter.measure("a")(5)
