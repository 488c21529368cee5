//! Places of one thread for what runs for each request and is too large to be made for each.
//!
//! A request's future is some KiB: a size that the allocator gives back to the system and takes again, for 3 us of page
//! faults. Kept with each connection it would be most of what an idle one costs. So the thread keeps as many as were
//! ever in use at once, within a bound, and the one used last is used first, because it is warm.

use std::any::Any;
use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// Places that are free. All are for one type of future, which cannot be named: that of the first one.
#[derive(Debug, Default)]
pub(crate) struct Places(RefCell<Option<Box<dyn Any>>>);

type Place<F> = Pin<Box<Option<F>>>;

/// A future in a place that it gives back.
pub(crate) struct Placed<F: Future + 'static> {
    /// There until this is dropped.
    place: Option<Place<F>>,
    places: Rc<Places>,
}

impl Places {
    /// Makes a future in a place.
    #[inline]
    pub(crate) fn put<F: Future + 'static>(self: &Rc<Self>, make: impl FnOnce() -> F) -> Placed<F> {
        let free = self.0.borrow_mut().as_mut().and_then(|free| free.downcast_mut::<Vec<Place<F>>>()?.pop());
        let mut place = free.unwrap_or_else(|| Box::pin(None));
        place.set(Some(make()));
        Placed { place: Some(place), places: Rc::clone(self) }
    }

    fn give_back<F: Future + 'static>(&self, place: Place<F>) {
        let mut free = self.0.borrow_mut();
        let free = free.get_or_insert_with(|| Box::new(Vec::<Place<F>>::new()));
        if let Some(free) = free.downcast_mut::<Vec<Place<F>>>().filter(|free| free.len() < MOST) {
            free.push(place);
        }
    }
}

impl<F: Future + 'static> Future for Placed<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let future = self.place.as_mut().and_then(|place| place.as_mut().as_pin_mut());
        let Some(future) = future else { unreachable!("it is there until this is dropped") };
        future.poll(cx)
    }
}

impl<F: Future + 'static> Drop for Placed<F> {
    fn drop(&mut self) {
        if let Some(mut place) = self.place.take() {
            place.set(None);
            self.places.give_back(place);
        }
    }
}

/// Places of each kind that are kept. Source: 256 KiB a thread.
const MOST: usize = 64;
