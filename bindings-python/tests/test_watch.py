"""A limiter that follows its policy file; nothing here waits longer than for the file to be seen."""

import gc
import os
import queue
import subprocess
import sys
import threading
import weakref

import pytest
import tidegate


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "policy.toml"
    write(path, "5/hour")
    return path


@pytest.fixture
def limiter(clock):
    return tidegate.Limiter("1/hour", clock=clock)


def write(path, rate):
    """In one step: nobody sees half of it."""
    new = path.with_name("new")
    new.write_text(f'[[limit]]\nrate = "{rate}"\n')
    new.replace(path)


def test_a_file_is_put_in_force_and_followed(limiter, path):
    events = queue.Queue()
    with limiter.watch(path, events.put) as watch:
        assert limiter.peek("a").limit == 5
        assert not watch.closed and repr(watch) == "<tidegate.Watch open>"
        write(path, "7/hour")
        event = events.get()
        assert event.updated is True and event.error is None
        assert limiter.peek("a").limit == 7
        assert repr(event) == "WatchEvent(updated=True, error=None)"
    assert watch.closed and repr(watch) == "<tidegate.Watch closed>"
    watch.close()


def test_a_bad_file_changes_nothing_and_is_told(limiter, path):
    events = queue.Queue()
    watch = limiter.watch(str(path), events.put)
    write(path, "7/fortnight")
    event = events.get()
    assert event.updated is False
    assert isinstance(event.error, tidegate.PolicyError)
    assert (event.error.line, event.error.field) == (2, "limit[0].rate.period")
    path.unlink()
    event = events.get()
    assert isinstance(event.error, FileNotFoundError)
    assert event.error.filename == str(path)
    assert limiter.peek("a").limit == 5
    assert "FileNotFoundError" in repr(event)
    watch.close()


def test_a_file_that_is_bad_from_the_beginning(limiter, tmp_path):
    with pytest.raises(FileNotFoundError) as missing:
        limiter.watch(tmp_path / "nowhere.toml", print)
    assert missing.value.filename == str(tmp_path / "nowhere.toml")
    write(tmp_path / "wrong.toml", "0/hour")
    with pytest.raises(tidegate.PolicyError, match="wrong.toml") as wrong:
        limiter.watch(tmp_path / "wrong.toml", print)
    assert wrong.value.line == 2
    (tmp_path / "latin.toml").write_bytes(b"# \xe9\n")
    with pytest.raises(tidegate.PolicyError, match="UTF-8"):
        limiter.watch(tmp_path / "latin.toml", print)
    assert limiter.peek("a").limit == 1


def test_bad_arguments(limiter, path):
    with pytest.raises(TypeError, match="^on_event: expected a callable, got NoneType"):
        limiter.watch(path, None)
    with pytest.raises(TypeError):
        limiter.watch(42, print)
    assert limiter.peek("a").limit == 1


def test_what_a_function_raises_goes_to_the_hook(limiter, path, monkeypatch):
    caught = queue.Queue()

    def hook(unraisable):
        caught.put((unraisable.exc_value, unraisable.object))

    monkeypatch.setattr(sys, "unraisablehook", hook)
    raised = ValueError("mine")

    def on_event(event):
        raise raised

    with limiter.watch(path, on_event):
        for rate in ("7/hour", "8/hour"):
            write(path, rate)
            assert caught.get() == (raised, on_event)


def test_close_waits_for_a_function_that_runs(limiter, path):
    entered, leave, order = threading.Event(), threading.Event(), []

    def on_event(event):
        entered.set()
        leave.wait()
        order.append("told")

    def close():
        order.append("closing")
        watch.close()
        order.append("closed")

    watch = limiter.watch(path, on_event)
    write(path, "7/hour")
    entered.wait()
    closing = threading.Thread(target=close)
    closing.start()
    while order == []:
        pass
    for number in range(50_000):  # time enough for one that does not wait
        limiter.peek(f"{number}")
    leave.set()
    closing.join()
    assert order == ["closing", "told", "closed"]


def test_a_function_may_close_its_watch(limiter, path):
    closed = threading.Event()

    def on_event(event):
        watch.close()
        closed.set()

    watch = limiter.watch(path, on_event)
    write(path, "7/hour")
    closed.wait()
    assert watch.closed


def threads():
    """The threads of this process, Python's and others."""
    return len(os.listdir("/proc/self/task"))


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="counts threads as Linux does")
def test_a_watch_ends_with_its_last_reference(limiter, path):
    def on_event(event):
        pytest.fail("nobody writes")

    watch, gone = limiter.watch(path, on_event), weakref.ref(on_event)
    before = threads()
    del watch
    gc.collect()
    assert threads() < before
    del on_event
    limiter.peek("a")
    gc.collect()
    assert gone() is None


def test_a_function_that_runs_when_the_interpreter_exits(path):
    script = f"""if True:
        import threading, tidegate
        entered = threading.Event()

        def on_event(event):
            entered.set()
            for _ in range(300_000):
                pass
            print("told")

        limiter = tidegate.Limiter("1/hour")
        watch = limiter.watch({str(path)!r}, on_event)
        open({str(path)!r}, "a").write("# changed")
        entered.wait()
    """
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (0, "told\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_closes_what_is_its_parents(limiter, path):
    with limiter.watch(path, print) as watch:
        child = os.fork()
        if child == 0:
            watch.close()
            os._exit(7 if watch.closed else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert not watch.closed
