//! A pacer around a closure, or a future of any runtime.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use super::call::{Call, Finish, Step};
use super::error::PacerError;
use super::headers::{ServerLimits, read_headers};
use super::options::CallOptions;
use super::pacer::Pacer;

/// An HTTP response, of any library.
pub trait Response {
    /// Its status code.
    fn status(&self) -> u16;

    /// Calls `each` with the name and the value of every header field, in any order.
    fn headers(&self, each: &mut dyn FnMut(&[u8], &[u8]));
}

/// Why [`Pacer::call`] has no response.
#[derive(Debug)]
pub enum CallError<E> {
    /// The pacer gave the call up.
    Pacer(PacerError),
    /// The error of the work itself, unchanged.
    Work(E),
}

impl<E: fmt::Display> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Pacer(error) => error.fmt(f),
            CallError::Work(error) => error.fmt(f),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for CallError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            CallError::Pacer(error) => Some(error),
            CallError::Work(error) => Some(error),
        }
    }
}

impl Pacer {
    /// What the response says of the server's limits; absolute times are compared with its `Date`, else with the clock.
    pub fn read(&self, response: &impl Response) -> ServerLimits {
        let mut fields: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        response.headers(&mut |name, value| {
            if super::headers::tells(name) {
                fields.push((name.to_vec(), value.to_vec()));
            }
        });
        read_headers(fields, self.clock().moment().wall)
    }

    /// Makes a call, with as many attempts as it takes, and blocks the thread while it waits. `work` makes one attempt
    /// and is told its number, from 1. Every response but one that asks for another attempt is handed on.
    ///
    /// # Errors
    /// [`CallError::Work`] is what `work` returned, at once and unchanged; [`CallError::Pacer`]: the call was given up.
    ///
    /// ```
    /// use tidegate::client::{CallOptions, Pacer, Response};
    ///
    /// struct Answer(u16);
    ///
    /// impl Response for Answer {
    ///     fn status(&self) -> u16 {
    ///         self.0
    ///     }
    ///     fn headers(&self, each: &mut dyn FnMut(&[u8], &[u8])) {
    ///         each(b"retry-after-ms", b"1");
    ///     }
    /// }
    ///
    /// let pacer = Pacer::builder().base(std::time::Duration::ZERO).build()?;
    /// let work = |attempt| Ok::<_, std::io::Error>(Answer(if attempt < 3 { 429 } else { 200 }));
    /// let answer = pacer.call(CallOptions::default(), work).unwrap();
    /// assert_eq!((answer.0, pacer.stats().retries), (200, 2));
    /// # Ok::<(), tidegate::Error>(())
    /// ```
    pub fn call<R: Response, E>(
        &self,
        options: CallOptions<'_>,
        mut work: impl FnMut(u32) -> Result<R, E>,
    ) -> Result<R, CallError<E>> {
        let mut call = self.begin(options);
        loop {
            block_until_go(&mut call).map_err(CallError::Pacer)?;
            let response = work(call.attempts()).map_err(CallError::Work)?;
            let limits = self.read(&response);
            match call.finish(response.status(), &limits) {
                Finish::Done => return Ok(response),
                Finish::Retry { .. } => {}
                Finish::Raise(error) => return Err(CallError::Pacer(error)),
            }
        }
    }

    /// As [`call`](Pacer::call), for futures of any runtime: `sleep` makes its timer. A future that is dropped gives its
    /// place, its slot, and what it paid for an attempt that was not made back.
    ///
    /// # Errors
    /// As [`call`](Pacer::call).
    pub async fn call_async<R: Response, E, W, S>(
        &self,
        options: CallOptions<'_>,
        mut work: impl FnMut(u32) -> W,
        mut sleep: impl FnMut(Duration) -> S,
    ) -> Result<R, CallError<E>>
    where
        W: Future<Output = Result<R, E>>,
        S: Future<Output = ()>,
    {
        let mut call = self.begin(options);
        loop {
            until_go(&mut call, &mut sleep).await.map_err(CallError::Pacer)?;
            let response = work(call.attempts()).await.map_err(CallError::Work)?;
            let limits = self.read(&response);
            match call.finish(response.status(), &limits) {
                Finish::Done => return Ok(response),
                Finish::Retry { .. } => {}
                Finish::Raise(error) => return Err(CallError::Pacer(error)),
            }
        }
    }
}

/// Wakes a thread that waits.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Parks the thread until the call may go.
fn block_until_go(call: &mut Call) -> Result<(), PacerError> {
    if call.is_settled() {
        return match call.check() {
            Step::Fail(error) => Err(error),
            _ => Ok(()),
        };
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match call.poll(&waker) {
            Step::Go => return Ok(()),
            Step::Fail(error) => return Err(error),
            Step::Wait(None) => std::thread::park(),
            Step::Wait(Some(span)) => std::thread::park_timeout(span),
        }
    }
}

/// Waits for the call's turn: for its waker, or for a timer.
async fn until_go<S: Future<Output = ()>>(
    call: &mut Call,
    sleep: &mut impl FnMut(Duration) -> S,
) -> Result<(), PacerError> {
    loop {
        let span = match poll_fn(|context| Poll::Ready(call.poll(context.waker()))).await {
            Step::Go => return Ok(()),
            Step::Fail(error) => return Err(error),
            Step::Wait(span) => span,
        };
        match span {
            Some(span) => woken_or(pin!(sleep(span))).await,
            None => woken_once().await,
        }
    }
}

/// Ready when polled again, whoever woke the task.
async fn woken_once() {
    let mut polled = false;
    poll_fn(|_| match std::mem::replace(&mut polled, true) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

/// Ready when the timer is, or when polled again.
async fn woken_or<S: Future<Output = ()>>(mut timer: Pin<&mut S>) {
    let mut polled = false;
    poll_fn(|context: &mut Context<'_>| {
        let over = timer.as_mut().poll(context).is_ready();
        match std::mem::replace(&mut polled, true) || over {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await;
}
