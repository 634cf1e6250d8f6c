//! Where a policy file is, through all links, and what it says.
//!
//! Listening to the file itself would not do: who replaces it by renaming leaves a listener with the old one.
//! So it is the directories that are listened to, of the file and of every symbolic link on the way to it, and where
//! something is missing on the way, of the last that is there.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use crate::error::{Error, Result};
use crate::policy::{Policy, file};

/// Links that are followed before it is believed that they run in a circle; as Linux does.
const MAX_LINKS: usize = 40;
/// Times that the way is walked again because it changed meanwhile.
const MAX_WALKS: usize = 8;

/// Follows one file.
pub(super) struct Follower {
    path: PathBuf,
    listener: RecommendedWatcher,
    /// What is listened to.
    directories: BTreeSet<PathBuf>,
    /// What in these directories the way leads through.
    names: BTreeSet<OsString>,
    /// Why a directory cannot be listened to.
    trouble: Option<notify::Error>,
    /// What the file said at the last look, or why it could not be read.
    seen: Option<std::result::Result<String, io::ErrorKind>>,
}

impl Follower {
    /// For a file that need not be there. `tell` hears of the changes.
    pub(super) fn new(path: &Path, tell: impl notify::EventHandler) -> Result<Follower> {
        // The process may change its directory.
        let absolute = std::path::absolute(path).map_err(|source| Error::file(path, source))?;
        let listener = notify::recommended_watcher(tell).map_err(|why| cannot_watch(path, why))?;
        Ok(Follower {
            path: absolute,
            listener,
            directories: BTreeSet::new(),
            names: BTreeSet::new(),
            trouble: None,
            seen: None,
        })
    }

    /// The policy of the file, or what is wrong with it; nothing if the file is as it was at the last look.
    pub(super) fn look(&mut self) -> Option<Result<Policy>> {
        // First listen, then read: what changes after the reading is heard.
        self.listen();
        let found = self.read();
        let seen = found.as_ref().map(String::clone).map_err(io::Error::kind);
        if self.seen.as_ref() == Some(&seen) {
            return None;
        }
        self.seen = Some(seen);
        Some(match found {
            Ok(text) => Policy::from_text_of(&self.path, &text),
            Err(source) => Err(Error::file(&self.path, source)),
        })
    }

    fn read(&self) -> io::Result<String> {
        let kind = std::fs::metadata(&self.path)?.file_type();
        // Who opens a pipe waits until somebody writes to it, and who stops the watch would wait for that.
        if !kind.is_file() && !kind.is_dir() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        file::text(&self.path)
    }

    /// Is the file not what it was at the last look?
    pub(super) fn is_changed(&self) -> bool {
        let found = self.read().map_err(|error| error.kind());
        self.seen.as_ref() != Some(&found)
    }

    /// Is everything listened to that should be?
    pub(super) fn check(&mut self) -> Result<()> {
        match self.trouble.take() {
            None => Ok(()),
            Some(why) => Err(cannot_watch(&self.path, why)),
        }
    }

    /// Listens along the way as it is now. A directory that cannot be listened to is left to the slow look.
    fn listen(&mut self) {
        for _ in 0..MAX_WALKS {
            let way = Way::to(&self.path);
            let gone: Vec<_> = self.directories.difference(&way.directories).cloned().collect();
            let new: Vec<_> = way.directories.difference(&self.directories).cloned().collect();
            self.names = way.names;
            gone.iter().for_each(|directory| self.forget(directory));
            if new.is_empty() {
                // The whole way was listened to before it was walked.
                return;
            }
            for directory in new {
                match self.listener.watch(&directory, RecursiveMode::NonRecursive) {
                    Ok(()) => _ = self.directories.insert(directory),
                    Err(why) => self.trouble = Some(why),
                }
            }
        }
    }

    fn forget(&mut self, directory: &Path) {
        self.directories.remove(directory);
        // Who is gone is not listened to any more.
        let _ = self.listener.unwatch(directory);
    }

    /// May what happened have changed the file, or the way to it?
    pub(super) fn is_concerned(&mut self, event: &notify::Result<notify::Event>) -> bool {
        // An error: something may have been missed.
        let Ok(event) = event else { return true };
        if event.need_rescan() || event.paths.is_empty() {
            return true;
        }
        let mut is_concerned = false;
        for path in &event.paths {
            if self.directories.contains(path) {
                // Itself was moved or removed: another one may have its name.
                self.forget(path);
                is_concerned = true;
            }
            is_concerned |= path.file_name().is_none_or(|name| self.names.contains(name));
        }
        is_concerned
    }
}

