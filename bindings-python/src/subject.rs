//! Who asks: a key, or a request with attributes. Borrowed from the Python objects, never copied.
//!
//! A key is told from a request by its type, first: that is the hot path. What is wrong with a request's types
//! is refused when it is read, what is wrong with its text when the engine is to be asked.

use std::cell::RefCell;
use std::fmt;

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyByteArray, PyBytes, PyDict, PyMapping, PyString, PyType};
use tidegate::Request;

use crate::convert::wrong_type;
use crate::error::argument;

/// The UTF-8 of a `str`, or `bytes`; `None` when it is neither. `name` is what a refusal calls it, made only when
/// there is one.
#[inline(always)]
fn bytes<'a>(
    value: Borrowed<'a, '_, PyAny>,
    name: impl FnOnce() -> String,
) -> Option<PyResult<&'a [u8]>> {
    if value.is_instance_of::<PyString>() {
        // CPython keeps the UTF-8 of a string with the string: no copy for ASCII at all.
        let text = value.extract::<&'a str>().map(str::as_bytes);
        return Some(text.map_err(|_| {
            argument(
                &name(),
                "the string has lone surrogates, which have no UTF-8",
                "pass bytes, for example text.encode('utf-8', 'surrogateescape')",
            )
        }));
    }
    value.is_instance_of::<PyBytes>().then(|| value.extract::<&'a [u8]>().map_err(PyErr::from))
}

/// Where a subject stands: what a refusal calls it, and its attributes.
#[derive(Clone, Copy)]
enum Place {
    Alone,
    InBatch(usize),
}

impl Place {
    /// The attribute of a request is called by its own name, as in the engine's refusals.
    fn attribute(self, name: &str) -> String {
        match self {
            Place::Alone => name.to_owned(),
            Place::InBatch(_) => format!("{self}.{name}"),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Alone => f.write_str("key"),
            Place::InBatch(index) => write!(f, "keys[{index}]"),
        }
    }
}

/// A key, or a request. (In a box: a subject is then as small as a key, which is nearly always what it is.)
pub(crate) enum Subject<'a, 'py> {
    Key(&'a [u8]),
    Request(Box<Attributes<'py>>),
}

impl<'a, 'py> FromPyObject<'a, 'py> for Subject<'a, 'py> {
    type Error = PyErr;

    #[inline(always)]
    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Subject<'a, 'py>> {
        Subject::read(value, Place::Alone)
    }
}

impl<'a, 'py> Subject<'a, 'py> {
    #[inline(always)]
    fn read(value: Borrowed<'a, 'py, PyAny>, place: Place) -> PyResult<Subject<'a, 'py>> {
        match bytes(value, || place.to_string()) {
            Some(key) => key.map(Subject::Key),
            None => Attributes::read(value, place).map(Box::new).map(Subject::Request),
        }
    }
}

/// Runs `$call` with the key, or with the request, that a subject is.
macro_rules! of {
    ($subject:ident, $call:expr) => {
        match $subject {
            $crate::subject::Subject::Key($subject) => $call,
            $crate::subject::Subject::Request(attributes) => {
                let $subject = &attributes.request()?;
                $call
            }
        }
    };
}
pub(crate) use of;

/// The attributes of a request. The objects are held here: who changes the mapping meanwhile, in `__index__` of a
/// cost or on another thread, does not change the request.
pub(crate) struct Attributes<'py> {
    place: Place,
    /// Each value is a `str` or `bytes`.
    pairs: Vec<(Bound<'py, PyString>, Bound<'py, PyAny>)>,
}

impl<'py> Attributes<'py> {
    #[cold]
    #[inline(never)]
    fn read(value: Borrowed<'_, 'py, PyAny>, place: Place) -> PyResult<Attributes<'py>> {
        let items = items(value, place)?;
        let pairs = items.into_iter().map(|(name, value)| attribute(&name, value, place));
        Ok(Attributes { place, pairs: pairs.collect::<PyResult<_>>()? })
    }

    /// As the engine takes it.
    pub(crate) fn request(&self) -> PyResult<Request<'_>> {
        let mut request = Request::new();
        for (name, value) in &self.pairs {
            let name = name.to_str().map_err(|_| {
                argument(
                    &self.place.to_string(),
                    "the name of an attribute has lone surrogates",
                    "use the names that the policy has",
                )
            })?;
            if let Some(value) = bytes(value.as_borrowed(), || self.place.attribute(name)) {
                request.set(name, value?);
            }
        }
        Ok(request)
    }

    /// For later: nobody else changes it.
    pub(crate) fn to_dict(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        self.pairs.iter().try_for_each(|(name, value)| dict.set_item(name, value))?;
        Ok(dict)
    }
}

type Items<'py> = Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)>;

