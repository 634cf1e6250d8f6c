//! The one error type: opaque, with predicates and positions.
//!
//! A denial is not an error; see [`Decision`](crate::Decision).

use std::fmt;
use std::path::{Path, PathBuf};

/// Why a policy, an argument or a file was refused.
///
/// The kinds are told apart by predicates, so that new ones can be added without breaking
/// anyone. Every message names the field and what would be right.
pub struct Error(Box<Kind>);

/// A `Result` with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug)]
enum Kind {
    Policy {
        file: Option<PathBuf>,
        position: Option<(u32, u32)>,
        field: String,
        problem: String,
        remedy: String,
    },
    Argument {
        name: String,
        problem: String,
        remedy: String,
    },
    File {
        path: PathBuf,
        source: std::io::Error,
    },
}

impl Error {
    /// A mistake in a policy: `field` is a path such as `limit[0].quota`, `position` a line and
    /// a column, both from 1.
    pub(crate) fn policy(
        field: impl Into<String>,
        position: Option<(u32, u32)>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Error {
        Error(Box::new(Kind::Policy {
            file: None,
            position,
            field: field.into(),
            problem: problem.into(),
            remedy: remedy.into(),
        }))
    }

    /// A bad argument of a call.
    pub(crate) fn argument(
        name: impl Into<String>,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Error {
        Error(Box::new(Kind::Argument {
            name: name.into(),
            problem: problem.into(),
            remedy: remedy.into(),
        }))
    }

    pub(crate) fn file(path: &Path, source: std::io::Error) -> Error {
        Error(Box::new(Kind::File { path: path.to_owned(), source }))
    }

    /// The same error, naming the file that the policy was read from.
    pub(crate) fn in_file(mut self, path: &Path) -> Error {
        if let Kind::Policy { file, .. } = &mut *self.0 {
            *file = Some(path.to_owned());
        }
        self
    }

    /// The same error without line and column, for documents that the user never saw as text.
    #[must_use]
    pub fn without_position(mut self) -> Error {
        if let Kind::Policy { position, .. } = &mut *self.0 {
            *position = None;
        }
        self
    }

    /// Is it a mistake in a policy?
    pub fn is_policy(&self) -> bool {
        matches!(*self.0, Kind::Policy { .. })
    }

    /// Is it a bad argument of a call, or a bad option?
    pub fn is_argument(&self) -> bool {
        matches!(*self.0, Kind::Argument { .. })
    }

    /// Could a file not be read?
    pub fn is_file(&self) -> bool {
        matches!(*self.0, Kind::File { .. })
    }

    /// The line of a mistake in a policy's text, from 1.
    pub fn line(&self) -> Option<u32> {
        match &*self.0 {
            Kind::Policy { position, .. } => position.map(|(line, _)| line),
            _ => None,
        }
    }

    /// The column (in characters) of a mistake in a policy's text, from 1.
    pub fn column(&self) -> Option<u32> {
        match &*self.0 {
            Kind::Policy { position, .. } => position.map(|(_, column)| column),
            _ => None,
        }
    }

    /// The field of a policy (`limit[0].quota`) or the name of the argument; empty for files.
    pub fn field(&self) -> &str {
        match &*self.0 {
            Kind::Policy { field, .. } => field,
            Kind::Argument { name, .. } => name,
            Kind::File { .. } => "",
        }
    }

    /// What would be right; empty for files.
    pub fn remedy(&self) -> &str {
        match &*self.0 {
            Kind::Policy { remedy, .. } | Kind::Argument { remedy, .. } => remedy,
            Kind::File { .. } => "",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Kind::Policy { file, position, field, problem, remedy } => {
                match file {
                    Some(path) => write!(f, "{}: ", path.display())?,
                    None => write!(f, "policy: ")?,
                }
                if let Some((line, column)) = position {
                    write!(f, "line {line}, column {column}: ")?;
                }
                write!(f, "{field}: {problem}; {remedy}")
            }
            Kind::Argument { name, problem, remedy } => write!(f, "{name}: {problem}; {remedy}"),
            Kind::File { path, source } => write!(f, "{}: {source}", path.display()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({self})")
    }
}

impl std::error::Error for Error {
    /// Of a file that cannot be read: the I/O error. (Its text is part of the message too, for
    /// hosts that show nothing else.)
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &*self.0 {
            Kind::File { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Error {
        match never {}
    }
}
