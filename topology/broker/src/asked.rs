//! A client that is asked, and after a failure asked no more: the next question is put to a new one.
//!
//! A client of librdkafka 2.12 may never again give an answer. It asks a coordinator that has moved for ever; and where a broker that
//! is fenced for a moment tells it of no broker at all, it forgets every one that it knew, and those it was given.
//!
//! Deliberately absent: asking again. Who asks knows whether it may wait.

use std::sync::{Mutex, PoisonError};

use tributary_slot::Failed;

use crate::native::Consumer;
use crate::settings::Settings;

/// Whom to ask.
pub(crate) struct Asked {
    settings: Settings,
    client: Mutex<Option<Consumer>>,
}

impl Asked {
    /// Someone with these settings.
    pub fn new(settings: Settings) -> Result<Self, Failed> {
        let client = Mutex::new(Some(Consumer::new(&settings)?));
        Ok(Asked { settings, client })
    }

    /// Asks. Who asks at the same time waits.
    pub fn ask<T>(&self, question: impl FnOnce(&Consumer) -> Result<T, Failed>) -> Result<T, Failed> {
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        let asked = client.take().map_or_else(|| Consumer::new(&self.settings), Ok)?;
        let answer = question(&asked)?;
        *client = Some(asked);
        Ok(answer)
    }

    /// Whether the next question is put to the client of the last.
    pub fn is_known(&self) -> bool {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}
