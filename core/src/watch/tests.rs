//! With real files and the real thread: what it does is told through a channel, so nothing sleeps here. That a
//! receiver waits a minute at most only keeps a failure from hanging.

use std::fs;
use std::path::PathBuf;
use std::sync::mpsc::{TryRecvError, sync_channel};

use tempfile::TempDir;

use super::*;

const BOUND: Duration = Duration::from_secs(60);

/// Quick, and without the slow look, which would hide that a change was not heard.
const PACE: Pace = Pace {
    quiet: Duration::from_millis(5),
    patience: Duration::from_secs(1),
    look_again: Duration::from_secs(3600),
};

/// A folder with a policy, a limiter that follows it, and what it tells.
struct Scene {
    limiter: Limiter,
    events: Receiver<WatchEvent>,
    watch: Option<Watch>,
    path: PathBuf,
    folder: TempDir,
}

fn policy(quota: u64) -> String {
    format!("[[limit]]\nname = \"requests\"\nrate = \"{quota}/minute\"\n")
}

/// In one step, as careful programs do it.
fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).expect("written");
    fs::rename(&beside, path).expect("renamed");
}

impl Scene {
    fn new() -> Scene {
        Scene::with(|folder| {
            let path = folder.join("policy.toml");
            fs::write(&path, policy(5)).expect("written");
            path
        })
    }

    fn with(make: impl FnOnce(&Path) -> PathBuf) -> Scene {
        let folder = tempfile::tempdir().expect("a folder");
        let path = make(folder.path());
        let limiter = Limiter::new("1/second").expect("a limiter");
        let (tell, events) = channel();
        let on_event = move |event| _ = tell.send(event);
        let watch = Some(limiter.watch_at(&path, on_event, PACE).expect("a watch"));
        Scene { limiter, events, watch, path, folder }
    }

    fn quota(&self) -> u64 {
        self.limiter.peek("key", 1).expect("a decision").limit()
    }

    fn event(&self) -> WatchEvent {
        self.events.recv_timeout(BOUND).expect("an event")
    }

    fn updated(&self) {
        let event = self.event();
        assert!(matches!(event, WatchEvent::Updated), "{event:?}");
    }

    fn refused(&self) -> Error {
        match self.event() {
            WatchEvent::Refused(error) => error,
            event => panic!("{event:?}"),
        }
    }
}

#[test]
fn the_first_load_is_done_when_the_watch_begins() {
    let scene = Scene::new();
    assert_eq!(scene.quota(), 5);
    assert!(scene.events.try_recv().is_err(), "nothing has changed since");
}

#[test]
fn a_watch_that_cannot_begin_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let limiter = Limiter::new("1/second").expect("a limiter");
    let path = folder.path().join("policy.toml");
    let error = limiter.watch(&path, |_| {}).expect_err("no file");
    assert!(error.is_file() && error.to_string().contains("policy.toml"), "{error}");

    fs::write(&path, "[[limit]]\nrate = \"5/minuet\"\n").expect("written");
    let error = limiter.watch(&path, |_| {}).expect_err("a broken file");
    assert!(error.is_policy(), "{error}");
    assert_eq!(error.line(), Some(2));
    assert_eq!(limiter.peek("key", 1).expect("a decision").limit(), 1);
}

#[test]
fn a_file_written_in_place_is_seen_and_use_is_kept() {
    let scene = Scene::new();
    assert!(scene.limiter.try_acquire("key", 4));
    fs::write(&scene.path, policy(50)).expect("written");
    // It may have been caught half-written, on a machine that is very busy.
    while !matches!(scene.event(), WatchEvent::Updated) {}
    assert_eq!(scene.quota(), 50);
    assert!(!scene.limiter.try_acquire("key", 50), "what was used is used");
}

#[test]
fn a_file_replaced_by_renaming_is_seen_again_and_again() {
    let scene = Scene::new();
    for quota in 6..10 {
        replace(&scene.path, &policy(quota));
        scene.updated();
        assert_eq!(scene.quota(), quota);
    }
}

#[test]
fn a_broken_file_keeps_the_policy_and_is_told() {
    let scene = Scene::new();
    replace(&scene.path, "[[limit]]\nname = \"requests\"\nrate = \"5/minuet\"\n");
    let error = scene.refused();
    assert!(error.is_policy() && error.to_string().contains("policy.toml"), "{error}");
    assert_eq!((error.line(), scene.quota()), (Some(3), 5));

    replace(&scene.path, &policy(6));
    scene.updated();
    assert_eq!(scene.quota(), 6);
}

#[test]
fn a_file_may_vanish_and_come_back() {
    let scene = Scene::new();
    fs::remove_file(&scene.path).expect("removed");
    assert!(scene.refused().is_file());
    assert_eq!(scene.quota(), 5);
    replace(&scene.path, &policy(6));
    scene.updated();
    assert_eq!(scene.quota(), 6);

    // As it was: all is well again, and that is told.
    fs::remove_file(&scene.path).expect("removed");
    assert!(scene.refused().is_file());
    replace(&scene.path, &policy(6));
    scene.updated();
}

