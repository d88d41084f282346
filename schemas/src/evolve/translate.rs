//! A plan at work on a datum.

use tributary_flow::DecodeError;

use super::{
    plan::{Plan, Source},
    schema::{Schema, Shape, TypeId},
};
use crate::codec::{At, Reader, fault, write_bytes, write_long};

/// The datum as the reader's schema writes it.
pub(crate) fn translate(writer: &Schema, plan: &Plan, datum: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut reader = Reader::new(datum);
    let mut out = Vec::with_capacity(datum.len());
    follow(writer, plan, &mut reader, &mut out)?;
    reader.finish()?;
    Ok(out)
}

/// Depth is bounded: schemas are not recursive, and the plan is of a bounded size.
fn follow(writer: &Schema, plan: &Plan, reader: &mut Reader<'_>, out: &mut Vec<u8>) -> Result<(), DecodeError> {
    match plan {
        Plan::Copy(kind) => {
            let before = reader.clone();
            skip(writer, *kind, reader)?;
            out.extend_from_slice(before.until(reader));
        }
        Plan::Enum(symbols) => match &symbols[reader.index(symbols.len())?] {
            Ok(number) => write_long(*number, out),
            Err(reason) => return Err(fault(reason)),
        },
        Plan::Record { written, read } => record(writer, written, read, reader, out)?,
        Plan::Array(items) => {
            reader.blocks(|reader, _| {
                write_long(1, out);
                follow(writer, items, reader, out)
            })?;
            out.push(0);
        }
        Plan::Map(values) => {
            reader.blocks(|reader, _| {
                write_long(1, out);
                let name = reader.text()?;
                write_bytes(name.as_bytes(), out);
                follow(writer, values, reader, out).at(name)
            })?;
            out.push(0);
        }
        Plan::Branches(branches) => follow(writer, &branches[reader.index(branches.len())?], reader, out)?,
        Plan::Into(branch, inner) => {
            write_long(*branch, out);
            follow(writer, inner, reader, out)?;
        }
        Plan::Refuse(reason) => return Err(fault(reason)),
    }
    Ok(())
}

/// Finds where each of the writer's fields begins, then takes them in the reader's order.
fn record(
    writer: &Schema,
    written: &[TypeId],
    read: &[(String, Source)],
    reader: &mut Reader<'_>,
    out: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    let name = |index: usize| {
        let named = read.iter().find(|(_, source)| matches!(source, Source::Written(from, _) if *from == index));
        named.map_or("(a field that is not read)", |(name, _)| name)
    };
    let mut starts = Vec::with_capacity(written.len());
    for (index, kind) in written.iter().enumerate() {
        starts.push(reader.clone());
        skip(writer, *kind, reader).at(name(index))?;
    }
    for (name, source) in read {
        match source {
            Source::Default(bytes) => out.extend_from_slice(bytes),
            Source::Written(index, plan) => {
                let mut field = starts.get(*index).cloned().ok_or_else(|| fault("never written"))?;
                follow(writer, plan, &mut field, out).at(name)?;
            }
        }
    }
    Ok(())
}

/// Passes over a value.
fn skip(writer: &Schema, kind: TypeId, reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    match &writer.get(kind).shape {
        Shape::Null => (),
        Shape::Boolean => drop(reader.take(1)?),
        Shape::Int => drop(reader.int()?),
        Shape::Long => drop(reader.long()?),
        Shape::Float => drop(reader.take(4)?),
        Shape::Double => drop(reader.take(8)?),
        Shape::Bytes | Shape::Text => drop(reader.bytes()?),
        Shape::Fixed { size, .. } => drop(reader.take(*size)?),
        Shape::Enum { symbols, .. } => drop(reader.index(symbols.len())?),
        Shape::Record { fields, .. } => {
            fields.iter().try_for_each(|field| skip(writer, field.kind, reader).at(&field.name))?;
        }
        Shape::Array(items) => reader.blocks(|reader, _| skip(writer, *items, reader))?,
        Shape::Map(values) => reader.blocks(|reader, _| {
            let name = reader.text()?;
            skip(writer, *values, reader).at(name)
        })?,
        Shape::Union(branches) => skip(writer, branches[reader.index(branches.len())?], reader)?,
        Shape::Open => return Err(fault("the schema is not finished")),
    }
    Ok(())
}
