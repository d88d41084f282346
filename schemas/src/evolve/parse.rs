//! From a schema's JSON to its types. The JSON may be a stranger's, so size and depth have bounds.

use std::collections::HashMap;

use serde_json::Value;

use super::schema::{Field, Name, Schema, Shape, Type, TypeId};

/// The most types a schema may have; the largest of ours has about a hundred.
const MOST_TYPES: usize = 4_000;

/// The deepest that types may lie in each other; ours go down about ten.
const DEEPEST: usize = 64;

impl Schema {
    /// Reads a schema's JSON. The reason of a refusal is for people.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let json = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let mut parser = Parser::default();
        let root = parser.parse(&json, "")?;
        Ok(Schema { types: parser.types, root })
    }
}

#[derive(Default)]
struct Parser {
    types: Vec<Type>,
    named: HashMap<String, TypeId>,
}

impl Parser {
    fn add(&mut self, shape: Shape) -> Result<TypeId, String> {
        if self.types.len() == MOST_TYPES {
            return Err(format!("more than {MOST_TYPES} types"));
        }
        self.types.push(Type { shape: Shape::Open, logical: None, tributary: None, depth: 0, empty: false });
        self.define(self.types.len() - 1, shape)
    }

    /// Gives a type its shape, whose parts are finished by now.
    fn define(&mut self, id: TypeId, shape: Shape) -> Result<TypeId, String> {
        let parts: Vec<&Type> = match &shape {
            Shape::Array(part) | Shape::Map(part) => vec![&self.types[*part]],
            Shape::Union(parts) => parts.iter().map(|part| &self.types[*part]).collect(),
            Shape::Record { fields, .. } => fields.iter().map(|field| &self.types[field.kind]).collect(),
            _ => Vec::new(),
        };
        let depth = 1 + parts.iter().map(|part| part.depth).max().unwrap_or(0);
        let empty = match &shape {
            Shape::Null | Shape::Fixed { size: 0, .. } => true,
            Shape::Record { .. } => parts.iter().all(|part| part.empty),
            _ => false,
        };
        if depth > DEEPEST {
            return Err(format!("more than {DEEPEST} types deep"));
        }
        if matches!(shape, Shape::Array(_)) && parts.iter().any(|part| part.empty) {
            return Err("an array whose items take no bytes: nothing backs its count".into());
        }
        let kind = &mut self.types[id];
        (kind.shape, kind.depth, kind.empty) = (shape, depth, empty);
        Ok(id)
    }

    fn parse(&mut self, json: &Value, namespace: &str) -> Result<TypeId, String> {
        match json {
            Value::String(name) => self.reference(name, namespace),
            Value::Array(branches) => {
                let branches = branches.iter().map(|branch| self.parse(branch, namespace)).collect::<Result<_, _>>()?;
                self.add(Shape::Union(branches))
            }
            Value::Object(_) => self.object(json, namespace),
            other => Err(format!("{other} is no type")),
        }
    }

    fn reference(&mut self, name: &str, namespace: &str) -> Result<TypeId, String> {
        let shape = match name {
            "null" => Shape::Null,
            "boolean" => Shape::Boolean,
            "int" => Shape::Int,
            "long" => Shape::Long,
            "float" => Shape::Float,
            "double" => Shape::Double,
            "bytes" => Shape::Bytes,
            "string" => Shape::Text,
            name => return self.lookup(&qualify(name, namespace)),
        };
        self.add(shape)
    }

    fn lookup(&self, full: &str) -> Result<TypeId, String> {
        let id = *self.named.get(full).ok_or_else(|| format!("no type is named {full}"))?;
        if matches!(self.types[id].shape, Shape::Open) {
            return Err(format!("{full} contains itself, and recursive schemas are not read"));
        }
        Ok(id)
    }

    fn object(&mut self, json: &Value, namespace: &str) -> Result<TypeId, String> {
        let id = match json.get("type") {
            Some(Value::String(kind)) => match kind.as_str() {
                "record" | "error" | "enum" | "fixed" => self.definition(kind, json, namespace)?,
                "array" => {
                    let items = self.parse(member(json, "items")?, namespace)?;
                    self.add(Shape::Array(items))?
                }
                "map" => {
                    let values = self.parse(member(json, "values")?, namespace)?;
                    self.add(Shape::Map(values))?
                }
                primitive => self.reference(primitive, namespace)?,
            },
            Some(nested) => self.parse(nested, namespace)?,
            None => return Err("an object without a type".into()),
        };
        if let Some(logical) = logical(json) {
            self.types[id].logical = Some(logical);
        }
        if let Some(tributary) = json.get("tributary").and_then(Value::as_str) {
            self.types[id].tributary = Some(tributary.to_owned());
        }
        Ok(id)
    }

    fn definition(&mut self, kind: &str, json: &Value, namespace: &str) -> Result<TypeId, String> {
        let namespace = json.get("namespace").and_then(Value::as_str).unwrap_or(namespace);
        let full = qualify(string(json, "name")?, namespace);
        let namespace = full.rsplit_once('.').map_or("", |(namespace, _)| namespace).to_owned();
        let aliases = strings(json, "aliases").map(|alias| qualify(alias, &namespace)).collect();
        let id = self.add(Shape::Open)?;
        if self.named.insert(full.clone(), id).is_some() {
            return Err(format!("{full} is defined twice"));
        }
        let name = Name { full, aliases };
        let shape = match kind {
            "enum" => Shape::Enum {
                name,
                symbols: strings(json, "symbols").map(str::to_owned).collect(),
                default: json.get("default").and_then(Value::as_str).map(str::to_owned),
            },
            "fixed" => {
                let size = member(json, "size")?.as_u64().and_then(|size| usize::try_from(size).ok());
                Shape::Fixed { name, size: size.ok_or("a fixed without a size")? }
            }
            _ => Shape::Record { name, fields: self.fields(json, &namespace)? },
        };
        self.define(id, shape)
    }

    fn fields(&mut self, json: &Value, namespace: &str) -> Result<Vec<Field>, String> {
        let fields = member(json, "fields")?.as_array().ok_or("fields are a list")?;
        let field = |json: &Value| {
            let name = string(json, "name")?.to_owned();
            let kind = self.parse(member(json, "type")?, namespace).map_err(|reason| format!("{name}: {reason}"))?;
            let aliases = strings(json, "aliases").map(str::to_owned).collect();
            Ok(Field { name, aliases, kind, default: json.get("default").cloned() })
        };
        fields.iter().map(field).collect()
    }
}

/// The logical type, if it is one of Avro's; any other is to be passed over.
fn logical(json: &Value) -> Option<String> {
    let name = json.get("logicalType")?.as_str()?;
    let number = |member: &str| json.get(member).and_then(Value::as_u64).unwrap_or(0);
    match name {
        "decimal" => Some(format!("decimal({}, {})", number("precision"), number("scale"))),
        "uuid" | "date" | "duration" => Some(name.to_owned()),
        name if name.starts_with("time") || name.starts_with("local-timestamp") => Some(name.to_owned()),
        _ => None,
    }
}

fn qualify(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

fn member<'a>(json: &'a Value, name: &str) -> Result<&'a Value, String> {
    json.get(name).ok_or_else(|| format!("a type without {name}"))
}

fn string<'a>(json: &'a Value, name: &str) -> Result<&'a str, String> {
    member(json, name)?.as_str().ok_or_else(|| format!("{name} is text"))
}

fn strings<'a>(json: &'a Value, name: &str) -> impl Iterator<Item = &'a str> {
    json.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}
