//! What a subject used in a window, by kind of call.

use std::ffi::{c_char, c_void};

use engine::UsageReport;

use crate::attribute::tidegate_attribute;
use crate::call::{answer, at};
use crate::error::Failure;
use crate::guard::{guard, guard_value};
use crate::handle::{self, Growing, OutStruct, give, lend, nanos, take};
use crate::limiter::tidegate_limiter;
use crate::plan::c_name;
use crate::status::tidegate_status;

/// What a subject used, and how far it is with its longest limit. Start with
/// `tidegate_usage_totals totals = TIDEGATE_USAGE_TOTALS_INIT;`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tidegate_usage_totals {
    /// sizeof(tidegate_usage_totals), set by the caller; fields beyond it are not written.
    pub struct_size: u32,
    /// Has the subject a count limit? That of the longest window is told of below; else its
    /// numbers are 0.
    pub has_limit: bool,
    /// Always 0.
    pub reserved: [u8; 3],
    /// The time that the report covers, up to now.
    pub window_ns: u64,
    /// Units admitted in it.
    pub total: u64,
    /// Requests of any subject that were not recorded, for want of room for more subjects
    /// (`max_keys`).
    pub dropped: u64,
    /// The limit's quota.
    pub quota: u64,
    /// Units left in it now.
    pub remaining: u64,
    /// The part of the quota that is used now, in thousandths, rounded down; at most 1000.
    pub utilization_permille: u64,
    /// The name of the limit, "" when there is none. UTF-8; valid for ever, not to be freed.
    pub limit_name: *const c_char,
    /// The plan that holds now, "" when there is none. UTF-8; valid for ever, not to be freed.
    pub plan_name: *const c_char,
}

// SAFETY: repr(C), the size in front, then 4 bytes, then fields of 8 bytes; where pointers are
// shorter, they come in pairs.
unsafe impl Growing for tidegate_usage_totals {}

/// What a subject used of one kind of call. Start with
/// `tidegate_usage_kind kind = TIDEGATE_USAGE_KIND_INIT;`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct tidegate_usage_kind {
    /// sizeof(tidegate_usage_kind), set by the caller; fields beyond it are not written.
    pub struct_size: u32,
    /// Always 0.
    pub reserved: u32,
    /// Units admitted.
    pub units: u64,
    /// The kind: the value of the attribute `by` of the policy's `[usage]`; "" without one. UTF-8 with a
    /// NUL at its end, valid as long as the report.
    pub name: *const c_char,
    /// The bytes of the name, without the NUL at its end.
    pub name_len: usize,
}

// SAFETY: repr(C), the size in front, then 4 bytes, then fields of 8 bytes; where pointers are
// shorter, the last two are a pair.
unsafe impl Growing for tidegate_usage_kind {}

/// A report of use.
pub struct tidegate_usage_report {
    report: UsageReport,
    /// The names of the kinds, each with a NUL byte behind: they come from requests and may hold others.
    names: Vec<Box<[u8]>>,
}

// A report never changes, so that threads may share it.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<tidegate_usage_report>();
};

impl From<UsageReport> for tidegate_usage_report {
    fn from(report: UsageReport) -> tidegate_usage_report {
        let name = |(name, _): &(String, u64)| [name.as_bytes(), &[0]].concat().into_boxed_slice();
        tidegate_usage_report { names: report.by_kind.iter().map(name).collect(), report }
    }
}

impl From<&UsageReport> for tidegate_usage_totals {
    fn from(report: &UsageReport) -> tidegate_usage_totals {
        let limit = report.limit.as_ref();
        tidegate_usage_totals {
            struct_size: size_of::<tidegate_usage_totals>() as u32,
            has_limit: limit.is_some(),
            reserved: [0; 3],
            window_ns: nanos(report.window),
            total: report.total,
            dropped: report.dropped,
            quota: limit.map_or(0, |limit| limit.quota),
            remaining: limit.map_or(0, |limit| limit.remaining),
            utilization_permille: limit.map_or(0, |limit| limit.utilization_permille),
            limit_name: c_name(limit.map(|limit| limit.name)),
            plan_name: c_name(report.plan),
        }
    }
}

