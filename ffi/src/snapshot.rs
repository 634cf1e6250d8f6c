//! Every bucket of a key, for logs and dashboards.

use std::ffi::{CString, c_char, c_void};

use engine::{BucketSnapshot, Method, Snapshot};

use crate::attribute::tidegate_attribute;
use crate::call::{answer, at};
use crate::error::{Failure, c_text};
use crate::guard::{guard, guard_value};
use crate::handle::{self, Growing, OutStruct, give, lend, nanos, take};
use crate::limiter::tidegate_limiter;
use crate::status::tidegate_status;

/// The limit counts requests times cost.
pub const TIDEGATE_METHOD_COUNT: u8 = 0;
/// The limit counts time spent, in nanoseconds.
pub const TIDEGATE_METHOD_LATENCY: u8 = 1;
/// The limit counts requests in flight.
pub const TIDEGATE_METHOD_CONCURRENCY: u8 = 2;

/// One bucket of a key. Start with `tidegate_bucket bucket = TIDEGATE_BUCKET_INIT;`. Units are
/// requests times cost (count limits), nanoseconds (latency) or permits (concurrency).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tidegate_bucket {
    /// sizeof(tidegate_bucket), set by the caller; fields beyond it are not written.
    pub struct_size: u32,
    /// What it counts: a TIDEGATE_METHOD number.
    pub method: u8,
    /// Always 0.
    pub reserved: [u8; 3],
    /// Units per period.
    pub quota: u64,
    /// Most units that can be spent at once (gcra: the burst).
    pub capacity: u64,
    /// Units used; more than the capacity when in debt.
    pub used: u64,
    /// Units left.
    pub remaining: u64,
    /// How long until it refreshes (windows: their end; gcra: full again); 0 when full.
    pub refresh_after_ns: u64,
    /// The name of its limit. UTF-8, valid as long as the snapshot.
    pub limit_name: *const c_char,
    /// Its own name, or the text of its rate ("100/minute"). UTF-8, valid as long as the snapshot.
    pub name: *const c_char,
}

// SAFETY: repr(C), the size in front, then 4 bytes, then fields of 8 bytes; where pointers are
// shorter, they come in pairs.
unsafe impl Growing for tidegate_bucket {}

/// Every bucket of a key at one moment.
pub struct tidegate_buckets {
    buckets: Vec<Bucket>,
    blocked_for_ns: u64,
}

struct Bucket {
    engine: BucketSnapshot,
    limit_name: CString,
    name: CString,
}

// A snapshot never changes, so that threads may share it.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<tidegate_buckets>();
};

impl From<Snapshot> for tidegate_buckets {
    fn from(snapshot: Snapshot) -> tidegate_buckets {
        let bucket = |engine: BucketSnapshot| Bucket {
            limit_name: c_text(&engine.limit),
            name: c_text(&engine.name),
            engine,
        };
        tidegate_buckets {
            blocked_for_ns: nanos(snapshot.blocked_for),
            buckets: snapshot.buckets.into_iter().map(bucket).collect(),
        }
    }
}

impl From<&Bucket> for tidegate_bucket {
    fn from(bucket: &Bucket) -> tidegate_bucket {
        tidegate_bucket {
            struct_size: size_of::<tidegate_bucket>() as u32,
            method: method_number(bucket.engine.method),
            reserved: [0; 3],
            quota: bucket.engine.quota,
            capacity: bucket.engine.capacity,
            used: bucket.engine.used,
            remaining: bucket.engine.remaining,
            refresh_after_ns: nanos(bucket.engine.refresh_after),
            limit_name: bucket.limit_name.as_ptr(),
            name: bucket.name.as_ptr(),
        }
    }
}

/// `u8::MAX` stands for methods that this interface does not know yet: "unknown".
pub(crate) fn method_number(method: Method) -> u8 {
    match method {
        Method::Count => TIDEGATE_METHOD_COUNT,
        Method::Latency => TIDEGATE_METHOD_LATENCY,
        Method::Concurrency => TIDEGATE_METHOD_CONCURRENCY,
        _ => u8::MAX,
    }
}

