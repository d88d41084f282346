//! Reading what was written with another version of a schema, and whether two versions fit.
//!
//! A record names its writer's schema by id. Where that is not this crate's version, a [`Translator`], made once per id,
//! turns a foreign datum into one of ours, which the generated decoder then reads. [`incompatibilities`] asks beforehand
//! whether every datum could be read.
//!
//! Both follow Avro's rules of schema resolution with four differences, each of which refuses more:
//! - a logical type must be the same on both sides, with its precision and scale: a decimal whose scale goes from 4 to 2
//!   passes Avro's rules and a registry's check, and every amount would be off by a factor of 100;
//! - the records of a union are told apart by their names alone, never by their shape (a freeze and an unfreeze have the
//!   same fields);
//! - numbers are not turned into floats, and recursive schemas are not read: ours have neither;
//! - a schema that would cost much more to resolve than any of ours is refused.

mod default;
mod parse;
mod plan;
mod schema;
mod translate;

use std::fmt;

use thiserror::Error;
use tributary_flow::DecodeError;

use plan::{Plan, Resolver};
use schema::Schema;

/// Why data of one schema cannot be read with another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incompatibility {
    /// The field, as `body.CreateTransaction.legs.amount`.
    pub path: String,
    /// What does not fit.
    pub reason: String,
}

impl fmt::Display for Incompatibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.reason)
    }
}

/// Why there is no translator from a schema.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EvolveError {
    /// None of our envelopes has this name.
    #[error("no topic has the schema {0}")]
    Unknown(String),
    /// The text is not a schema that can be read.
    #[error("the schema cannot be read: {0}")]
    Unreadable(String),
    /// It is a schema, of something else.
    #[error("the schema does not fit: {}", list(.0))]
    Incompatible(Vec<Incompatibility>),
}

fn list(incompatibilities: &[Incompatibility]) -> String {
    incompatibilities.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Reads data of a foreign writer's schema as ours.
#[derive(Debug)]
pub struct Translator {
    writer: Schema,
    plan: Plan,
}

impl Translator {
    /// A translator from a writer's schema to today's schema of the envelope `full_name`. A branch or a symbol that only
    /// the writer knows is no obstacle until a datum uses it.
    ///
    /// # Errors
    /// Where the writer's schema is not one, or no datum of it can be read.
    pub fn new(writer_schema: &str, full_name: &str) -> Result<Self, EvolveError> {
        let reader = crate::schema(full_name).ok_or_else(|| EvolveError::Unknown(full_name.to_owned()))?;
        Self::between(writer_schema, reader)
    }

    /// A translator between any two schemas, the writer's first.
    ///
    /// # Errors
    /// Where one is no schema, or no datum can be read.
    pub fn between(writer_schema: &str, reader_schema: &str) -> Result<Self, EvolveError> {
        let writer = Schema::parse(writer_schema).map_err(EvolveError::Unreadable)?;
        let reader = Schema::parse(reader_schema).map_err(EvolveError::Unreadable)?;
        let (plan, problems) = Resolver::resolve(&writer, &reader);
        let fatal: Vec<_> = problems.into_iter().filter(|problem| problem.fatal).map(|problem| problem.what).collect();
        if fatal.is_empty() { Ok(Translator { writer, plan }) } else { Err(EvolveError::Incompatible(fatal)) }
    }

    /// Whether a datum of the writer's is one of ours as it stands: the two schemas differ in docs and the like only.
    #[must_use]
    pub fn is_identity(&self) -> bool {
        self.plan.is_identity()
    }

    /// The datum as today's schema writes it.
    ///
    /// # Errors
    /// Names the field that could not be read, or that today's schema has no place for.
    pub fn translate(&self, datum: &[u8]) -> Result<Vec<u8>, DecodeError> {
        translate::translate(&self.writer, &self.plan, datum)
    }
}

/// What keeps data written with `writer` from being read with `reader`, for some datum at least. Both are schemas as JSON.
///
/// # Errors
/// Where one is no schema.
pub fn incompatibilities(reader: &str, writer: &str) -> Result<Vec<Incompatibility>, EvolveError> {
    let reader = Schema::parse(reader).map_err(EvolveError::Unreadable)?;
    let writer = Schema::parse(writer).map_err(EvolveError::Unreadable)?;
    Ok(Resolver::resolve(&writer, &reader).1.into_iter().map(|problem| problem.what).collect())
}
