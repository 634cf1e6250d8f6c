//! What stands for a value in a store: a number of 64 bits.

use std::hash::{BuildHasher, Hasher};

use ahash::RandomState;

use super::{Address, IP, Networks};
use crate::policy::KEY;
use crate::store;

/// The tag of one value.
#[inline(always)]
pub(crate) fn tag_of(hasher: &RandomState, value: &[u8]) -> u64 {
    let mut state = hasher.build_hasher();
    // Not `Hash`, which hashes the length besides: `write` has it in already.
    state.write(value);
    store::tag(state.finish())
}

/// The tag of an attribute's value, for blocks: of `key` that of the key alone.
pub(crate) fn tag_of_attribute(hasher: &RandomState, name: &str, value: &[u8]) -> u64 {
    if name == KEY {
        return tag_of(hasher, value);
    }
    let mut state = hasher.build_hasher();
    state.write_u64(name.len() as u64);
    state.write(name.as_bytes());
    state.write(value);
    store::tag(state.finish())
}

/// The tag of an address's client, for blocks.
pub(crate) fn tag_of_network(hasher: &RandomState, address: Address, networks: Networks) -> u64 {
    let mut state = hasher.build_hasher();
    state.write_u64(IP.len() as u64);
    state.write(IP.as_bytes());
    state.write_u128(networks.of(address));
    if !address.is_v4() {
        state.write_u8(networks.prefix);
    }
    store::tag(state.finish())
}