/// Is it a change? Our own reading is heard as well.
pub(super) fn is_write(event: &notify::Event) -> bool {
    match event.kind {
        EventKind::Access(access) => access == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

fn cannot_watch(path: &Path, why: notify::Error) -> Error {
    let kind = match &why.kind {
        notify::ErrorKind::Io(source) => source.kind(),
        notify::ErrorKind::PathNotFound => io::ErrorKind::NotFound,
        _ => io::ErrorKind::Other,
    };
    Error::file(path, io::Error::new(kind, format!("it cannot be watched: {why}")))
}

/// The way to a file.
#[derive(Debug, Default)]
struct Way {
    directories: BTreeSet<PathBuf>,
    names: BTreeSet<OsString>,
}

impl Way {
    fn to(path: &Path) -> Way {
        let mut way = Way::default();
        // Where we are, without links; and what is ahead, the next at the end.
        let mut here = PathBuf::new();
        let mut ahead = steps(path);
        let mut links = 0;
        while let Some(step) = ahead.pop() {
            if step == ".." {
                here.pop();
                continue;
            }
            let there = here.join(&step);
            let target = std::fs::read_link(&there).ok().filter(|_| links < MAX_LINKS);
            // A link in the root is one of the system's, and everything happens below it.
            if ahead.is_empty() || !exists(&there) || (target.is_some() && here.parent().is_some())
            {
                way.directories.insert(here.clone());
                way.names.insert(step);
            }
            match target {
                Some(target) => {
                    links += 1;
                    ahead.extend(steps(&target));
                }
                None if !exists(&there) => break,
                None => here = there,
            }
        }
        way
    }
}

fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// The parts of a path, the last one first.
fn steps(path: &Path) -> Vec<OsString> {
    let parts = path.components().filter(|part| *part != Component::CurDir);
    parts.rev().map(|part| part.as_os_str().to_owned()).collect()
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn follower(path: &Path) -> Follower {
        Follower::new(path, |_: notify::Result<notify::Event>| {}).expect("a follower")
    }

    #[test]
    fn the_same_contents_are_no_news() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("policy.toml");
        std::fs::write(&path, "[[limit]]\nrate = \"5/minute\"\n").expect("written");
        let mut follower = follower(&path);
        assert!(follower.is_changed());
        assert!(matches!(follower.look(), Some(Ok(_))));
        assert!(follower.look().is_none());

        std::fs::write(&path, "[[limit]]\nrate = \"5/minute\"\n").expect("written");
        assert!(!follower.is_changed());
        assert!(follower.look().is_none());

        std::fs::write(&path, "[[limit]]\nrate = \"5/minuet\"\n").expect("written");
        assert!(follower.is_changed());
        let error = follower.look().expect("news").expect_err("no such unit");
        assert!(error.is_policy() && error.to_string().contains("policy.toml"), "{error}");
        assert!(follower.look().is_none(), "it is told once");

        std::fs::remove_file(&path).expect("removed");
        assert!(follower.look().expect("news").expect_err("no file").is_file());
        assert!(follower.look().is_none());
    }

    #[test]
    fn the_form_goes_by_the_name() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in [
            ("a.toml", "[[limit]]\nrate = \"5/minute\"\n"),
            ("a.json", r#"{"limit": [{"rate": "5/minute"}]}"#),
            ("a.txt", "5/minute"),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("written");
            assert!(matches!(follower(&path).look(), Some(Ok(_))), "{name}");
            std::fs::write(&path, "5/minute burst").expect("written");
            assert!(matches!(follower(&path).look(), Some(Err(_))), "{name}");
        }
    }

    /// Opening a pipe would wait for somebody who writes to it; a device is told apart in the same way, and waits for nobody.
    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_not_opened() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("policy.toml");
        std::os::unix::fs::symlink("/dev/null", &path).expect("linked");
        let mut follower = follower(&path);
        let error = follower.look().expect("news").expect_err("no file");
        assert!(error.is_file() && error.to_string().contains("regular file"), "{error}");
        assert!(!follower.is_changed());
    }

    #[cfg(unix)]
    #[test]
    fn the_way_leads_through_links() {
        use std::os::unix::fs::symlink;

        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("a folder");
        std::fs::create_dir_all(root.join("config/..2026")).expect("made");
        std::fs::write(root.join("config/..2026/policy.toml"), "").expect("written");
        symlink("..2026", root.join("config/..data")).expect("linked");
        symlink("..data/policy.toml", root.join("config/policy.toml")).expect("linked");
        symlink(root.join("config"), root.join("current")).expect("linked");

        let way = Way::to(&root.join("config/../current/./policy.toml"));
        let directories = [root.clone(), root.join("config"), root.join("config/..2026")];
        assert_eq!(way.directories, BTreeSet::from(directories));
        let names = ["current", "policy.toml", "..data"].map(OsString::from);
        assert_eq!(way.names, BTreeSet::from(names));

        let way = Way::to(&root.join("config/missing/deeper/policy.toml"));
        assert_eq!(way.directories, BTreeSet::from([root.join("config")]));
        assert_eq!(way.names, BTreeSet::from(["missing".into()]));

        symlink("circle", root.join("circle")).expect("linked");
        assert_eq!(Way::to(&root.join("circle")).directories, BTreeSet::from([root.clone()]));
    }

    #[cfg(unix)]
    #[test]
    fn links_of_the_root_are_the_systems() {
        let way = Way::to(Path::new("/policy.toml"));
        assert_eq!(way.directories, BTreeSet::from([PathBuf::from("/")]));
    }
}