#[test]
fn its_directory_may_vanish_and_come_back() {
    let scene = Scene::with(|folder| {
        let path = folder.join("conf/policy.toml");
        fs::create_dir(folder.join("conf")).expect("made");
        fs::write(&path, policy(5)).expect("written");
        path
    });
    let directory = scene.folder.path().join("conf");
    fs::remove_dir_all(&directory).expect("removed");
    assert!(scene.refused().is_file());
    fs::create_dir(&directory).expect("made");
    replace(&scene.path, &policy(6));
    scene.updated();
    assert_eq!(scene.quota(), 6);

    fs::rename(&directory, scene.folder.path().join("old")).expect("renamed");
    assert!(scene.refused().is_file());
    fs::create_dir(&directory).expect("made");
    replace(&scene.path, &policy(7));
    scene.updated();
    assert_eq!(scene.quota(), 7);
}

/// Between two looks: the name is the same, and what was listened to is elsewhere.
#[test]
fn a_directory_that_was_exchanged_is_listened_to_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path().canonicalize().expect("a folder").join("conf");
    let path = directory.join("policy.toml");
    fs::create_dir(&directory).expect("made");
    fs::write(&path, policy(5)).expect("written");
    let (sender, messages) = channel();
    let mut follower = Follower::new(&path, teller(&sender)).expect("a follower");
    follower.look().expect("a first look").expect("a policy");

    fs::rename(&directory, folder.path().join("old")).expect("renamed");
    fs::create_dir(&directory).expect("made");
    let mut hear = |of: &Path| loop {
        let Message::Changed(event) = messages.recv_timeout(BOUND).expect("an event") else {
            continue;
        };
        if follower.is_concerned(&event)
            && event.is_ok_and(|event| event.paths.contains(&of.into()))
        {
            return follower.look();
        }
    };
    assert!(hear(&directory).expect("news").expect_err("no file").is_file());
    replace(&path, &policy(6));
    hear(&path).expect("news").expect("a policy");
}

/// As Kubernetes mounts a config map: a link to a link to a folder with a date; the middle one is swapped.
#[cfg(unix)]
#[test]
fn links_that_are_swapped_are_followed() {
    use std::os::unix::fs::symlink;

    fn swap(folder: &Path, quota: u64) {
        let dated = format!("..{quota}");
        fs::create_dir(folder.join(&dated)).expect("made");
        fs::write(folder.join(&dated).join("policy.toml"), policy(quota)).expect("written");
        symlink(&dated, folder.join("..data_tmp")).expect("linked");
        fs::rename(folder.join("..data_tmp"), folder.join("..data")).expect("renamed");
    }
    let scene = Scene::with(|folder| {
        swap(folder, 5);
        symlink("..data/policy.toml", folder.join("policy.toml")).expect("linked");
        folder.join("policy.toml")
    });
    for quota in 6..9 {
        swap(scene.folder.path(), quota);
        fs::remove_dir_all(scene.folder.path().join(format!("..{}", quota - 1))).expect("removed");
        scene.updated();
        assert_eq!(scene.quota(), quota);
    }
    // And the file that it leads to.
    replace(&scene.folder.path().join("..8/policy.toml"), &policy(9));
    scene.updated();
    assert_eq!(scene.quota(), 9);
}

/// As releases are switched: the link is a directory on the way.
#[cfg(unix)]
#[test]
fn a_directory_that_is_a_link_may_be_swapped() {
    use std::os::unix::fs::symlink;

    let scene = Scene::with(|folder| {
        for quota in [5, 6] {
            let release = folder.join(format!("release-{quota}/etc"));
            fs::create_dir_all(&release).expect("made");
            fs::write(release.join("policy.toml"), policy(quota)).expect("written");
        }
        symlink("release-5", folder.join("current")).expect("linked");
        folder.join("current/etc/policy.toml")
    });
    assert_eq!(scene.quota(), 5);
    symlink("release-6", scene.folder.path().join("next")).expect("linked");
    fs::rename(scene.folder.path().join("next"), scene.folder.path().join("current"))
        .expect("renamed");
    scene.updated();
    assert_eq!(scene.quota(), 6);
}

#[test]
fn where_the_system_tells_nothing_the_slow_look_finds_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("policy.toml");
    fs::write(&path, policy(5)).expect("written");
    let limiter = Limiter::new("1/second").expect("a limiter");
    // Nobody tells.
    let (sender, messages) = channel();
    let mut follower =
        Follower::new(&path, |_: notify::Result<notify::Event>| {}).expect("a follower");
    follower.look().expect("a first look").expect("a policy");
    let stop = sender.clone();
    let (tell, events) = channel();
    let mut watcher = Watcher {
        limiter: limiter.clone(),
        follower,
        messages,
        pace: Pace { look_again: Duration::from_millis(1), ..PACE },
        on_event: Box::new(move |event| {
            stop.send(Message::Stop).expect("it listens");
            tell.send(event).expect("the test listens");
        }),
    };
    replace(&path, &policy(6));
    watcher.run();
    assert!(matches!(events.try_recv(), Ok(WatchEvent::Updated)));
    assert_eq!(limiter.peek("key", 1).expect("a decision").limit(), 6);
}

