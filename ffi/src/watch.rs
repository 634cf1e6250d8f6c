//! A limiter follows its policy file.

use std::ffi::{c_char, c_void};

use engine::{Watch, WatchEvent};

use crate::error::{self, Failure};
use crate::guard::guard;
use crate::handle::{self, Out, give, take};
use crate::limiter::{lend_limiter, tidegate_limiter};
use crate::status::{TIDEGATE_OK, tidegate_status};

/// A policy file that is followed.
pub struct tidegate_watcher(#[allow(dead_code, reason = "it is there to be dropped")] Watch);

/// What is called when a policy file has changed. See tidegate_watch.
pub type tidegate_watch_listener =
    Option<unsafe extern "C" fn(status: tidegate_status, context: *mut c_void)>;

#[derive(Clone, Copy)]
struct Callback {
    tell: unsafe extern "C" fn(tidegate_status, *mut c_void),
    context: *mut c_void,
}

// SAFETY: the header says that the callback is called on the watching thread, with this context.
unsafe impl Send for Callback {}

impl Callback {
    fn call(&self, event: WatchEvent) {
        let status = match event {
            // Whatever else there may be: the limiter goes by the file.
            WatchEvent::Refused(error) => error::remember(&Failure::from(error)),
            _ => TIDEGATE_OK,
        };
        // SAFETY: the header's contract; the context is valid until the watcher is freed, which waits for this call.
        unsafe { (self.tell)(status, self.context) }
    }
}

/// Loads a policy file, as tidegate_update does, and from then on follows it: when it changes, its policy
/// is put in force, until tidegate_watcher_free. The file may be written in place, replaced by renaming,
/// or reached through symbolic links that change; a change is acted upon when nobody has written for
/// 100 ms, after 1 s at the latest. A file that cannot be read or is wrong changes nothing.
///
/// `listener` (NULL: none) is called with `context` on the watching thread: with TIDEGATE_OK when the
/// limiter goes by the file as it is now, with the error when it is refused; tidegate_last_error and its
/// companions, called from within, say why. It may use the limiter. It is not called any more when
/// tidegate_watcher_free has returned.
///
/// The watcher may outlive the limiter's handle, and keeps the limiter. It is the one thing for which the
/// library starts threads; they end with it.
///
/// Errors: of the first load, when nothing is changed and no watcher made: TIDEGATE_ERROR_FILE, also when
/// the system cannot watch the file; TIDEGATE_ERROR_POLICY; TIDEGATE_ERROR_ARGUMENT.
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_watch(
    limiter: *const tidegate_limiter,
    path: *const c_char,
    listener: tidegate_watch_listener,
    context: *mut c_void,
    watcher: *mut *mut tidegate_watcher,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (limiter, path, place) = unsafe {
            (lend_limiter(limiter)?, handle::path(path, "path")?, Out::new(watcher, "watcher")?)
        };
        let callback = listener.map(|tell| Callback { tell, context });
        let watch = limiter.watch(path, move |event| {
            if let Some(callback) = &callback {
                callback.call(event);
            }
        })?;
        place.write(give(tidegate_watcher(watch)));
        Ok(())
    })
}

/// Ends the watch; the limiter keeps the policy that it has. It waits for a call of the listener that is
/// under way, and so must not be called while holding a lock that the listener takes. NULL is a no-op.
///
/// Thread safety: no other call may use this watcher now or later. From within the listener it does not
/// wait; the context must be valid until the listener has returned then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_watcher_free(watcher: *mut tidegate_watcher) {
    guard(|| {
        // SAFETY: the header's contract.
        drop(unsafe { take(watcher) });
        Ok(())
    });
}

#[cfg(test)]
mod tests {
    use std::ffi::CStr;

    use super::*;
    use crate::error::{tidegate_last_error, tidegate_last_error_line};
    use crate::status::TIDEGATE_ERROR_POLICY;

    #[derive(Default)]
    struct Heard(Vec<(tidegate_status, String, u32)>);

    unsafe extern "C" fn hear(status: tidegate_status, context: *mut c_void) {
        // SAFETY: the test's own context; the text lives until the next failure of this thread.
        let (heard, text) =
            unsafe { (&mut *context.cast::<Heard>(), CStr::from_ptr(tidegate_last_error())) };
        heard.0.push((status, text.to_string_lossy().into_owned(), tidegate_last_error_line()));
    }

    /// Changes of files are the engine's tests.
    #[test]
    fn a_listener_is_told_what_became_of_a_file() {
        let mut heard = Heard::default();
        let callback = Callback { tell: hear, context: (&raw mut heard).cast() };
        let error = engine::Policy::parse("[[limit]]\nrate = \"none\"\n").unwrap_err();
        let text = error.to_string();
        callback.call(WatchEvent::Refused(error));
        callback.call(WatchEvent::Updated);
        let [(refused, why, line), (updated, ..)] = &heard.0[..] else { panic!("two events") };
        assert_eq!((*refused, why, *line), (TIDEGATE_ERROR_POLICY, &text, 2));
        assert_eq!(*updated, TIDEGATE_OK);
    }
}
