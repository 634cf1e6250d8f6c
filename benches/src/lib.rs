//! Tidegate beside its peers: what is measured, and how. See `README.md`.
//!
//! `cargo bench -p tidegate-benches` runs criterion over it; the binary `table` prints one table of
//! ratios; the binary `call` makes one kind of call, for the C comparison and for callgrind. The binary
//! `growth` measures how costs change with keys and threads, and `plots` draws what it wrote.

pub mod c;
pub mod crews;
pub mod floor;
pub mod growth;
pub mod keys;
pub mod measure;
pub mod memory;
pub mod peers;
pub mod plots;
pub mod rows;
pub mod subject;
pub mod table;
pub mod worst;
