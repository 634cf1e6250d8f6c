//! Use that passes a threshold is told, once a crossing, to whoever wants to know.
//!
//! A crossing is found where a payment is made, by comparing what was used before and after; so it is told once,
//! and again only after use has fallen below the threshold. Nobody is called while anything is locked.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::RwLock;

use crate::limiter::Limiter;
use crate::plan::Notes;
use crate::rate::Method;
use crate::request::{Request, Subject};

/// Use of a limit has passed one of its thresholds (`alerts` in the policy).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Alert<'a, 'r> {
    /// Name of the limit.
    pub limit: &'static str,
    /// The request's plan, also of a limit of every plan; `None` where the policy has none.
    pub plan: Option<&'static str>,
    /// What the limit counts.
    pub method: Method,
    /// The threshold, in thousandths of the capacity.
    pub threshold_permille: u64,
    /// Units used, in the limit's units.
    pub used: u64,
    /// Most units that can be spent at once.
    pub capacity: u64,
    /// Whose request passed it.
    pub request: &'a Request<'r>,
}

type Listener = Arc<dyn Fn(&Alert<'_, '_>) + Send + Sync>;

/// Who wants to know.
#[derive(Default)]
pub(crate) struct Alerts(RwLock<Option<Listener>>);

impl Limiter {
    /// Calls `listener` whenever use of a limit passes one of its thresholds, in the thread whose call passed it,
    /// after the decision is made. There is one listener; another takes its place. It may call this limiter. If it panics,
    /// the panic ends there: what was decided is decided, and whoever asked gets the answer.
    ///
    /// ```
    /// use std::sync::{Arc, Mutex};
    /// use tidegate::Limiter;
    ///
    /// let limiter = Limiter::new(r#"{"limit": [{"rate": "10/day", "alerts": [0.8]}]}"#)?;
    /// let seen = Arc::new(Mutex::new(Vec::new()));
    /// let told = Arc::clone(&seen);
    /// limiter.on_alert(move |alert| told.lock().unwrap().push((alert.used, alert.capacity)));
    /// for _ in 0..10 {
    ///     limiter.acquire("k", 1)?;
    /// }
    /// assert_eq!(*seen.lock().unwrap(), [(8, 10)]);
    /// # Ok::<(), tidegate::Error>(())
    /// ```
    pub fn on_alert(&self, listener: impl Fn(&Alert<'_, '_>) + Send + Sync + 'static) {
        let before = self.alerts().0.write().replace(Arc::new(listener));
        // After the lock: what the listener owns may call this limiter when it goes.
        drop(before);
    }

    /// Nobody wants to know any more.
    pub fn clear_alerts(&self) {
        let before = self.alerts().0.write().take();
        drop(before);
    }

    pub(crate) fn tell(&self, notes: &Notes, subject: &impl Subject) {
        if !notes.crossings.is_empty() {
            self.tell_all(notes, subject);
        }
    }

    #[cold]
    fn tell_all(&self, notes: &Notes, subject: &impl Subject) {
        // Called without the lock: the listener may replace itself.
        let Some(listener) = self.alerts().0.read().clone() else { return };
        subject.ask(|request| {
            for crossing in &notes.crossings {
                let alert = Alert {
                    limit: crossing.terms.name.as_str(),
                    plan: crossing.terms.plan.text(),
                    method: crossing.terms.method,
                    threshold_permille: crossing.threshold,
                    used: crossing.used,
                    capacity: crossing.capacity,
                    request,
                };
                // The request has paid: its receipt, and with it a permit, would be lost with the caller's stack. And
                // it may be told of from a destructor. (The panic has been reported by the hook.)
                let _ = catch_unwind(AssertUnwindSafe(|| listener(&alert)));
            }
        });
    }
}
