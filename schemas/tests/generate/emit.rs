//! Rust for records and enums. One record becomes a struct and straight-line code that reads and writes its fields.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use serde_json::Value;

use crate::{
    envelope,
    model::{Field, Named, Schemas, Type},
};

/// Types of the platform that are written by hand: the core's own, or without a place outside the header.
const BY_HAND: [&str; 5] = ["Applied", "EventId", "Hash", "Lineage", "Origin"];

const BANNER: &str = "Generated from the schemas by `tests/generate`; do not edit.";

/// `src/generated/mod.rs`.
pub fn index(domains: &[String]) -> String {
    let mut out = format!("//! {BANNER}\n#![allow(clippy::large_enum_variant, clippy::too_many_arguments)]\n\n");
    for domain in domains {
        writeln!(out, "pub mod {domain};").expect("a string takes all");
    }
    out + "pub(crate) mod table;\n"
}

/// `src/generated/<domain>.rs`.
pub fn domain(schemas: &Schemas, domain: &str) -> String {
    let mut used = BTreeSet::new();
    import(&mut used, &["serde::Deserialize", "serde::Serialize", "tributary_flow::DecodeError"]);
    let mut code = String::new();
    for named in schemas.0.values().filter(|named| named.domain == domain) {
        if named.domain == "platform" && BY_HAND.contains(&named.name.as_str()) {
            continue;
        }
        code += &match named.json["type"].as_str() {
            Some("record") if named.is_envelope() => envelope::body(schemas, named, &mut used),
            Some("record") => record(named, &mut used),
            Some("enum") => enumeration(named, &mut used),
            other => panic!("{}: the generator has no {other:?}", named.full_name),
        };
    }
    format!("//! Records of the domain `{domain}`. {BANNER}\n\n{}\n{code}", uses(&used))
}

/// Notes imports.
pub fn import(used: &mut BTreeSet<String>, paths: &[&str]) {
    used.extend(paths.iter().map(|path| (*path).to_owned()));
}

/// The imports, one line per module.
fn uses(used: &BTreeSet<String>) -> String {
    let mut modules: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for path in used {
        let (module, name) = path.rsplit_once("::").expect("an import has a module");
        modules.entry(module).or_default().push(name);
    }
    modules.iter().map(|(module, names)| format!("use {module}::{{{}}};\n", names.join(", "))).collect()
}

/// As doc comments.
pub fn doc(text: &str) -> String {
    text.lines().map(|line| format!("/// {line}\n")).collect()
}

/// A field's name, escaped where Rust has taken the word.
fn ident(name: &str) -> String {
    if matches!(name, "final" | "type" | "ref" | "match" | "move" | "use") {
        format!("r#{name}")
    } else {
        name.to_owned()
    }
}

/// `LIKE_THIS` as `LikeThis`.
fn camel(symbol: &str) -> String {
    let word = |word: &str| word[..1].to_owned() + &word[1..].to_ascii_lowercase();
    symbol.split('_').map(word).collect()
}

/// The Rust type, its imports noted.
fn rust(kind: &Type, home: &Named, used: &mut BTreeSet<String>) -> String {
    let mut import = |path: &str, name: &str| {
        used.insert(format!("{path}::{name}"));
        name.to_owned()
    };
    match kind {
        Type::Bool => "bool".into(),
        Type::Int => "i32".into(),
        Type::Long => "i64".into(),
        Type::Text => "String".into(),
        Type::Value(name) => import("crate::value", name),
        Type::Amount => import("crate::value", "Amount"),
        Type::Timestamp => import("tributary_flow", "Timestamp"),
        Type::Date => import("tributary_flow", "Date"),
        Type::Map => import("std::collections", "BTreeMap") + "<String, String>",
        Type::Option(inner) => format!("Option<{}>", rust(inner, home, used)),
        Type::Array(inner) => format!("Vec<{}>", rust(inner, home, used)),
        Type::Named(full_name) => {
            let (namespace, name) = full_name.rsplit_once('.').expect("a full name has a namespace");
            let domain = namespace.split('.').nth(1).expect("tributary.<domain>.v1");
            match (domain, name) {
                ("platform", "Hash") => import("crate::value", "Hash"),
                ("platform", by_hand) if BY_HAND.contains(&by_hand) => panic!("{full_name} belongs to the header"),
                (domain, name) if domain == home.domain => name.to_owned(),
                (domain, name) => import(&format!("crate::{domain}"), name),
            }
        }
    }
}

/// Whether the field differs from its Avro default, as an expression; none where it has no default.
fn differs(field: &Field<'_>) -> Option<String> {
    let name = format!("self.{}", ident(field.name));
    Some(match (&field.kind, field.default?) {
        (Type::Option(_), Value::Null) => format!("{name}.is_some()"),
        (Type::Bool, Value::Bool(true)) => format!("!{name}"),
        (Type::Bool, Value::Bool(false)) => name,
        (Type::Text, Value::String(empty)) if empty.is_empty() => format!("!{name}.is_empty()"),
        (Type::Array(_), Value::Array(items)) if items.is_empty() => format!("!{name}.is_empty()"),
        (Type::Map, Value::Object(entries)) if entries.is_empty() => format!("!{name}.is_empty()"),
        (kind, default) => panic!("{}: the generator has no default {default} of {kind:?}", field.name),
    })
}

