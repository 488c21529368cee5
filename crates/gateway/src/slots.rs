//! Places with numbers, for things that come and go: entering and leaving cost a push and a pop.
//!
//! For: alarms and connections of one thread, which hold the number of their place.

/// A growing row of places; a free one is used again.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    places: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slots<T> {
    /// Takes a place; the answer is its number.
    pub(crate) fn enter(&mut self, thing: T) -> usize {
        if let Some(at) = self.free.pop() {
            self.places[at] = Some(thing);
            return at;
        }
        self.places.push(Some(thing));
        self.places.len() - 1
    }

    /// Leaves the place.
    pub(crate) fn leave(&mut self, at: usize) -> Option<T> {
        let left = self.places.get_mut(at)?.take();
        if left.is_some() {
            self.free.push(at);
        }
        left
    }

    pub(crate) fn get_mut(&mut self, at: usize) -> Option<&mut T> {
        self.places.get_mut(at)?.as_mut()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.places.iter_mut().flatten()
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}
