//! What went wrong in the last failed call of a thread.

use std::any::Any;
use std::borrow::Cow;
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};

use crate::status::{
    TIDEGATE_ERROR_ARGUMENT, TIDEGATE_ERROR_FILE, TIDEGATE_ERROR_INTERNAL, TIDEGATE_ERROR_POLICY,
    TIDEGATE_ERROR_STORE, tidegate_status,
};

/// Why a call failed. One word, so that what may fail comes back in registers.
pub(crate) struct Failure(Box<Cause>);

enum Cause {
    /// An argument that only a C program can get wrong.
    Argument { name: &'static str, problem: Cow<'static, str> },
    /// The engine refused.
    Engine(engine::Error),
    /// The engine panicked.
    Panic(Cow<'static, str>),
}

impl Failure {
    #[cold]
    pub(crate) fn argument(name: &'static str, problem: impl Into<Cow<'static, str>>) -> Failure {
        Cause::Argument { name, problem: problem.into() }.into()
    }

    /// An index that is not below the count.
    #[cold]
    pub(crate) fn index(index: usize, count: usize) -> Failure {
        let problem = format!("{index} is too large; give less than the count, {count}");
        Failure::argument("index", problem)
    }

    /// The same of one element of the array that the argument is.
    #[cold]
    pub(crate) fn of_element(self, index: usize) -> Failure {
        match *self.0 {
            Cause::Argument { name, problem } => {
                Failure::argument(name, format!("[{index}] {problem}"))
            }
            other => other.into(),
        }
    }

    /// The same of a field of an attribute.
    #[cold]
    pub(crate) fn of_attributes(self) -> Failure {
        match *self.0 {
            Cause::Argument { name, problem } => {
                Failure::argument("attributes", format!("{name} {problem}"))
            }
            other => other.into(),
        }
    }

    pub(crate) fn panic(payload: Box<dyn Any + Send>) -> Failure {
        let text = match payload.downcast_ref::<&'static str>() {
            Some(text) => Cow::Borrowed(*text),
            None => match payload.downcast_ref::<String>() {
                Some(text) => Cow::Owned(text.clone()),
                None => Cow::Borrowed("a panic without a text"),
            },
        };
        // Dropping a foreign payload could panic once more; a leak of a few bytes cannot.
        std::mem::forget(payload);
        Cause::Panic(text).into()
    }

    fn status(&self) -> tidegate_status {
        match &*self.0 {
            Cause::Argument { .. } => TIDEGATE_ERROR_ARGUMENT,
            Cause::Engine(error) if error.is_argument() => TIDEGATE_ERROR_ARGUMENT,
            Cause::Engine(error) if error.is_policy() => TIDEGATE_ERROR_POLICY,
            Cause::Engine(error) if error.is_file() => TIDEGATE_ERROR_FILE,
            Cause::Engine(_) => TIDEGATE_ERROR_STORE,
            Cause::Panic(_) => TIDEGATE_ERROR_INTERNAL,
        }
    }

    fn describe(&self) -> Last {
        match &*self.0 {
            Cause::Argument { name, problem } => Last {
                text: c_text(&format!("{name}: {problem}")),
                field: c_text(name),
                ..Last::default()
            },
            Cause::Engine(error) => Last {
                text: c_text(&error.to_string()),
                field: c_text(error.field()),
                line: error.line().unwrap_or(0),
                column: error.column().unwrap_or(0),
            },
            Cause::Panic(text) => {
                Last { text: c_text(&format!("internal: {text}")), ..Last::default() }
            }
        }
    }
}

impl From<engine::Error> for Failure {
    fn from(error: engine::Error) -> Failure {
        Cause::Engine(error).into()
    }
}

impl From<Cause> for Failure {
    #[cold]
    fn from(cause: Cause) -> Failure {
        Failure(Box::new(cause))
    }
}

#[derive(Default)]
struct Last {
    text: CString,
    field: CString,
    line: u32,
    column: u32,
}

thread_local! {
    static LAST: RefCell<Last> = RefCell::default();
}

/// Keeps a failure for this thread and gives its number.
#[cold]
pub(crate) fn remember(failure: &Failure) -> tidegate_status {
    let last = failure.describe();
    // A thread that is going away has no place to keep it, and nobody to ask for it.
    let _ = LAST.try_with(|place| place.replace(last));
    failure.status()
}

/// The text up to a NUL byte, if there is one: C would read no further.
pub(crate) fn c_text(text: &str) -> CString {
    let end = text.find('\0').unwrap_or(text.len());
    CString::new(&text[..end]).unwrap_or_default()
}

fn last<T>(otherwise: T, read: impl FnOnce(&Last) -> T) -> T {
    LAST.try_with(|last| read(&last.borrow())).unwrap_or(otherwise)
}

const EMPTY: &CStr = c"";

/// The text of this thread's last failure: it names the argument or the field of the policy, and
/// says what would be right, in English. Successful calls leave it as it is; "" when no call
/// of this thread has failed yet. UTF-8, never NULL, never to be freed; valid until the next
/// call of this thread that fails, and until the thread ends.
///
/// Thread safety: every thread has its own.
#[unsafe(no_mangle)]
pub extern "C" fn tidegate_last_error() -> *const c_char {
    last(EMPTY.as_ptr(), |last| last.text.as_ptr())
}

/// The field of the policy (`limit[0].quota`) or the name of the argument (`key`) that this
/// thread's last failure is about; "" when there is none. UTF-8, never NULL, never to be freed;
/// valid as long as tidegate_last_error's text.
///
/// Thread safety: every thread has its own.
#[unsafe(no_mangle)]
pub extern "C" fn tidegate_last_error_field() -> *const c_char {
    last(EMPTY.as_ptr(), |last| last.field.as_ptr())
}

/// The line of the policy's text where this thread's last failure is, from 1; 0 when unknown.
///
/// Thread safety: every thread has its own.
#[unsafe(no_mangle)]
pub extern "C" fn tidegate_last_error_line() -> u32 {
    last(0, |last| last.line)
}

/// The column (in characters, not bytes) where this thread's last failure is, from 1; 0 when
/// unknown.
///
/// Thread safety: every thread has its own.
#[unsafe(no_mangle)]
pub extern "C" fn tidegate_last_error_column() -> u32 {
    last(0, |last| last.column)
}