/// The word for a method, as in policies: "count", "latency" or "concurrency"; "unknown" for any
/// other number. Never NULL, never to be freed.
///
/// Thread safety: any thread at any time.
#[unsafe(no_mangle)]
pub extern "C" fn tidegate_method_name(method: u8) -> *const c_char {
    match method {
        TIDEGATE_METHOD_COUNT => c"count",
        TIDEGATE_METHOD_LATENCY => c"latency",
        TIDEGATE_METHOD_CONCURRENCY => c"concurrency",
        _ => c"unknown",
    }
    .as_ptr()
}

/// Every bucket of a key: what is used and what is left, in the order of the policy. A key that
/// was never seen has full buckets. Of a request: of all the records that it has with the attributes
/// given; one that is missing leaves out the limits that count by it. The snapshot is given back with
/// tidegate_buckets_free; it may outlive its limiter.
///
/// Errors: as tidegate_acquire.
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_snapshot(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    buckets: *mut *mut tidegate_buckets,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        answer(limiter, handle::key(key, key_len), (buckets, "buckets"), |limiter, key| {
            limiter.snapshot(key).map(|found| give(found.into()))
        })
    }
}

/// As tidegate_snapshot, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_snapshot_at(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    now_ns: u64,
    buckets: *mut *mut tidegate_buckets,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        answer(
            limiter,
            at(handle::key(key, key_len), now_ns),
            (buckets, "buckets"),
            |limiter, (key, now)| limiter.snapshot_at(key, now).map(|found| give(found.into())),
        )
    }
}

/// As tidegate_snapshot, of a request with attributes (see tidegate_attribute).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_snapshot_request(
    limiter: *const tidegate_limiter,
    attributes: *const tidegate_attribute,
    attribute_count: usize,
    buckets: *mut *mut tidegate_buckets,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        answer(
            limiter,
            handle::request(attributes, attribute_count),
            (buckets, "buckets"),
            |limiter, request| limiter.snapshot(request).map(|found| give(found.into())),
        )
    }
}

/// As tidegate_snapshot_request, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_snapshot_request_at(
    limiter: *const tidegate_limiter,
    attributes: *const tidegate_attribute,
    attribute_count: usize,
    now_ns: u64,
    buckets: *mut *mut tidegate_buckets,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        answer(
            limiter,
            at(handle::request(attributes, attribute_count), now_ns),
            (buckets, "buckets"),
            |limiter, (request, now)| {
                limiter.snapshot_at(request, now).map(|found| give(found.into()))
            },
        )
    }
}

/// How many buckets there are; 0 for NULL.
///
/// Thread safety: concurrent calls are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_buckets_count(buckets: *const tidegate_buckets) -> usize {
    guard_value(0, || {
        // SAFETY: the header's contract.
        Ok(unsafe { lend(buckets, "buckets") }?.buckets.len())
    })
}

/// The bucket number `index`, from 0.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT, also when `index` is not below tidegate_buckets_count.
/// Thread safety: concurrent calls are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_buckets_get(
    buckets: *const tidegate_buckets,
    index: usize,
    bucket: *mut tidegate_bucket,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (buckets, place) =
            unsafe { (lend(buckets, "buckets")?, OutStruct::new(bucket, "bucket")?) };
        let count = buckets.buckets.len();
        let Some(bucket) = buckets.buckets.get(index) else {
            return Err(Failure::index(index, count));
        };
        place.write(bucket.into());
        Ok(())
    })
}

/// How long the key stays blocked (tidegate_block); 0 when it is not, and for NULL.
///
/// Thread safety: concurrent calls are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_buckets_blocked_for_ns(buckets: *const tidegate_buckets) -> u64 {
    guard_value(0, || {
        // SAFETY: the header's contract.
        Ok(unsafe { lend(buckets, "buckets") }?.blocked_for_ns)
    })
}

/// Gives a snapshot back; the names in its buckets are gone. NULL is a no-op.
///
/// Thread safety: no other call may use this snapshot now or later.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_buckets_free(buckets: *mut tidegate_buckets) {
    guard(|| {
        // SAFETY: the header's contract.
        drop(unsafe { take(buckets) });
        Ok(())
    });
}
