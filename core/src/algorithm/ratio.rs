//! Exact multiplication by a fraction, without a division on the way.
//!
//! x · n / d for every 64-bit x, from a reciprocal with 128 fraction bits that is rounded up. It
//! overshoots the true product by less than x / 2^128 < 2^−64, while a product that is not whole lies at
//! least 1/d > 2^−64 away from the whole numbers around it. So the floor is exact (Granlund and Montgomery,
//! "Division by Invariant Integers using Multiplication", 1994), and the product is whole just when the
//! first 64 bits of the fraction are zero: the ceiling needs no look back.

/// A fraction, ready for multiplication.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ratio {
    whole: u64,
    /// The fraction part, rounded up, as 0.high_low in base 2^64.
    high: u64,
    low: u64,
}

impl Ratio {
    /// `numerator / denominator`; the denominator is not zero.
    pub(crate) fn new(numerator: u64, denominator: u64) -> Ratio {
        let divisor = u128::from(denominator.max(1));
        let (mut whole, rest) = (u128::from(numerator) / divisor, u128::from(numerator) % divisor);
        let (mut high, rest) = ((rest << 64) / divisor, (rest << 64) % divisor);
        let mut low = (rest << 64).div_ceil(divisor);
        // Rounding up may carry.
        high += low >> 64;
        low &= u128::from(u64::MAX);
        whole += high >> 64;
        high &= u128::from(u64::MAX);
        // Each part is below 2^64 now: the casts lose nothing (`whole` ≤ numerator).
        Ratio { whole: whole as u64, high: high as u64, low: low as u64 }
    }

    /// `floor(x · n / d)`, at most `u64::MAX`.
    #[inline]
    pub(crate) fn floor(&self, x: u64) -> u64 {
        x.saturating_mul(self.whole).saturating_add(self.parts(x).0)
    }

    /// The same where the caller knows that it is less than 2^64.
    #[inline]
    pub(crate) fn floor_within(&self, x: u64) -> u64 {
        x.wrapping_mul(self.whole).wrapping_add(self.parts(x).0)
    }

    /// `ceil(x · n / d)`; `None`: it is `u64::MAX` or more.
    #[inline]
    pub(crate) fn ceil(&self, x: u64) -> Option<u64> {
        let (below, rest) = self.parts(x);
        // Less than x, so that one more is no overflow.
        let parts = below.wrapping_add(u64::from(rest != 0));
        if self.whole == 0 {
            return Some(parts);
        }
        let sum = x.saturating_mul(self.whole).saturating_add(parts);
        (sum < u64::MAX).then_some(sum)
    }

    /// May the product be more than the number?
    #[inline]
    pub(crate) fn magnifies(&self) -> bool {
        self.whole > 0
    }

    /// `x` times the fraction part: its floor, which is less than `x` (or 0), and the first 64 bits of its fraction.
    #[inline]
    fn parts(&self, x: u64) -> (u64, u64) {
        // (2^64 − 1)² + 2^64 − 1 < 2^128: no overflow.
        let parts = wide(x, self.high).wrapping_add(wide(x, self.low) >> 64);
        ((parts >> 64) as u64, parts as u64)
    }
}

/// The whole product of two words: one instruction, where the checked product of two double
/// words would be a call.
#[inline]
pub(crate) fn wide(a: u64, b: u64) -> u128 {
    u128::from(a).wrapping_mul(u128::from(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn carries() {
        for (n, d) in [(1, u64::MAX), (u64::MAX, 1), (u64::MAX - 1, u64::MAX), (1, 1), (0, 7)] {
            let ratio = Ratio::new(n, d);
            for x in [0, 1, d - 1, d, u64::MAX] {
                let exact = u128::from(x) * u128::from(n) / u128::from(d);
                assert_eq!(u128::from(ratio.floor(x)), exact.min(u128::from(u64::MAX)));
                assert_eq!(ratio.floor_within(x), exact as u64);
            }
        }
    }

    /// The smallest fraction that a product can have.
    #[test]
    fn the_ceiling_sees_the_last_bit() {
        let d = u64::MAX;
        for (n, x) in [(1, 1), (1, d), (1, d - 1), (d - 1, d), (d - 1, d - 1), (d - 1, 1)] {
            let exact = (u128::from(x) * u128::from(n)).div_ceil(u128::from(d));
            assert_eq!(Ratio::new(n, d).ceil(x), u64::try_from(exact).ok(), "{n} {x}");
        }
    }

    proptest! {
        #[test]
        fn floor_and_ceil_are_exact(n in any::<u64>(), d in 1..=u64::MAX, x in any::<u64>(), shift in 0u32..63) {
            let (n, d) = (n >> shift, (d >> shift).max(1));
            let ratio = Ratio::new(n, d);
            let product = u128::from(x) * u128::from(n);
            let most = u128::from(u64::MAX);
            prop_assert_eq!(u128::from(ratio.floor(x)), (product / u128::from(d)).min(most));
            prop_assert_eq!(ratio.floor_within(x), (product / u128::from(d)) as u64);
            let ceil = product.div_ceil(u128::from(d));
            prop_assert_eq!(ratio.ceil(x), (ceil < most).then_some(ceil as u64));
        }
    }
}
