//! Where values and keys become bytes: buffers for all of a task's, since a new one would grow several times with each value, and
//! most keys are only looked for.

use std::cell::RefCell;

use postcard::ser_flavors::Flavor;
use serde::Serialize;

use crate::rows::{Collection, Index, Ordered, tag, write_keyed};

/// The buffers of a task.
#[derive(Default)]
pub(crate) struct Scratch {
    values: RefCell<Vec<u8>>,
    keys: RefCell<Vec<u8>>,
}

impl Scratch {
    /// Does something with the key of a row in a collection.
    pub fn row<K: Ordered, V, R>(
        &self,
        key: &str,
        collection: &Collection<K, V>,
        at: &K,
        act: impl FnOnce(&[u8]) -> R,
    ) -> R {
        let mut row = self.keys.borrow_mut();
        row.clear();
        write_keyed(tag::ROW, key, &mut row);
        row.push(collection.number);
        at.write(&mut row);
        act(&row)
    }

    /// Does something with the key of a row in an index.
    pub fn index<K: Ordered, V, R>(&self, index: &Index<K, V>, at: &K, act: impl FnOnce(&[u8]) -> R) -> R {
        let mut row = self.keys.borrow_mut();
        row.clear();
        row.extend_from_slice(&[tag::INDEX, index.0.number]);
        at.write(&mut row);
        act(&row)
    }

    /// A value's bytes.
    pub fn bytes<T: Serialize>(&self, value: &T) -> Vec<u8> {
        self.with(value, <[u8]>::to_vec)
    }

    /// Does something with a value's bytes.
    pub fn with<T: Serialize, R>(&self, value: &T, then: impl FnOnce(&[u8]) -> R) -> R {
        let mut buffer = self.values.borrow_mut();
        buffer.clear();
        let written = postcard::serialize_with_flavor(value, Append(&mut buffer));
        written.expect("invariant: state is plain data, which postcard always takes");
        then(&buffer)
    }
}

/// Appends to a buffer what postcard makes of a value.
struct Append<'a>(&'a mut Vec<u8>);

impl Flavor for Append<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
