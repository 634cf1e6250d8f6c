//! Who asks, and for what: the attributes of a request.

use smallvec::SmallVec;

/// A request with attributes: `key`, `account`, `ip`, `user`, `route`, `plan`, or any other that a policy names in
/// `by` and `when`. Wherever a call takes a key, it takes a request as well; a key alone is a request whose attribute
/// `key` it is.
///
/// Values are any bytes. Attributes that the policy does not mention mean nothing. One that is given twice has
/// the later value.
///
/// ```
/// use tidegate::{Limiter, Request};
///
/// let limiter = Limiter::new(r#"
///     [[limit]]
///     name = "account"
///     by   = ["account"]
///     rate = "1000/day"
///
///     [[limit]]
///     name = "writes"
///     by   = ["key"]
///     when = { route = "POST /configs/:id" }
///     rate = "1/minute"
/// "#)?;
/// let read = Request::new().key("k1").account("a").route("GET /configs/7");
/// let write = Request::new().key("k1").account("a").route("POST /configs/7");
/// assert!(limiter.acquire(&read, 1)?.allowed());
/// assert!(limiter.acquire(&write, 1)?.allowed());
/// let decision = limiter.acquire(&write, 1)?;
/// assert_eq!((decision.allowed(), decision.name()), (false, "writes"));
/// assert_eq!(limiter.peek(&read, 0)?.remaining(), 998); // the denied one took nothing
/// # Ok::<(), tidegate::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Request<'a> {
    attributes: SmallVec<[Attribute<'a>; 8]>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Attribute<'a> {
    /// The beginning of the name, and its length: of most names all that there is to compare.
    pub(crate) brief: Brief,
    pub(crate) name: &'a str,
    pub(crate) value: &'a [u8],
}

/// Seven bytes of a name, and how long it is. Names of up to seven bytes are equal when these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Brief(u64);

impl Brief {
    const BYTES: usize = 7;

    #[inline]
    pub(crate) const fn of(name: &str) -> Brief {
        let bytes = name.as_bytes();
        let length = if bytes.len() > 0xff { 0xff } else { bytes.len() as u64 };
        let (mut brief, mut index) = (length, 0);
        while index < bytes.len() && index < Brief::BYTES {
            brief = brief << 8 | bytes[index] as u64;
            index += 1;
        }
        Brief(brief)
    }
}

impl Attribute<'_> {
    /// Is it the one of this name?
    #[inline]
    pub(crate) fn is(&self, brief: Brief, name: &str) -> bool {
        self.brief == brief && (self.name.len() <= Brief::BYTES || self.name == name)
    }
}

impl<'a> Request<'a> {
    /// A request without attributes.
    #[must_use]
    pub fn new() -> Request<'a> {
        Request::default()
    }

    /// With an attribute of any name.
    #[must_use]
    #[inline]
    pub fn with(mut self, name: &'a str, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Request<'a> {
        self.set(name, value.as_ref());
        self
    }

    /// Sets an attribute.
    #[inline]
    pub fn set(&mut self, name: &'a str, value: &'a [u8]) {
        let brief = Brief::of(name);
        match self.attributes.iter_mut().find(|known| known.is(brief, name)) {
            Some(attribute) => attribute.value = value,
            None => self.attributes.push(Attribute { brief, name, value }),
        }
    }

    /// Whose request it is: the attribute of limits that name no `by`.
    #[must_use]
    #[inline]
    pub fn key(self, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Request<'a> {
        self.with("key", value)
    }

    /// The account that the key belongs to.
    #[must_use]
    #[inline]
    pub fn account(self, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Request<'a> {
        self.with("account", value)
    }

    /// The client's address, as text. As (part of) a limit's key, IPv6 addresses count by their network (`ipv6_prefix`).
    #[must_use]
    #[inline]
    pub fn ip(self, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Request<'a> {
        self.with("ip", value)
    }

    /// The user.
    #[must_use]
    #[inline]
    pub fn user(self, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Request<'a> {
        self.with("user", value)
    }

    /// Method and path: `GET /v3/configs/7`, or the pattern that was matched (`GET /v3/configs/:key`).
    #[must_use]
    #[inline]
    pub fn route(self, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Request<'a> {
        self.with("route", value)
    }

    /// The plan, by name. One that was assigned while running goes before it.
    #[must_use]
    #[inline]
    pub fn plan(self, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Request<'a> {
        self.with("plan", value)
    }

    /// The attributes, in the order in which they were given first.
    pub fn attributes(&self) -> impl ExactSizeIterator<Item = (&'a str, &'a [u8])> + Clone + '_ {
        self.attributes.iter().map(|attribute| (attribute.name, attribute.value))
    }

    #[inline]
    pub(crate) fn each(&self) -> &[Attribute<'a>] {
        &self.attributes
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a [u8]> {
        let brief = Brief::of(name);
        let found = self.attributes.iter().find(|known| known.is(brief, name));
        found.map(|attribute| attribute.value)
    }
}