/// The serde attributes of a field.
fn serde(field: &Field<'_>) -> String {
    let mut attributes = Vec::new();
    match field.default {
        Some(Value::Bool(true)) => attributes.push("default = \"crate::codec::yes\""),
        Some(_) => attributes.push("default"),
        None => (),
    }
    match &field.kind {
        Type::Timestamp | Type::Date => attributes.push("with = \"crate::value::time\""),
        Type::Option(inner) if matches!(**inner, Type::Timestamp | Type::Date) => {
            attributes.push("with = \"crate::value::time::option\"");
        }
        Type::Array(inner) if matches!(**inner, Type::Timestamp | Type::Date) => panic!("no JSON for a list of times"),
        _ => (),
    }
    if attributes.is_empty() { String::new() } else { format!("#[serde({})]\n", attributes.join(", ")) }
}

fn record(named: &Named, used: &mut BTreeSet<String>) -> String {
    import(used, &["crate::codec::At", "crate::codec::Reader", "crate::codec::Wire", "crate::codec::write_named"]);
    let (name, fields) = (&named.name, named.fields());
    let [mut declared, mut read, mut write, mut canonical] = [const { String::new() }; 4];
    for field in &fields {
        let (ident, kind) = (ident(field.name), rust(&field.kind, named, used));
        declared += &format!("{}{}pub {ident}: {kind},\n", doc(field.doc), serde(field));
        read += &format!("{ident}: Wire::read(reader).at(\"{}\")?,\n", field.name);
        write += &format!("self.{ident}.write(out);\n");
        let named = format!("write_named(\"{}\", &self.{ident}, out);\n", field.name);
        canonical += &match differs(field) {
            Some(condition) => format!("if {condition} {{ {named} }}\n"),
            None => named,
        };
    }
    format!(
        "{}#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]\n#[serde(deny_unknown_fields)]\n\
         pub struct {name} {{ {declared} }}\n\n{}\
         impl Wire for {name} {{\n\
         fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {{ Ok({name} {{ {read} }}) }}\n\n\
         fn write(&self, out: &mut Vec<u8>) {{ {write} }}\n\n\
         fn canonical(&self, out: &mut Vec<u8>) {{ {canonical} out.push(0); }} }}\n\n",
        doc(named.doc()),
        constructor(named, &fields, used),
    )
}

/// `new`, where some fields have a default and some have none.
fn constructor(named: &Named, fields: &[Field<'_>], used: &mut BTreeSet<String>) -> String {
    if fields.iter().all(|field| field.default.is_some()) || fields.iter().all(|field| field.default.is_none()) {
        return String::new();
    }
    let [mut arguments, mut values] = [const { String::new() }; 2];
    for field in fields {
        let ident = ident(field.name);
        match (field.default, &field.kind) {
            (Some(Value::Bool(value)), _) => values += &format!("{ident}: {value},\n"),
            (Some(_), kind) => {
                values += &format!("{ident}: {}::default(),\n", rust(kind, named, used).replace('<', "::<"))
            }
            (None, Type::Text) => {
                arguments += &format!("{ident}: impl Into<String>,");
                values += &format!("{ident}: {ident}.into(),\n");
            }
            (None, kind) => {
                arguments += &format!("{ident}: {},", rust(kind, named, used));
                values += &format!("{ident},\n");
            }
        }
    }
    let name = &named.name;
    format!(
        "impl {name} {{\n/// With the fields that must be given; the others have their defaults.\n#[must_use]\n\
         pub fn new({arguments}) -> Self {{ {name} {{ {values} }} }} }}\n\n"
    )
}

fn enumeration(named: &Named, used: &mut BTreeSet<String>) -> String {
    import(
        used,
        &["crate::codec::Reader", "crate::codec::Wire", "crate::codec::write_bytes", "crate::codec::write_long"],
    );
    let (name, symbols) = (&named.name, named.symbols());
    let [mut variants, mut all, mut to_symbol] = [const { String::new() }; 3];
    for symbol in &symbols {
        let (variant, lower) = (camel(symbol), symbol.to_ascii_lowercase());
        variants += &format!("/// `{symbol}`.\n#[serde(rename = \"{symbol}\", alias = \"{lower}\")]\n{variant},\n");
        all += &format!("{name}::{variant},");
        to_symbol += &format!("{name}::{variant} => \"{symbol}\",\n");
    }
    format!(
        "{}#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]\n\
         pub enum {name} {{ {variants} }}\n\n\
         impl {name} {{\n/// All of them, in the schema's order.\npub const ALL: [{name}; {}] = [{all}];\n\n\
         /// Its symbol in the schema.\n#[must_use]\npub fn symbol(self) -> &'static str {{ match self {{ {to_symbol} }} }} }}\n\n\
         impl Wire for {name} {{\n\
         fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {{ Ok({name}::ALL[reader.index({name}::ALL.len())?]) }}\n\n\
         fn write(&self, out: &mut Vec<u8>) {{ write_long(*self as i64, out); }}\n\n\
         fn canonical(&self, out: &mut Vec<u8>) {{ write_bytes(self.symbol().as_bytes(), out); }} }}\n\n",
        doc(named.doc()),
        symbols.len(),
    )
}
