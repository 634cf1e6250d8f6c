//! A limiter that follows its policy file.
//!
//! Here: what users see, and the thread. `follower`: which directories to listen to, and what the file says.
//!
//! This is the only place of the library that starts a thread, and only when somebody asks for a watch: one of its own,
//! which waits, reads and updates, and on most systems one of the crate `notify`, which listens to the system.

mod follower;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use follower::{Follower, is_write};

use crate::error::{Error, Result};
use crate::limiter::Limiter;

/// What became of a policy file that changed.
#[derive(Debug)]
#[non_exhaustive]
pub enum WatchEvent {
    /// The limiter goes by the file as it is now.
    Updated,
    /// The file cannot be read ([`Error::is_file`]) or is wrong ([`Error::is_policy`]): the limiter goes by the
    /// policy that it had.
    Refused(Error),
}

/// A limiter follows a policy file, from [`Limiter::watch`]. Dropping it ends that.
///
/// Drop waits for its thread, hence for an `on_event` that is running. (From within `on_event`, and in a process
/// forked from the one that watches, it does not wait.)
#[derive(Debug)]
#[must_use = "the file is followed until this is dropped"]
pub struct Watch {
    /// What the thread listens to, and the thread. Nothing once it was stopped.
    running: Option<(Sender<Message>, JoinHandle<()>)>,
    /// Threads stay behind when a process forks.
    process: u32,
}

/// What the thread is told.
#[derive(Debug)]
enum Message {
    Changed(notify::Result<notify::Event>),
    Stop,
}

/// How long the thread waits.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// After a change, for the next one: whoever writes a file is seldom done with the first write.
    quiet: Duration,
    /// In all, for somebody who never stops writing.
    patience: Duration,
    /// Until it looks unasked: not all file systems tell, those of a network for example.
    look_again: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            quiet: Duration::from_millis(100),
            patience: Duration::from_secs(1),
            look_again: Duration::from_secs(30),
        }
    }
}

impl Limiter {
    /// Loads a policy file, as [`Limiter::update`] does, and from then on follows it: when it changes, its policy is
    /// put in force, until the [`Watch`] is dropped.
    ///
    /// A file that cannot be read or is wrong changes nothing. `on_event` is told either; of a file whose contents are
    /// what they were at the last look it is told nothing. It runs in the watching thread, and may take its time: changes
    /// meanwhile are seen afterwards. If it panics, that is caught, and it is called again next time.
    ///
    /// The file may be written in place, replaced by renaming, or reached through symbolic links that change, as
    /// editors and Kubernetes do it; it may vanish and come back. A change is acted upon when nobody has
    /// written for 100 ms, after 1 s at the latest; where the system tells of no changes (some network file
    /// systems), within half a minute.
    ///
    /// The watching thread is the only one that the library ever starts, beside the one in which the crate `notify`
    /// listens to the system for it; both end with the `Watch`. Without a watch there are none.
    ///
    /// ```
    /// use tidegate::{Limiter, WatchEvent};
    ///
    /// # let path = std::env::temp_dir().join(format!("tidegate-doc-{}.toml", std::process::id()));
    /// # std::fs::write(&path, "[[limit]]\nrate = \"100/minute\"\n").unwrap();
    /// let limiter = Limiter::from_file(&path)?;
    /// let watch = limiter.watch(&path, |event| match event {
    ///     WatchEvent::Updated => println!("new limits are in force"),
    ///     WatchEvent::Refused(error) => println!("the old limits stay: {error}"),
    ///     _ => {}
    /// })?;
    /// // … for as long as the file should be followed
    /// drop(watch);
    /// # std::fs::remove_file(&path).unwrap();
    /// # Ok::<(), tidegate::Error>(())
    /// ```
    ///
    /// # Errors
    /// Of the first load: [`Error::is_file`] when the file cannot be read or is none (a pipe, a device),
    /// [`Error::is_policy`] when it is wrong. Also
    /// [`Error::is_file`] when the system cannot watch it or has no thread left. The limiter is as it was then.
    pub fn watch(
        &self,
        path: impl AsRef<Path>,
        on_event: impl FnMut(WatchEvent) + Send + 'static,
    ) -> Result<Watch> {
        self.watch_at(path.as_ref(), on_event, Pace::default())
    }

