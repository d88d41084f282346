//! A reader's default, in bytes.

use serde_json::Value;

use super::schema::{Schema, Shape, TypeId};
use crate::codec::{write_bytes, write_long};

/// The encoding of a default, which Avro writes in JSON.
pub(crate) fn encode_default(schema: &Schema, kind: TypeId, default: &Value) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    encode(schema, kind, default, &mut out)?;
    Ok(out)
}

fn encode(schema: &Schema, kind: TypeId, json: &Value, out: &mut Vec<u8>) -> Result<(), String> {
    let shape = &schema.get(kind).shape;
    match (shape, json) {
        (Shape::Null, Value::Null) => (),
        (Shape::Boolean, Value::Bool(value)) => out.push(u8::from(*value)),
        (Shape::Int, json) if json.as_i64().is_some_and(|value| i32::try_from(value).is_ok()) => {
            write_long(json.as_i64().unwrap_or_default(), out);
        }
        (Shape::Long, json) if json.is_i64() => write_long(json.as_i64().unwrap_or_default(), out),
        (Shape::Text, Value::String(text)) => write_bytes(text.as_bytes(), out),
        (Shape::Bytes, Value::String(text)) => write_bytes(&octets(text)?, out),
        (Shape::Fixed { size, .. }, Value::String(text)) if octets(text)?.len() == *size => out.extend(octets(text)?),
        (Shape::Enum { symbols, .. }, Value::String(symbol)) if symbols.contains(symbol) => {
            let index = symbols.iter().position(|known| known == symbol).unwrap_or_default();
            write_long(index as i64, out);
        }
        (Shape::Array(items), Value::Array(values)) => {
            block(values.len(), out, |out| values.iter().try_for_each(|value| encode(schema, *items, value, out)))?;
        }
        (Shape::Map(values), Value::Object(members)) => block(members.len(), out, |out| {
            members.iter().try_for_each(|(name, value)| {
                write_bytes(name.as_bytes(), out);
                encode(schema, *values, value, out)
            })
        })?,
        (Shape::Record { fields, .. }, Value::Object(members)) => {
            for field in fields {
                let value = members.get(&field.name).or(field.default.as_ref());
                encode(schema, field.kind, value.ok_or("a record as default lacks a field")?, out)?;
            }
        }
        // Avro: a union's default is of its first branch.
        (Shape::Union(branches), json) => {
            write_long(0, out);
            encode(schema, *branches.first().ok_or("a union without branches")?, json, out)?;
        }
        _ => return Err(format!("{json} is no default of {}", shape.describe())),
    }
    Ok(())
}

/// Avro writes bytes as text of the code points 0 to 255.
fn octets(text: &str) -> Result<Vec<u8>, String> {
    text.chars().map(|octet| u8::try_from(octet).map_err(|_| format!("{octet:?} is no byte"))).collect()
}

fn block(
    count: usize,
    out: &mut Vec<u8>,
    items: impl FnOnce(&mut Vec<u8>) -> Result<(), String>,
) -> Result<(), String> {
    if count > 0 {
        write_long(count as i64, out);
        items(out)?;
    }
    out.push(0);
    Ok(())
}