/// All items of a mapping, before anything is done with any: that might change the mapping.
fn items<'py>(value: Borrowed<'_, 'py, PyAny>, place: Place) -> PyResult<Items<'py>> {
    if let Ok(dict) = value.cast::<PyDict>() {
        let items = RefCell::new(Vec::with_capacity(dict.len()));
        dict.locked_for_each(|name, value| {
            items.borrow_mut().push((name, value));
            Ok(())
        })?;
        return Ok(items.into_inner());
    }
    match value.cast::<PyMapping>() {
        Ok(mapping) => mapping.items()?.iter().map(|item| item.extract()).collect(),
        Err(_) => Err(wrong_type(&place.to_string(), "str or bytes", &value)),
    }
}

fn attribute<'py>(
    name: &Bound<'py, PyAny>,
    value: Bound<'py, PyAny>,
    place: Place,
) -> PyResult<(Bound<'py, PyString>, Bound<'py, PyAny>)> {
    let Ok(name) = name.cast::<PyString>() else {
        let found = name.get_type().name()?;
        let problem = format!("{place}: names of attributes are str, got {found}");
        return Err(pyo3::exceptions::PyTypeError::new_err(problem));
    };
    let name = name.clone();
    if value.is_instance_of::<PyString>() || value.is_instance_of::<PyBytes>() {
        return Ok((name, value));
    }
    let (is_address, expected) = match name.to_string_lossy().as_ref() {
        "ip" => (is_address(&value)?, "str, bytes or an address of ipaddress"),
        _ => (false, "str or bytes"),
    };
    if is_address {
        let text = value.str()?.into_any();
        return Ok((name, text));
    }
    Err(wrong_type(&place.attribute(&name.to_string_lossy()), expected, &value))
}

/// Is it an `IPv4Address` or an `IPv6Address`?
fn is_address(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    static V4: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    static V6: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let py = value.py();
    Ok(value.is_instance(V4.import(py, "ipaddress", "IPv4Address")?)?
        || value.is_instance(V6.import(py, "ipaddress", "IPv6Address")?)?)
}

/// The subjects of a batch. The objects are held here, as those of a request are.
pub(crate) struct Batch<'py>(Vec<Bound<'py, PyAny>>);

/// A batch as the engine takes it: of keys alone, which is the hot path, or of keys and requests.
pub(crate) enum Subjects<'a, 'py> {
    Keys(Vec<&'a [u8]>),
    Mixed(Vec<Subject<'a, 'py>>),
}

impl<'py> Batch<'py> {
    /// All of them, or a refusal that tells the first that is none.
    pub(crate) fn read(&self) -> PyResult<Subjects<'_, 'py>> {
        let keys = self.0.iter().enumerate().map_while(|(index, value)| {
            bytes(value.as_borrowed(), || Place::InBatch(index).to_string())
        });
        let keys = keys.collect::<PyResult<Vec<_>>>()?;
        if keys.len() == self.0.len() {
            return Ok(Subjects::Keys(keys));
        }
        let subjects = self
            .0
            .iter()
            .enumerate()
            .map(|(index, value)| Subject::read(value.as_borrowed(), Place::InBatch(index)));
        subjects.collect::<PyResult<_>>().map(Subjects::Mixed)
    }
}

/// Keys and requests, all as requests: a key is one whose attribute `key` it is.
pub(crate) fn requests<'a>(subjects: &'a [Subject<'a, '_>]) -> PyResult<Vec<Request<'a>>> {
    let request = |subject: &'a Subject<'a, '_>| match subject {
        Subject::Key(key) => Ok(Request::new().key(*key)),
        Subject::Request(attributes) => attributes.request(),
    };
    subjects.iter().map(request).collect()
}

pub(crate) fn keys<'py>(value: &Bound<'py, PyAny>) -> PyResult<Batch<'py>> {
    let kind = value.get_type();
    // One key is iterable as well, but as characters or numbers it is a slip.
    let is_one = value.is_instance_of::<PyString>()
        || value.is_instance_of::<PyBytes>()
        || value.is_instance_of::<PyByteArray>();
    if is_one || !(kind.hasattr("__iter__")? || kind.hasattr("__getitem__")?) {
        return Err(wrong_type("keys", "an iterable of str or bytes, such as a list", value));
    }
    value.try_iter()?.collect::<PyResult<_>>().map(Batch)
}

/// The value of an attribute that a plan is assigned to.
pub(crate) struct Value<'a>(pub(crate) &'a [u8]);

impl<'a, 'py> FromPyObject<'a, 'py> for Value<'a> {
    type Error = PyErr;

    fn extract(value: Borrowed<'a, 'py, PyAny>) -> PyResult<Value<'a>> {
        match bytes(value, || "value".to_owned()) {
            Some(bytes) => bytes.map(Value),
            None => Err(wrong_type("value", "str or bytes", &value)),
        }
    }
}
