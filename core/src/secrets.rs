//! Secrets that a policy knows by their SHA-256 alone.
//!
//! A policy file is read by many, and copied; what stands in it must not open anything. And how long a
//! comparison takes must not tell how close a guess was, nor which secret it met: every secret of the
//! list is compared, to its last byte, whatever was found before.

use std::fmt::Write;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// Is `given` the secret of one of these hashes?
///
/// It takes the same instructions for all that is given in the same length, whatever the answer.
pub(crate) fn is_one_of(secrets: &[[u8; 32]], given: &[u8]) -> bool {
    let given = Sha256::digest(given);
    let mut found = Choice::from(0);
    for secret in secrets {
        found |= secret.as_slice().ct_eq(given.as_slice());
    }
    found.into()
}

/// The hash of a secret as a policy writes it: `sha256:` and 64 hexadecimal digits.
pub(crate) fn hash(given: &[u8]) -> String {
    let mut text = String::from("sha256:");
    for byte in Sha256::digest(given) {
        write!(text, "{byte:02x}").expect("a String takes all that is written");
    }
    text
}

/// The line for a policy that lets requests with this secret pass: `sha256:` and 64 hexadecimal digits.
///
/// The hash is SHA-256 without salt: it hides a secret that cannot be guessed. Take one of 128 random
/// bits at least, not a word that somebody might try.
///
/// ```
/// let line = tidegate::hash_secret("open sesame");
/// assert!(line.starts_with("sha256:41ef4bb0b23661e66301aac36066912d"));
/// ```
pub fn hash_secret(secret: &str) -> String {
    hash(secret.as_bytes())
}

/// Is `given` the secret of one of these hashes? For the benches, which count its instructions.
#[doc(hidden)]
pub fn check_secret(secrets: &[[u8; 32]], given: &[u8]) -> bool {
    is_one_of(secrets, given)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn hashed(secret: &str) -> [u8; 32] {
        Sha256::digest(secret).into()
    }

    #[test]
    fn a_secret_is_found_wherever_it_stands() {
        let secrets = ["first", "second", "third"].map(hashed);
        for right in ["first", "second", "third"] {
            assert!(is_one_of(&secrets, right.as_bytes()), "{right}");
        }
        for wrong in ["", "fourth", "First", "firs", "first "] {
            assert!(!is_one_of(&secrets, wrong.as_bytes()), "{wrong}");
        }
        assert!(!is_one_of(&[], b"first"));
    }

    #[test]
    fn a_hash_that_differs_in_one_bit_is_another() {
        let right = hashed("first");
        for bit in 0..256 {
            let mut close = right;
            close[bit / 8] ^= 1 << (bit % 8);
            assert!(!is_one_of(&[close], b"first"), "bit {bit}");
        }
    }

    #[test]
    fn the_hash_itself_opens_nothing() {
        let secret = hashed("first");
        assert!(!is_one_of(&[secret], &secret));
        assert!(!is_one_of(&[secret], hash_secret("first").as_bytes()));
    }

    /// The examples of FIPS 180-2.
    #[test]
    fn hashes_are_sha256() {
        for (secret, digits) in [
            ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ] {
            assert_eq!(hash_secret(secret), format!("sha256:{digits}"));
        }
    }

    #[test]
    fn a_policy_reads_what_hash_secret_writes() {
        let line = hash_secret("open sesame");
        let policy = crate::Policy::from_toml(&format!(
            "[[limit]]\nrate = \"1/second\"\n[[bypass]]\nname = \"dev\"\nattribute = \"dev_key\"\nsecrets = [\"{line}\"]\n"
        ))
        .expect("a policy");
        let secrets = &policy.bypass[0].secrets;
        assert!(is_one_of(secrets, b"open sesame"));
        assert!(!is_one_of(secrets, b"open sesami"));
    }
}
