//! Where decisions come from, numbered.
//!
//! JavaScript keeps a decision as numbers. What else it says (its limit's name, plan, window and words) depends on the
//! limit, and on the one in shadow that would have denied; there are few of these *origins*, and the engine keeps
//! them for ever. So a decision travels with the number of its origin, and what is asked of it later is asked of the
//! first decision of that origin, with other numbers.
//!
//! An environment runs on one thread; the numbers are the thread's.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use tidegate::Decision;

thread_local! {
    static ORIGINS: Rc<Origins> = Rc::default();
}

#[derive(Default)]
pub(crate) struct Origins {
    /// The last one that was asked for: mostly it is asked for again.
    last: Cell<Option<((usize, usize), u32)>>,
    numbers: RefCell<HashMap<(usize, usize), u32>>,
    firsts: RefCell<Vec<Decision>>,
}

impl Origins {
    /// Those of this thread.
    pub(crate) fn here() -> Rc<Origins> {
        ORIGINS.with(Rc::clone)
    }

    /// The number of a decision's origin.
    #[inline]
    pub(crate) fn number(&self, decision: &Decision) -> u32 {
        let origin = decision.origin();
        match self.last.get() {
            Some((last, number)) if last == origin => number,
            _ => self.look_up(origin, decision),
        }
    }

    #[inline(never)]
    fn look_up(&self, origin: (usize, usize), decision: &Decision) -> u32 {
        // However many there were before: a limiter may get new names with every update.
        let number = *self.numbers.borrow_mut().entry(origin).or_insert_with(|| {
            let mut firsts = self.firsts.borrow_mut();
            firsts.push(*decision);
            // An origin takes hundreds of bytes for ever: there are fewer than 2^32.
            firsts.len() as u32 - 1
        });
        self.last.set(Some((origin, number)));
        number
    }

    /// The first decision of an origin.
    pub(crate) fn first(&self, number: u32) -> Option<Decision> {
        self.firsts.borrow().get(number as usize).copied()
    }
}
