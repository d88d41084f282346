//! What the core has to know of schemas: which id is ours, and how another's datum is read as ours.

/// Why a datum written with another schema could not be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TranslateError {
    /// No schema has this id: the record is a dead letter.
    Unknown,
    /// The schema is known and the datum cannot be read as ours: a dead letter.
    Unreadable(String),
    /// The registry does not answer: the epoch fails and is tried again, for nobody knows yet.
    Unavailable(String),
}

/// Schema ids and foreign schemas. Answers must not change over time.
pub trait Registry: Send + Sync {
    /// The id under which we write the envelope `schema`.
    fn id(&self, schema: &str) -> u32;

    /// Resolves a datum written with schema `id` to our own `schema`.
    ///
    /// # Errors
    /// See [`TranslateError`].
    fn translate(&self, schema: &str, id: u32, datum: &[u8]) -> Result<Vec<u8>, TranslateError>;
}
