//! Short texts, looked at eight bytes at a time: routes are read by every request.

/// A text to compare others with.
#[derive(Debug)]
pub(super) struct Text {
    /// See [`head`].
    head: u64,
    text: Box<[u8]>,
}

impl Text {
    pub(super) fn new(text: &[u8]) -> Text {
        Text { head: head(text, 0), text: text.into() }
    }

    /// Is it this value, which has this head?
    #[inline(always)]
    pub(super) fn is(&self, value: &[u8], head: u64) -> bool {
        self.head == head
            && self.text.len() == value.len()
            && (value.len() <= 8 || self.text[8..] == value[8..])
    }
}

/// The first eight bytes from there on, the first one lowest; zeros behind the end.
#[inline(always)]
pub(super) fn head(value: &[u8], begin: usize) -> u64 {
    let rest = &value[begin..];
    if let Some(eight) = rest.first_chunk() {
        return u64::from_le_bytes(*eight);
    }
    match value.last_chunk() {
        // The value's last eight, without those before; fewer than 64 bits are left out, or all.
        Some(eight) => {
            let before = 8 * (8 - rest.len()) as u32;
            u64::from_le_bytes(*eight).checked_shr(before).unwrap_or(0)
        }
        None => short(rest),
    }
}

/// The same of fewer than eight bytes.
#[inline]
fn short(value: &[u8]) -> u64 {
    let length = value.len();
    let byte = |at: usize| u64::from(value[at]) << (8 * at);
    match (value.first_chunk(), value.last_chunk()) {
        // They overlap, with the same bytes.
        (Some(first), Some(last)) => {
            let [first, last] = [first, last].map(|four| u64::from(u32::from_le_bytes(*four)));
            first | last << (8 * (length - 4))
        }
        _ if length == 0 => 0,
        _ => byte(0) | byte(length / 2) | byte(length - 1),
    }
}

/// A number that is mostly another one of another value.
#[inline(always)]
pub(super) fn place(value: &[u8]) -> usize {
    // 2^64 / golden ratio, odd; the highest bits are the best mixed.
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let (eights, _) = value.as_chunks::<8>();
    let mixed = eights.iter().fold(value.len() as u64, |mixed, eight| {
        (mixed ^ u64::from_le_bytes(*eight)).wrapping_mul(MIX).rotate_left(29)
    });
    let last = head(value, value.len() - value.len() % 8);
    ((mixed ^ last).wrapping_mul(MIX) >> 48) as usize
}

/// Where the piece ends that begins there, before the first byte that `stops` marks, and the piece's head.
#[inline(always)]
pub(super) fn span(value: &[u8], begin: usize, stops: impl Fn(u64) -> u64) -> (usize, u64) {
    let first = head(value, begin);
    let marks = stops(first);
    if marks != 0 {
        let bits = marks.trailing_zeros() & !7;
        return (begin + bits as usize / 8, first & !(u64::MAX << bits));
    }
    let mut at = begin + 8;
    while at < value.len() {
        let marks = stops(head(value, at));
        if marks != 0 {
            return (at + marks.trailing_zeros() as usize / 8, first);
        }
        at += 8;
    }
    (value.len(), first)
}

const ONES: u64 = 0x0101_0101_0101_0101;

/// Marks the bytes that are zero: the lowest mark is right, those above it may be wrong.
// Mycroft's: subtracting one borrows from a byte's highest bit only where there is nothing below.
#[inline(always)]
fn zeros(eight: u64) -> u64 {
    eight.wrapping_sub(ONES) & !eight & (ONES << 7)
}

/// Marks blanks, as [`zeros`].
#[inline(always)]
pub(super) fn blanks(eight: u64) -> u64 {
    zeros(eight ^ (ONES * b' ' as u64))
}

/// Marks what ends a segment of a path: `/`, `?` and `#`.
#[inline(always)]
pub(super) fn ends(eight: u64) -> u64 {
    // One bit apart, a slash and a question mark.
    let either = (eight | (ONES * (b'/' ^ b'?') as u64)) ^ (ONES * b'?' as u64);
    zeros(either) | zeros(eight ^ (ONES * b'#' as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_the_first_eight_bytes() {
        let value = b"0123456789abcdefghi\xff";
        for length in 0..=value.len() {
            for begin in 0..=length {
                let rest = &value[begin..length];
                let expected = rest.iter().take(8).rev().fold(0, |all, b| all << 8 | u64::from(*b));
                assert_eq!(head(&value[..length], begin), expected, "{begin}..{length}");
            }
        }
    }

    /// Every byte at every place, before and behind every other stop.
    #[test]
    fn pieces_end_where_a_loop_says() {
        let is_end = |byte: &u8| matches!(byte, b'/' | b'?' | b'#');
        for length in 0..20 {
            for at in 0..length {
                for byte in 0..=u8::MAX {
                    let mut value = vec![b'a'; length];
                    value[at] = byte;
                    for other in [b'/', b'?', b'#', b' ', b'.', b'!', 0x80, 0xaf, 0] {
                        value[length - 1 - at / 2] = other;
                        for begin in [0, at / 2, at, length] {
                            let rest = &value[begin..];
                            let said = span(&value, begin, ends);
                            let end = rest.iter().position(is_end).unwrap_or(rest.len());
                            assert_eq!(said, (begin + end, head(&rest[..end], 0)), "{value:?}");
                            let said = span(&value, begin, blanks);
                            let end = rest.iter().position(|b| *b == b' ').unwrap_or(rest.len());
                            assert_eq!(said, (begin + end, head(&rest[..end], 0)), "{value:?}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn texts_are_compared_whole() {
        let all =
            ["", "a", "b", "ab", "abcdefgh", "abcdefghi", "abcdefghj", "abcdefg\0", "abcdefg"];
        for one in all {
            for other in all {
                let other_bytes = other.as_bytes();
                let same = Text::new(one.as_bytes()).is(other_bytes, head(other_bytes, 0));
                assert_eq!(same, one == other, "{one:?} {other:?}");
            }
        }
    }
}
