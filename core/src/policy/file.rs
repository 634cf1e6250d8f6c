//! The text of a policy file.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

use super::parse::MAX_BYTES;

/// Reads it. A file may be of any length: of one that is too long for a policy no more is read than shows it.
pub(crate) fn text(path: &Path) -> Result<String> {
    read(File::open(path)?)
}

fn read(file: impl Read) -> Result<String> {
    let mut bytes = Vec::new();
    file.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_BYTES {
        let problem = format!("there are more than the {MAX_BYTES} bytes that a policy may have");
        return Err(Error::new(ErrorKind::FileTooLarge, problem));
    }
    String::from_utf8(bytes).map_err(|_| Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::io::repeat;

    use super::*;

    #[test]
    fn no_more_is_read_than_a_policy_may_have() {
        let most = MAX_BYTES as u64;
        let text = read(repeat(b'#').take(most)).expect("a comment");
        assert_eq!(text.len(), MAX_BYTES);
        let mut long = repeat(b'#').take(4 * most);
        let error = read(&mut long).expect_err("too long");
        assert_eq!((error.kind(), long.limit()), (ErrorKind::FileTooLarge, 3 * most - 1));
    }

    #[test]
    fn what_is_no_text_is_refused() {
        let error = read(&b"[[limit]] # \xff"[..]).expect_err("no text");
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        // A character that lies across the end of what is read is no reason to say so.
        let long = "\u{e9}".repeat(MAX_BYTES);
        assert_eq!(read(long.as_bytes()).expect_err("long").kind(), ErrorKind::FileTooLarge);
    }
}
