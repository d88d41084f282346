//! How to get from a writer's schema to a reader's, worked out once.

use super::{
    Incompatibility,
    default::encode_default,
    schema::{Field, Name, Schema, Shape, Type, TypeId},
};

/// The most steps of a plan. A small schema whose types are used many times over can unfold into a huge one.
const MOST_STEPS: usize = 20_000;

/// How to turn a datum of the writer's type into one of the reader's.
#[derive(Debug)]
pub(crate) enum Plan {
    /// The bytes are the same.
    Copy(TypeId),
    /// The reader's number of each of the writer's symbols, or why there is none.
    Enum(Vec<Result<i64, String>>),
    /// The writer's fields as they lie in the datum, and where each of the reader's comes from.
    Record { written: Vec<TypeId>, read: Vec<(String, Source)> },
    /// Each item in turn.
    Array(Box<Plan>),
    /// Each value in turn.
    Map(Box<Plan>),
    /// The plan of each of the writer's branches.
    Branches(Vec<Plan>),
    /// Into a branch of the reader's union.
    Into(i64, Box<Plan>),
    /// There is no way; it matters only where a datum comes here.
    Refuse(String),
}

/// Where a field of the reader's comes from.
#[derive(Debug)]
pub(crate) enum Source {
    /// The writer's field of this index.
    Written(usize, Plan),
    /// The reader's default.
    Default(Vec<u8>),
}

impl Plan {
    /// Whether every datum comes out as it went in.
    pub(crate) fn is_identity(&self) -> bool {
        match self {
            Plan::Copy(_) => true,
            Plan::Enum(symbols) => symbols.iter().enumerate().all(|(index, to)| *to == Ok(index as i64)),
            Plan::Record { written, read } => {
                written.len() == read.len()
                    && read.iter().enumerate().all(|(index, (_, source))| {
                        matches!(source, Source::Written(from, plan) if *from == index && plan.is_identity())
                    })
            }
            Plan::Array(inner) | Plan::Map(inner) => inner.is_identity(),
            Plan::Branches(branches) => branches.iter().enumerate().all(
                |(index, plan)| matches!(plan, Plan::Into(to, inner) if *to == index as i64 && inner.is_identity()),
            ),
            Plan::Into(..) | Plan::Refuse(_) => false,
        }
    }
}

/// Something that does not fit.
pub(crate) struct Problem {
    pub(crate) what: Incompatibility,
    /// Whether every datum that comes here meets it, and not only one that uses what the reader does not know.
    pub(crate) fatal: bool,
}

/// Makes a plan, and notes what does not fit.
pub(crate) struct Resolver<'a> {
    writer: &'a Schema,
    reader: &'a Schema,
    path: Vec<String>,
    problems: Vec<Problem>,
    steps: usize,
}

impl<'a> Resolver<'a> {
    /// The plan from a writer's schema to a reader's, and what does not fit.
    pub(crate) fn resolve(writer: &'a Schema, reader: &'a Schema) -> (Plan, Vec<Problem>) {
        let mut resolver = Resolver { writer, reader, path: Vec::new(), problems: Vec::new(), steps: 0 };
        let plan = resolver.plan(writer.root(), reader.root());
        (plan, resolver.problems)
    }

    fn problem(&mut self, fatal: bool, reason: String) -> Plan {
        let path = if self.path.is_empty() { "schema".to_owned() } else { self.path.join(".") };
        self.problems.push(Problem { what: Incompatibility { path, reason: reason.clone() }, fatal });
        Plan::Refuse(reason)
    }

    fn inside<T>(&mut self, name: &str, resolve: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(name.to_owned());
        let result = resolve(self);
        self.path.pop();
        result
    }

    fn plan(&mut self, from: TypeId, to: TypeId) -> Plan {
        self.steps += 1;
        if self.steps > MOST_STEPS {
            // Said once: the caller above has refused by then.
            return if self.steps == MOST_STEPS + 1 {
                self.problem(true, format!("it unfolds into more than {MOST_STEPS} types"))
            } else {
                Plan::Refuse("too large".into())
            };
        }
        let (writer, reader) = (self.writer, self.reader);
        let (from_type, to_type) = (writer.get(from), reader.get(to));
        match (&from_type.shape, &to_type.shape) {
            (Shape::Union(branches), _) => self.union_written(branches, to),
            (_, Shape::Union(branches)) => self.union_read(from, branches, true),
            _ if from_type.logical != to_type.logical => {
                let name =
                    |kind: &Type| kind.logical.clone().unwrap_or_else(|| format!("a plain {}", kind.shape.describe()));
                self.problem(true, format!("written as {}, read as {}", name(from_type), name(to_type)))
            }
            (Shape::Array(from), Shape::Array(to)) => Plan::Array(Box::new(self.plan(*from, *to))),
            (Shape::Map(from), Shape::Map(to)) => Plan::Map(Box::new(self.plan(*from, *to))),
            (from_shape, to_shape) if !fits(from_shape, to_shape) => {
                self.problem(true, format!("written as {}, read as {}", from_shape.describe(), to_shape.describe()))
            }
            (Shape::Record { fields: written, .. }, Shape::Record { fields: read, .. }) => self.record(written, read),
            (Shape::Enum { symbols: written, .. }, Shape::Enum { symbols: read, default, .. }) => {
                self.symbols(written, read, default.as_deref())
            }
            _ => {
                if to_type.tributary.is_some() && from_type.tributary != to_type.tributary {
                    let meant = from_type.tributary.as_deref().unwrap_or("any text");
                    let wanted = to_type.tributary.as_deref().unwrap_or_default();
                    self.problem(false, format!("written as {meant}, read as {wanted}, which refuses other text"));
                }
                Plan::Copy(from)
            }
        }
    }

