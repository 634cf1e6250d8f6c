//! Plain N-API functions on an object, with one context behind all of them.
//!
//! **The context outlives its functions.** Each function's data pointer is one strong count of an `Rc`. The count is given
//! back by the finalizer of that very function object, so after the last moment at which it can be called; a function
//! that is running is on the stack and so not collected. When an environment ends, Node runs the finalizers after the
//! last JavaScript. A function belongs to one environment, and callbacks and finalizers run on that environment's thread.

use std::ffi::{CStr, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use std::rc::Rc;

use napi::sys;

use crate::argument::check;
use crate::refusal::Refusal;

pub(crate) type Callback = extern "C" fn(sys::napi_env, sys::napi_callback_info) -> sys::napi_value;

/// What lies behind functions. Their data pointer is a `*const Self`.
pub(crate) trait Context: Sized + 'static {
    /// Lets go of what belongs to the environment: nobody has the context any more.
    fn end(self, env: sys::napi_env);
}

/// Makes the functions, by their names, properties of an object of the running call.
pub(crate) fn add<C: Context>(
    env: sys::napi_env,
    object: sys::napi_value,
    functions: &[(&'static CStr, Callback)],
    context: &Rc<C>,
) -> Result<(), Refusal> {
    for &(name, callback) in functions {
        let value = function(env, name, callback, context)?;
        // SAFETY: all values belong to the running call, `name` ends in a NUL.
        let set = unsafe { sys::napi_set_named_property(env, object, name.as_ptr(), value) };
        check(set, "a name")?;
    }
    Ok(())
}

/// One function, with a strong count of the context that its finalizer gives back.
fn function<C: Context>(
    env: sys::napi_env,
    name: &'static CStr,
    callback: Callback,
    context: &Rc<C>,
) -> Result<sys::napi_value, Refusal> {
    let data = Rc::into_raw(Rc::clone(context)).cast_mut().cast::<c_void>();
    let length = name.count_bytes() as isize;
    let mut value = null_mut();
    // SAFETY: `env` is that of the running call, the name lives as long as the program, and
    // `data` is a strong count that nobody else gives back.
    unsafe {
        let mut status =
            sys::napi_create_function(env, name.as_ptr(), length, Some(callback), data, &mut value);
        if status == sys::Status::napi_ok {
            let (finalizer, hint) = (Some(finalize::<C> as _), null_mut());
            status = sys::napi_add_finalizer(env, value, data, finalizer, hint, null_mut());
        }
        if status != sys::Status::napi_ok {
            // Nobody got hold of the function, and no finalizer will come.
            finalize::<C>(env, data, null_mut());
        }
        check(status, "a function")?;
    }
    Ok(value)
}

/// # Safety
/// `data` is a strong count from `function`, given back this once.
unsafe extern "C" fn finalize<C: Context>(
    env: sys::napi_env,
    data: *mut c_void,
    _hint: *mut c_void,
) {
    // SAFETY: as promised by the caller.
    give_back(env, unsafe { Rc::from_raw(data.cast::<C>()) });
}

/// Gives a count back; the last one ends the context.
pub(crate) fn give_back<C: Context>(env: sys::napi_env, context: Rc<C>) {
    // A panic while it ends must not cross; there is nobody to tell.
    let _ = catch_unwind(AssertUnwindSafe(|| {
        if let Some(context) = Rc::into_inner(context) {
            context.end(env);
        }
    }));
}
