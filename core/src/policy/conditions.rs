//! Conditions on the attributes of a request: which requests a limit is for, who is exempt, who is blocked.

/// Conditions that must all match, sorted by attribute; an attribute occurs once. None: every request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Conditions(pub(crate) Vec<Condition>);

/// One attribute, and the patterns of which one must match. A request without the attribute matches none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Condition {
    pub(crate) attribute: String,
    pub(crate) any_of: Vec<Pattern>,
}

/// What a value of an attribute may be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Pattern {
    /// Anything: the attribute is there.
    Any,
    Exact(String),
    Prefix(String),
    /// A route such as `GET /v3/configs/:key`: the method first, then the segments of the path.
    Route(Vec<Segment>),
    /// Addresses whose first `prefix` bits are these; IPv4 mapped into IPv6 (`::ffff:a.b.c.d`).
    Network {
        address: [u8; 16],
        prefix: u8,
    },
}

/// One part of a route.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Segment {
    Exact(String),
    /// Any one segment that is not empty.
    Parameter,
    /// All segments that are left, at least one. Only at the end.
    Rest,
}