    fn record(&mut self, written: &[Field], read: &[Field]) -> Plan {
        let mut sources = Vec::with_capacity(read.len());
        for field in read {
            let source = self.inside(&field.name, |resolver| {
                let from = written.iter().position(|from| from.name == field.name);
                let from = from.or_else(|| written.iter().position(|from| field.aliases.contains(&from.name)));
                match (from, &field.default) {
                    (Some(index), _) => Source::Written(index, resolver.plan(written[index].kind, field.kind)),
                    (None, Some(default)) => match encode_default(resolver.reader, field.kind, default) {
                        Ok(bytes) => Source::Default(bytes),
                        Err(reason) => Source::Written(0, resolver.problem(true, reason)),
                    },
                    (None, None) => {
                        let reason = "never written, and has no default".to_owned();
                        Source::Written(0, resolver.problem(true, reason))
                    }
                }
            });
            sources.push((field.name.clone(), source));
        }
        Plan::Record { written: written.iter().map(|field| field.kind).collect(), read: sources }
    }

    fn symbols(&mut self, written: &[String], read: &[String], default: Option<&str>) -> Plan {
        let number = |symbol: &str| read.iter().position(|known| known == symbol).map(|index| index as i64);
        let fallback = default.and_then(number);
        let mut numbers = Vec::with_capacity(written.len());
        for symbol in written {
            numbers.push(number(symbol).or(fallback).ok_or_else(|| {
                let reason = format!("the symbol {symbol} is not known");
                self.problem(false, reason.clone());
                reason
            }));
        }
        Plan::Enum(numbers)
    }

    fn union_written(&mut self, branches: &[TypeId], to: TypeId) -> Plan {
        let (writer, reader) = (self.writer, self.reader);
        let plan = |branch: &TypeId| match &reader.get(to).shape {
            Shape::Union(known) => self.union_read(*branch, known, false),
            shape if fits(&writer.get(*branch).shape, shape) => self.plan(*branch, to),
            shape => {
                let reason =
                    format!("may be written as {}, read as {}", writer.get(*branch).shape.describe(), shape.describe());
                self.problem(false, reason)
            }
        };
        Plan::Branches(branches.iter().map(plan).collect())
    }

    /// Finds the reader's branch: by full name, by alias or last name, by shape, by promotion; in that order.
    fn union_read(&mut self, from: TypeId, branches: &[TypeId], fatal: bool) -> Plan {
        let (writer, reader) = (self.writer, self.reader);
        let shape = &writer.get(from).shape;
        let find = |test: &dyn Fn(&Shape) -> bool| branches.iter().position(|branch| test(&reader.get(*branch).shape));
        let found = find(&|to| is_same(shape, to)).or_else(|| find(&|to| fits(shape, to)));
        match found {
            None => self.problem(fatal, format!("{} is none of the branches that are read", shape.describe())),
            Some(index) => {
                let name = shape.name().map_or_else(|| shape.describe(), |name| name.short().to_owned());
                // `null` or not is no place of its own.
                let plan = if matches!(shape, Shape::Record { .. }) {
                    self.inside(&name, |resolver| resolver.plan(from, branches[index]))
                } else {
                    self.plan(from, branches[index])
                };
                Plan::Into(index as i64, Box::new(plan))
            }
        }
    }
}

/// Whether the two are the same type by Avro's first look: shape and, for named types, full name.
fn is_same(from: &Shape, to: &Shape) -> bool {
    match (from.name(), to.name()) {
        (Some(from_name), Some(to_name)) => from_name.full == to_name.full && fits(from, to),
        (None, None) => std::mem::discriminant(from) == std::mem::discriminant(to),
        _ => false,
    }
}

/// Whether data of one shape may be read as the other. Named types have the same name, or one the reader answers to.
fn fits(from: &Shape, to: &Shape) -> bool {
    let named = |from: &Name, to: &Name| from.short() == to.short() || to.aliases.contains(&from.full);
    match (from, to) {
        (Shape::Fixed { name: from, size }, Shape::Fixed { name: to, size: wanted }) => {
            named(from, to) && size == wanted
        }
        (Shape::Enum { name: from, .. }, Shape::Enum { name: to, .. })
        | (Shape::Record { name: from, .. }, Shape::Record { name: to, .. }) => named(from, to),
        // The encodings are the same, so the bytes may be copied.
        (Shape::Int, Shape::Long) | (Shape::Bytes, Shape::Text) | (Shape::Text, Shape::Bytes) => true,
        _ => std::mem::discriminant(from) == std::mem::discriminant(to),
    }
}