/// What the key used in the last `window_ns` (TIDEGATE_NEVER, and at most: the window of `[usage]` in the
/// policy), by kind of call. Whose use it is, the policy's `plan_by` attribute says (its default: "key");
/// other attributes of a request say which limits the report looks at. The report is given back with
/// tidegate_usage_free; it may outlive its limiter.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT, also when the policy has no `[usage]` or the request not that attribute;
/// TIDEGATE_ERROR_STORE.
/// Thread safety: concurrent calls on one limiter are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_usage(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    window_ns: u64,
    report: *mut *mut tidegate_usage_report,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        answer(limiter, handle::key(key, key_len), (report, "report"), |limiter, key| {
            limiter.usage(key, handle::timeout(window_ns)).map(|found| give(found.into()))
        })
    }
}

/// As tidegate_usage, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_usage_at(
    limiter: *const tidegate_limiter,
    key: *const c_void,
    key_len: usize,
    window_ns: u64,
    now_ns: u64,
    report: *mut *mut tidegate_usage_report,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        answer(
            limiter,
            at(handle::key(key, key_len), now_ns),
            (report, "report"),
            |limiter, (key, now)| {
                limiter
                    .usage_at(key, handle::timeout(window_ns), now)
                    .map(|found| give(found.into()))
            },
        )
    }
}

/// As tidegate_usage, of a request with attributes (see tidegate_attribute).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_usage_request(
    limiter: *const tidegate_limiter,
    attributes: *const tidegate_attribute,
    attribute_count: usize,
    window_ns: u64,
    report: *mut *mut tidegate_usage_report,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        answer(
            limiter,
            handle::request(attributes, attribute_count),
            (report, "report"),
            |limiter, request| {
                limiter.usage(request, handle::timeout(window_ns)).map(|found| give(found.into()))
            },
        )
    }
}

/// As tidegate_usage_request, at a given time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_usage_request_at(
    limiter: *const tidegate_limiter,
    attributes: *const tidegate_attribute,
    attribute_count: usize,
    window_ns: u64,
    now_ns: u64,
    report: *mut *mut tidegate_usage_report,
) -> tidegate_status {
    // SAFETY: the header's contract.
    unsafe {
        answer(
            limiter,
            at(handle::request(attributes, attribute_count), now_ns),
            (report, "report"),
            |limiter, (request, now)| {
                limiter
                    .usage_at(request, handle::timeout(window_ns), now)
                    .map(|found| give(found.into()))
            },
        )
    }
}

/// The totals of a report.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT.
/// Thread safety: concurrent calls are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_usage_get(
    report: *const tidegate_usage_report,
    totals: *mut tidegate_usage_totals,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (report, place) =
            unsafe { (lend(report, "report")?, OutStruct::new(totals, "totals")?) };
        place.write((&report.report).into());
        Ok(())
    })
}

/// How many kinds of call a report has; 0 for NULL.
///
/// Thread safety: concurrent calls are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_usage_kinds_count(report: *const tidegate_usage_report) -> usize {
    guard_value(0, || {
        // SAFETY: the header's contract.
        Ok(unsafe { lend(report, "report") }?.names.len())
    })
}

/// The kind of call number `index`, from 0: the most used first.
///
/// Errors: TIDEGATE_ERROR_ARGUMENT, also when `index` is not below tidegate_usage_kinds_count.
/// Thread safety: concurrent calls are fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_usage_kinds_get(
    report: *const tidegate_usage_report,
    index: usize,
    kind: *mut tidegate_usage_kind,
) -> tidegate_status {
    guard(|| {
        // SAFETY: the header's contract.
        let (report, place) = unsafe { (lend(report, "report")?, OutStruct::new(kind, "kind")?) };
        let kinds = report.names.iter().zip(&report.report.by_kind);
        let Some((name, (_, units))) = kinds.clone().nth(index) else {
            return Err(Failure::index(index, kinds.len()));
        };
        place.write(tidegate_usage_kind {
            struct_size: size_of::<tidegate_usage_kind>() as u32,
            reserved: 0,
            units: *units,
            name: name.as_ptr().cast(),
            name_len: name.len() - 1,
        });
        Ok(())
    })
}

/// Gives a report back; the names of its kinds are gone. NULL is a no-op.
///
/// Thread safety: no other call may use this report now or later.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn tidegate_usage_free(report: *mut tidegate_usage_report) {
    guard(|| {
        // SAFETY: the header's contract.
        drop(unsafe { take(report) });
        Ok(())
    });
}
