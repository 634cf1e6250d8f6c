//! Small numbers, packed into the first words of a record.

/// Bits of a stamp.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Field {
    word: usize,
    shift: u32,
    mask: u64,
}

impl Field {
    /// The field for so many values after the bits that are taken.
    pub(super) fn after(taken: &mut u32, values: usize) -> Field {
        let bits = values.next_power_of_two().trailing_zeros();
        if *taken / u64::BITS != (*taken + bits).saturating_sub(1) / u64::BITS {
            *taken = taken.next_multiple_of(u64::BITS);
        }
        let begin = *taken;
        *taken += bits;
        match bits {
            0 => Field::default(),
            _ => {
                let word = (begin / u64::BITS) as usize;
                Field { word, shift: begin % u64::BITS, mask: (1 << bits) - 1 }
            }
        }
    }

    pub(super) fn get(self, words: &[u64]) -> usize {
        // As many bits as its values need.
        ((words[self.word] >> self.shift) & self.mask) as usize
    }

    pub(super) fn set(self, words: &mut [u64], value: usize) {
        let word = &mut words[self.word];
        *word = *word & !(self.mask << self.shift) | (value as u64 & self.mask) << self.shift;
    }

    pub(super) fn expect(self, stamps: &mut [(u64, u64)], value: usize) {
        if self.mask != 0 {
            let (mask, expected) = &mut stamps[self.word];
            *mask |= self.mask << self.shift;
            *expected |= (value as u64) << self.shift;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As many fields as a record may have places, each with as many values as there may be plans.
    #[test]
    fn fields_lie_apart() {
        for values in [1, 2, 3, 5, 64] {
            let mut taken = 0;
            let fields: Vec<Field> = (0..63).map(|_| Field::after(&mut taken, values)).collect();
            let mut words = vec![0; taken.div_ceil(u64::BITS).max(1) as usize];
            let value = |index: usize| (index * 7 + 3) % values;
            for (index, field) in fields.iter().enumerate() {
                field.set(&mut words, values - 1);
                field.set(&mut words, value(index));
            }
            for (index, field) in fields.iter().enumerate() {
                assert_eq!(field.get(&words), value(index), "{values}: {index}");
            }
            let mut expected = vec![(0, 0); words.len()];
            let all = fields.iter().enumerate();
            all.for_each(|(index, field)| field.expect(&mut expected, value(index)));
            assert!(words.iter().zip(&expected).all(|(word, (mask, is))| word & mask == *is));
            assert_eq!(expected[0].0 == 0, values == 1, "nothing to tell takes no bits");
        }
    }
}
