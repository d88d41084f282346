//! A schema as parsed: a flat list of types that name each other by index.

use serde_json::Value;

/// Index of a type in its schema.
pub(crate) type TypeId = usize;

/// A parsed schema.
#[derive(Debug, Default)]
pub(crate) struct Schema {
    pub(super) types: Vec<Type>,
    pub(super) root: TypeId,
}

/// A type, and what its bytes stand for.
#[derive(Debug)]
pub(crate) struct Type {
    pub(crate) shape: Shape,
    /// A logical type of Avro's own, with what it depends on: `decimal(38, 4)`.
    pub(crate) logical: Option<String>,
    /// The value type that the crate reads it as.
    pub(crate) tributary: Option<String>,
    /// How many types deep it goes.
    pub(super) depth: usize,
    /// Whether its values take no bytes.
    pub(super) empty: bool,
}

#[derive(Debug)]
pub(crate) enum Shape {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    Text,
    Fixed {
        name: Name,
        size: usize,
    },
    Enum {
        name: Name,
        symbols: Vec<String>,
        default: Option<String>,
    },
    Record {
        name: Name,
        fields: Vec<Field>,
    },
    Array(TypeId),
    Map(TypeId),
    Union(Vec<TypeId>),
    /// A named type whose definition is being read; none is left when parsing ends.
    Open,
}

/// A full name, and the names it also answers to.
#[derive(Debug)]
pub(crate) struct Name {
    pub(crate) full: String,
    pub(crate) aliases: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) aliases: Vec<String>,
    pub(crate) kind: TypeId,
    pub(crate) default: Option<Value>,
}

impl Name {
    /// The last part.
    pub(crate) fn short(&self) -> &str {
        self.full.rsplit('.').next().unwrap_or(&self.full)
    }
}

impl Shape {
    /// The name, where the type has one.
    pub(crate) fn name(&self) -> Option<&Name> {
        match self {
            Shape::Fixed { name, .. } | Shape::Enum { name, .. } | Shape::Record { name, .. } => Some(name),
            _ => None,
        }
    }

    /// For people.
    pub(crate) fn describe(&self) -> String {
        match self {
            Shape::Null => "null".into(),
            Shape::Boolean => "boolean".into(),
            Shape::Int => "int".into(),
            Shape::Long => "long".into(),
            Shape::Float => "float".into(),
            Shape::Double => "double".into(),
            Shape::Bytes => "bytes".into(),
            Shape::Text => "string".into(),
            Shape::Fixed { name, size } => format!("fixed {} of {size} bytes", name.full),
            Shape::Enum { name, .. } => format!("enum {}", name.full),
            Shape::Record { name, .. } => format!("record {}", name.full),
            Shape::Array(_) => "array".into(),
            Shape::Map(_) => "map".into(),
            Shape::Union(_) => "union".into(),
            Shape::Open => "unfinished".into(),
        }
    }
}

impl Schema {
    /// The type of the whole datum.
    pub(crate) fn root(&self) -> TypeId {
        self.root
    }

    /// A type.
    pub(crate) fn get(&self, id: TypeId) -> &Type {
        &self.types[id]
    }
}