fn idle(pace: Pace) -> (Watcher, Sender<Message>) {
    let (sender, messages) = channel();
    let limiter = Limiter::new("1/second").expect("a limiter");
    let path = Path::new("policy.toml");
    let follower = Follower::new(path, |_: notify::Result<notify::Event>| {}).expect("a follower");
    (Watcher { limiter, follower, messages, pace, on_event: Box::new(|_| {}) }, sender)
}

#[test]
fn it_waits_until_nobody_writes_and_not_for_ever() {
    let change = || Message::Changed(Ok(notify::Event::new(notify::EventKind::Any)));
    let (mut watcher, sender) = idle(PACE);
    (0..10).for_each(|_| sender.send(change()).expect("it listens"));
    assert!(watcher.wait_for_quiet());
    assert!(watcher.messages.try_recv().is_err(), "it heard all writes");

    // Quiet would come in an hour: patience ends before.
    let (mut watcher, sender) =
        idle(Pace { quiet: PACE.look_again, patience: Duration::from_millis(1), ..PACE });
    sender.send(change()).expect("it listens");
    assert!(watcher.wait_for_quiet());

    let (mut watcher, sender) = idle(Pace { quiet: PACE.look_again, patience: BOUND * 2, ..PACE });
    sender.send(change()).expect("it listens");
    sender.send(Message::Stop).expect("it listens");
    assert!(!watcher.wait_for_quiet(), "it was stopped");
}

#[test]
fn others_in_the_directory_do_not_concern_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().canonicalize().expect("a folder").join("policy.toml");
    fs::write(&path, policy(5)).expect("written");
    let mut follower =
        Follower::new(&path, |_: notify::Result<notify::Event>| {}).expect("a follower");
    follower.look().expect("a first look").expect("a policy");
    let event = |path: PathBuf| Ok(notify::Event::new(notify::EventKind::Any).add_path(path));
    assert!(follower.is_concerned(&event(path.clone())));
    assert!(!follower.is_concerned(&event(path.with_file_name("policy.log"))));
    assert!(follower.is_concerned(&Err(notify::Error::generic("something was missed"))));
    // Its directory itself was moved.
    assert!(follower.is_concerned(&event(path.parent().expect("a folder").to_owned())));
}

#[test]
fn a_panic_in_on_event_is_caught() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("policy.toml");
    fs::write(&path, policy(5)).expect("written");
    let limiter = Limiter::new("1/second").expect("a limiter");
    let (tell, events) = channel();
    let on_event = move |event: WatchEvent| {
        tell.send(event).expect("the test listens");
        // As `panic!`, without a line in the test's output.
        std::panic::resume_unwind(Box::new("on purpose"));
    };
    let watch = limiter.watch_at(&path, on_event, PACE).expect("a watch");
    for quota in 6..9 {
        replace(&path, &policy(quota));
        assert!(matches!(events.recv_timeout(BOUND), Ok(WatchEvent::Updated)), "{quota}");
    }
    drop(watch);
}

#[test]
fn dropping_the_watch_ends_its_thread() {
    let mut scene = Scene::new();
    drop(scene.watch.take());
    // `on_event` is gone, and with it the sender: nothing can come any more.
    assert_eq!(scene.events.try_recv().expect_err("over"), TryRecvError::Disconnected);
    replace(&scene.path, &policy(6));
    assert_eq!(scene.quota(), 5);
}

#[test]
fn a_watch_that_came_with_a_fork_ends_nothing() {
    let mut scene = Scene::new();
    let mut watch = scene.watch.take().expect("a watch");
    watch.process = watch.process.wrapping_add(1);
    drop(watch);
    replace(&scene.path, &policy(6));
    scene.updated();
}

#[test]
fn a_watch_may_be_dropped_by_its_own_on_event() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("policy.toml");
    fs::write(&path, policy(5)).expect("written");
    let limiter = Limiter::new("1/second").expect("a limiter");
    let (give, given) = sync_channel::<Watch>(1);
    let (tell, events) = channel::<()>();
    let on_event = move |_| {
        drop(given.recv().expect("the watch"));
        tell.send(()).expect("the test listens");
    };
    give.send(limiter.watch_at(&path, on_event, PACE).expect("a watch")).expect("taken");
    replace(&path, &policy(6));
    events.recv_timeout(BOUND).expect("an event");
    // Then the thread ends, and drops what it has.
    assert!(events.recv_timeout(BOUND).is_err());
}
