//! What JavaScript gets to see when something is refused.

use std::any::Any;
use std::error::Error as _;
use std::ptr::null_mut;

use napi::{Env, Status, sys};

/// Why a call was refused.
pub(crate) enum Refusal {
    /// An argument of a wrong type: a `TypeError`.
    Type(String),
    /// An argument of the right type that cannot be: a `RangeError`.
    Range(String),
    /// What the core says of a policy, an argument, a request or a file.
    Core(tidegate::Error),
    /// What the core says of an option, by its name in Rust.
    Option(tidegate::Error),
    /// Something that never happens, such as Node refusing a call that it documents to work.
    Internal(String),
}

impl From<tidegate::Error> for Refusal {
    fn from(error: tidegate::Error) -> Refusal {
        Refusal::Core(error)
    }
}

impl Refusal {
    /// Of what the core says when it is given options.
    pub(crate) fn option(error: tidegate::Error) -> Refusal {
        if error.is_argument() { Refusal::Option(error) } else { Refusal::Core(error) }
    }

    /// A panic that was stopped at the boundary.
    pub(crate) fn panicked(payload: &(dyn Any + Send)) -> Refusal {
        let what = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "unknown".to_owned());
        Refusal::Internal(format!("a defect in tidegate, please report it: {what}"))
    }

    /// The same of the key at `index` of a batch.
    #[cold]
    pub(crate) fn of_key(self, index: u32) -> Refusal {
        match self {
            // `key: …`, or `key.route: …` of an attribute.
            Refusal::Type(text) => match text.strip_prefix("key") {
                Some(problem) => Refusal::Type(format!("keys[{index}]{problem}")),
                None => Refusal::Type(text),
            },
            other => other,
        }
    }

    /// Throws it. The result tells napi that an exception is on its way.
    pub(crate) fn throw(self, env: Env) -> napi::Error {
        let env = env.raw();
        // SAFETY: `env` is the environment of the call that is running, on its own thread; all
        // values are made and used within this call.
        unsafe {
            let error = self.to_js(env);
            if !error.is_null() {
                sys::napi_throw(env, error);
            }
        }
        napi::Error::new(Status::PendingException, String::new())
    }

    /// # Safety
    /// `env` is the environment of the running call.
    pub(crate) unsafe fn to_js(&self, env: sys::napi_env) -> sys::napi_value {
        // SAFETY: as promised by the caller.
        unsafe {
            match self {
                Refusal::Type(text) => {
                    make(env, sys::napi_create_type_error, "ERR_INVALID_ARG_TYPE", text)
                }
                Refusal::Range(text) => {
                    make(env, sys::napi_create_range_error, "ERR_OUT_OF_RANGE", text)
                }
                Refusal::Internal(text) => {
                    make(env, sys::napi_create_error, "ERR_TIDEGATE_INTERNAL", text)
                }
                Refusal::Core(error) if error.is_policy() => policy(env, error),
                Refusal::Core(error) if error.is_argument() => argument(env, error),
                Refusal::Core(error) => file(env, error),
                Refusal::Option(error) => {
                    make(env, sys::napi_create_range_error, "ERR_OUT_OF_RANGE", &camel(error))
                }
            }
        }
    }
}

/// The core's option names are Rust's; Node's are the same in camelCase.
fn camel(error: &tidegate::Error) -> String {
    let text = error.to_string();
    let Some(rest) = text.strip_prefix(error.field()) else { return text };
    let mut words = error.field().split('_');
    let mut name = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, others) = word.split_at(word.len().min(1));
        name.push_str(&first.to_ascii_uppercase());
        name.push_str(others);
    }
    name + rest
}

/// What is wrong with a request or an argument; `field` is the attribute's name, or the argument's.
///
/// # Safety
/// `env` is the environment of the running call.
unsafe fn argument(env: sys::napi_env, error: &tidegate::Error) -> sys::napi_value {
    let (maker, text) = (sys::napi_create_range_error, error.to_string());
    // SAFETY: as promised by the caller.
    unsafe {
        let object = make(env, maker, "ERR_OUT_OF_RANGE", &text);
        set(env, object, c"field", string(env, error.field()));
        object
    }
}

/// A plain error that carries what `lib/errors.js` makes a `PolicyError` of.
///
/// # Safety
/// `env` is the environment of the running call.
unsafe fn policy(env: sys::napi_env, error: &tidegate::Error) -> sys::napi_value {
    // SAFETY: as promised by the caller.
    unsafe {
        let object = make(env, sys::napi_create_error, "ERR_TIDEGATE_POLICY", &error.to_string());
        set(env, object, c"field", string(env, error.field()));
        set(env, object, c"remedy", string(env, error.remedy()));
        for (name, place) in [(c"line", error.line()), (c"column", error.column())] {
            let mut number = null_mut();
            if let Some(place) = place {
                sys::napi_create_uint32(env, place, &mut number);
            }
            set(env, object, name, number);
        }
        object
    }
}

/// An error of the file system, with the system's number for it.
///
/// # Safety
/// `env` is the environment of the running call.
unsafe fn file(env: sys::napi_env, error: &tidegate::Error) -> sys::napi_value {
    let source = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    // SAFETY: as promised by the caller.
    unsafe {
        let object = make(env, sys::napi_create_error, "ERR_TIDEGATE_FILE", &error.to_string());
        if let Some(code) = source.and_then(std::io::Error::raw_os_error) {
            let mut number = null_mut();
            sys::napi_create_int32(env, code.wrapping_neg(), &mut number);
            set(env, object, c"errno", number);
        }
        object
    }
}

type Maker = unsafe extern "C" fn(
    sys::napi_env,
    sys::napi_value,
    sys::napi_value,
    *mut sys::napi_value,
) -> sys::napi_status;

/// # Safety
/// `env` is the environment of the running call.
unsafe fn make(env: sys::napi_env, maker: Maker, code: &str, text: &str) -> sys::napi_value {
    let mut error = null_mut();
    // SAFETY: as promised by the caller; on failure `error` stays null, which callers allow for.
    unsafe { maker(env, string(env, code), string(env, text), &mut error) };
    error
}

/// # Safety
/// `env` is the environment of the running call.
unsafe fn string(env: sys::napi_env, text: &str) -> sys::napi_value {
    let mut value = null_mut();
    // SAFETY: pointer and length are those of `text`, which is valid UTF-8.
    unsafe {
        sys::napi_create_string_utf8(env, text.as_ptr().cast(), text.len() as isize, &mut value)
    };
    value
}

/// # Safety
/// `env` is the environment of the running call, `object` and `value` are its values or null.
unsafe fn set(
    env: sys::napi_env,
    object: sys::napi_value,
    name: &std::ffi::CStr,
    value: sys::napi_value,
) {
    if !object.is_null() && !value.is_null() {
        // SAFETY: both values are live in this call, `name` ends in a NUL.
        unsafe { sys::napi_set_named_property(env, object, name.as_ptr(), value) };
    }
}