    fn watch_at(
        &self,
        path: &Path,
        on_event: impl FnMut(WatchEvent) + Send + 'static,
        pace: Pace,
    ) -> Result<Watch> {
        let (sender, messages) = channel();
        let mut follower = Follower::new(path, teller(&sender))?;
        let first = follower.look().transpose()?;
        follower.check()?;
        let mut watcher = Watcher {
            limiter: self.clone(),
            follower,
            messages,
            pace,
            on_event: Box::new(on_event),
        };
        // Started before the update: what fails has changed nothing.
        let (start, started) = channel();
        let thread = std::thread::Builder::new().name("tidegate-watch".to_owned());
        let thread = thread.spawn(move || {
            if started.recv().is_ok() {
                watcher.run();
            }
            watcher.end();
        });
        let thread = thread.map_err(|source| Error::file(path, source))?;
        let watch = Watch { running: Some((sender, thread)), process: std::process::id() };
        let updated = first.map_or(Ok(()), |policy| self.update(policy));
        if updated.is_ok() {
            // It listens: nobody has stopped it yet.
            let _ = start.send(());
        }
        // Before the watch: its drop waits for the thread, which waits for this.
        drop(start);
        updated.map(|()| watch)
    }
}

/// Hands on to the thread what the system tells about writes.
fn teller(sender: &Sender<Message>) -> impl notify::EventHandler + use<> {
    let sender = sender.clone();
    move |event: notify::Result<notify::Event>| {
        if event.as_ref().map_or(true, is_write) {
            // Nobody listens any more: the watch is over.
            let _ = sender.send(Message::Changed(event));
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let Some((sender, thread)) = self.running.take() else { return };
        if self.process != std::process::id() {
            // Both are the parent's; here nobody would ever answer.
            std::mem::forget((sender, thread));
            return;
        }
        let _ = sender.send(Message::Stop);
        // The thread waits until all senders are gone.
        drop(sender);
        if thread.thread().id() != std::thread::current().id() {
            // Its panics are not ours.
            let _ = thread.join();
        }
    }
}

/// What the thread has.
struct Watcher {
    limiter: Limiter,
    follower: Follower,
    messages: Receiver<Message>,
    pace: Pace,
    on_event: Box<dyn FnMut(WatchEvent) + Send>,
}

impl Watcher {
    fn run(&mut self) {
        while self.wait_for_change() && self.wait_for_quiet() {
            let Some(found) = self.follower.look() else { continue };
            let event = match found.and_then(|policy| self.limiter.update(policy)) {
                Ok(()) => WatchEvent::Updated,
                Err(error) => WatchEvent::Refused(error),
            };
            // A hook has told about the panic; the watch goes on.
            let _ = catch_unwind(AssertUnwindSafe(|| (self.on_event)(event)));
        }
    }

    /// The other thread ends before this one does: when it lets go of its end of the channel.
    fn end(self) {
        let Watcher { follower, messages, .. } = self;
        drop(follower);
        // Never for long: it is not known of every system that its listener ends in time.
        while messages.recv_timeout(Duration::from_secs(1)).is_ok() {}
    }

    /// Until something may have changed. False: it is over.
    fn wait_for_change(&mut self) -> bool {
        let mut begin = Instant::now();
        loop {
            match self.next(begin, self.pace.look_again) {
                Some(Heard::Nothing) if !self.follower.is_changed() => begin = Instant::now(),
                Some(Heard::Unrelated) => {}
                Some(Heard::Nothing | Heard::Change) => return true,
                None => return false,
            }
        }
    }

    /// Until nobody writes any more, or for as long as there is patience. False: it is over.
    fn wait_for_quiet(&mut self) -> bool {
        let begin = Instant::now();
        let mut last = begin;
        loop {
            let patience = self.pace.patience.saturating_sub(begin.elapsed());
            match self.next(last, self.pace.quiet.min(last.elapsed() + patience)) {
                Some(Heard::Nothing) => return true,
                Some(Heard::Unrelated) => {}
                Some(Heard::Change) => last = Instant::now(),
                None => return false,
            }
        }
    }

    /// What is heard until `span` after `begin`. `None`: it is over.
    // Not the limiter's clock: a file changes in real time, whatever time the limits go by.
    fn next(&mut self, begin: Instant, span: Duration) -> Option<Heard> {
        let left = span.saturating_sub(begin.elapsed());
        match self.messages.recv_timeout(left) {
            Ok(Message::Changed(event)) if self.follower.is_concerned(&event) => {
                Some(Heard::Change)
            }
            Ok(Message::Changed(_)) => Some(Heard::Unrelated),
            Err(RecvTimeoutError::Timeout) => Some(Heard::Nothing),
            Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => None,
        }
    }
}

enum Heard {
    /// Something on the way to the file changed.
    Change,
    /// Something else in its directory did.
    Unrelated,
    /// The time is over.
    Nothing,
}

#[cfg(all(test, not(loom)))]
mod tests;