/// What a call can be about: a key (anything that is bytes), or a [`Request`].
pub trait Subject: sealed::Sealed {
    /// The key, when it is one.
    #[doc(hidden)]
    fn as_key(&self) -> Option<&[u8]>;
    /// Asks with the request that it is, or makes.
    #[doc(hidden)]
    fn ask<R>(&self, with: impl FnOnce(&Request<'_>) -> R) -> R;
}

mod sealed {
    pub trait Sealed {}
}

impl<T: AsRef<[u8]>> sealed::Sealed for T {}

impl<T: AsRef<[u8]>> Subject for T {
    #[inline(always)]
    fn as_key(&self) -> Option<&[u8]> {
        Some(self.as_ref())
    }

    fn ask<R>(&self, with: impl FnOnce(&Request<'_>) -> R) -> R {
        with(&Request::new().with("key", self))
    }
}

impl sealed::Sealed for Request<'_> {}

impl Subject for Request<'_> {
    #[inline(always)]
    fn as_key(&self) -> Option<&[u8]> {
        None
    }

    fn ask<R>(&self, with: impl FnOnce(&Request<'_>) -> R) -> R {
        with(self)
    }
}

impl sealed::Sealed for &Request<'_> {}

impl Subject for &Request<'_> {
    #[inline(always)]
    fn as_key(&self) -> Option<&[u8]> {
        None
    }

    fn ask<R>(&self, with: impl FnOnce(&Request<'_>) -> R) -> R {
        with(self)
    }
}

/// A subject that is kept: what a request that is under way gives back, and who waits.
#[derive(Clone, Debug)]
pub(crate) enum Kept {
    Key(Box<[u8]>),
    Request(Vec<(Box<str>, Box<[u8]>)>),
}

impl Kept {
    pub(crate) fn new(subject: &impl Subject) -> Kept {
        match subject.as_key() {
            Some(key) => Kept::Key(key.into()),
            None => subject.ask(|request| {
                let pairs = request.attributes();
                Kept::Request(pairs.map(|(name, value)| (name.into(), value.into())).collect())
            }),
        }
    }
}

impl sealed::Sealed for &Kept {}

impl Subject for &Kept {
    fn as_key(&self) -> Option<&[u8]> {
        match self {
            Kept::Key(key) => Some(key),
            Kept::Request(_) => None,
        }
    }

    fn ask<R>(&self, with: impl FnOnce(&Request<'_>) -> R) -> R {
        match self {
            Kept::Key(key) => with(&Request::new().with("key", key)),
            Kept::Request(pairs) => {
                let mut request = Request::new();
                pairs.iter().for_each(|(name, value)| request.set(name, value));
                with(&request)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_apart() {
        let names = ["", "a", "k", "key", "keys", "account", "accounts", "account_a", "account_b"];
        for name in names {
            for other in names {
                let attribute = Attribute { brief: Brief::of(name), name, value: b"" };
                assert_eq!(attribute.is(Brief::of(other), other), name == other, "{name} {other}");
            }
        }
        let request =
            Request::new().with("account_a", "1").with("account_b", "2").key("3").key("4");
        let attributes: Vec<_> = request.attributes().collect();
        let expected: [(&str, &[u8]); 3] =
            [("account_a", b"1"), ("account_b", b"2"), ("key", b"4")];
        assert_eq!(attributes, expected);
        assert_eq!((request.get("account_b"), request.get("account")), (Some(&b"2"[..]), None));
    }
}
