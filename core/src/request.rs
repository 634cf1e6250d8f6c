//! Who asks, and for what: the attributes of a request.

use std::fmt;

/// A request with attributes: `key`, `account`, `ip`, `user`, `route`, `plan`, or any other that a policy names in
/// `by` and `when`. Wherever a call takes a key, it takes a request as well; a key alone is a request whose attribute
/// `key` it is.
///
/// Values are any bytes, and may be secrets: `Debug` shows no value, only how long each is. Attributes that the policy does not mention mean nothing. One that is given twice has
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
#[derive(Clone, Default)]
pub struct Request<'a> {
    /// By the numbers of [`KNOWN`]: a name that everybody uses is never compared.
    known: [Option<&'a [u8]>; KNOWN.len()],
    others: Vec<(&'a str, &'a [u8])>,
}

/// Attributes with a number of their own.
pub(crate) const KNOWN: [&str; 6] = ["key", "account", "ip", "user", "route", "plan"];

impl<'a> Request<'a> {
    /// A request without attributes.
    #[must_use]
    #[inline(always)]
    pub fn new() -> Request<'a> {
        Request::default()
    }

    /// With an attribute of any name.
    #[must_use]
    #[inline(always)]
    pub fn with(mut self, name: &'a str, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Request<'a> {
        self.set(name, value.as_ref());
        self
    }

    /// Sets an attribute.
    // Always inline: the name is mostly a literal, and so is its number then.
    #[inline(always)]
    pub fn set(&mut self, name: &'a str, value: &'a [u8]) {
        match name {
            "key" => self.known[0] = Some(value),
            "account" => self.known[1] = Some(value),
            "ip" => self.known[2] = Some(value),
            "user" => self.known[3] = Some(value),
            "route" => self.known[4] = Some(value),
            "plan" => self.known[5] = Some(value),
            _ => self.set_other(name, value),
        }
    }

    #[inline(never)]
    fn set_other(&mut self, name: &'a str, value: &'a [u8]) {
        match self.others.iter_mut().find(|(known, _)| *known == name) {
            Some(attribute) => attribute.1 = value,
            None => self.others.push((name, value)),
        }
    }

    /// Whose request it is: the attribute of limits that name no `by`.
    #[must_use]
    #[inline(always)]
    pub fn key(self, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Request<'a> {
        self.with("key", value)
    }

    /// The account that the key belongs to.
    #[must_use]
    #[inline(always)]
    pub fn account(self, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Request<'a> {
        self.with("account", value)
    }

    /// The client's address, as text. As (part of) a limit's key, IPv6 addresses count by their network (`ipv6_prefix`).
    #[must_use]
    #[inline(always)]
    pub fn ip(self, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Request<'a> {
        self.with("ip", value)
    }

    /// The user.
    #[must_use]
    #[inline(always)]
    pub fn user(self, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Request<'a> {
        self.with("user", value)
    }

    /// Method and path: `GET /v3/configs/7`, or the pattern that was matched (`GET /v3/configs/:key`).
    #[must_use]
    #[inline(always)]
    pub fn route(self, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Request<'a> {
        self.with("route", value)
    }

    /// The plan, by name. One that was assigned while running goes before it.
    #[must_use]
    #[inline(always)]
    pub fn plan(self, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Request<'a> {
        self.with("plan", value)
    }

    /// The attributes: those with methods of their own first, then others in the order in which they were given.
    pub fn attributes(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> + Clone + '_ {
        let known = KNOWN.iter().zip(self.known);
        let known = known.filter_map(|(name, value)| value.map(|value| (*name, value)));
        known.chain(self.others.iter().copied())
    }

    /// Those of [`KNOWN`].
    #[inline]
    pub(crate) fn known(&self) -> &[Option<&'a [u8]>; KNOWN.len()] {
        &self.known
    }

    #[inline]
    pub(crate) fn others(&self) -> &[(&'a str, &'a [u8])] {
        &self.others
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'a [u8]> {
        self.attributes().find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

/// Names, and lengths instead of values: a request that is logged must not give away the secret of a `bypass`, or a key.
impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Request");
        for (name, value) in self.attributes() {
            shown.field(name, &format_args!("[{} bytes]", value.len()));
        }
        shown.finish()
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
#[derive(Clone)]
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

/// As a request shows itself.
impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ask(|request| request.fmt(f))
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
    fn attributes_of_every_name() {
        let mut request = Request::new();
        for name in KNOWN {
            request.set(name, b"first");
            request.set(name, name.as_bytes());
            assert_eq!(request.get(name), Some(name.as_bytes()));
        }
        let named = request.attributes().map(|(name, value)| name.as_bytes() == value);
        assert_eq!(named.filter(|same| *same).count(), KNOWN.len());
        let request = Request::new().with("tenant", "1").with("tenants", "2").key("3").key("4");
        let attributes: Vec<_> = request.attributes().collect();
        let expected: [(&str, &[u8]); 3] = [("key", b"4"), ("tenant", b"1"), ("tenants", b"2")];
        assert_eq!(attributes, expected);
        assert_eq!((request.get("tenants"), request.get("account")), (Some(&b"2"[..]), None));
    }
    /// Whatever holds a request shows names and lengths, no value.
    #[test]
    fn no_value_is_shown() {
        let limiter = crate::Limiter::new("9/day").unwrap();
        let request = Request::new().key("hush-key").with("dev_key", "hush-secret");
        let plain = format!("{request:?}");
        assert_eq!(plain, "Request { key: [8 bytes], dev_key: [11 bytes] }");
        let of_request = [
            format!("{:?}", limiter.admit(&request, 1).unwrap()),
            format!("{:?}", limiter.reserve(&request, 1).unwrap()),
            format!("{:?}", limiter.queue(&request, 1, None)),
        ];
        assert!(of_request.iter().all(|shown| shown.contains(&plain)), "{of_request:?}");
        let of_key = [
            format!("{:?}", limiter.admit("hush-key", 1).unwrap()),
            format!("{:?}", limiter.reserve("hush-key", 1).unwrap()),
            format!("{:?}", limiter.queue("hush-key", 1, None)),
        ];
        let bytes = format!("{:?}", b"hush");
        for shown in of_request.iter().chain(&of_key).chain([&plain, &format!("{limiter:?}")]) {
            assert!(
                !shown.contains("hush") && !shown.contains(&bytes[1..bytes.len() - 1]),
                "{shown}"
            );
        }
    }
}
