//! The schemas as read: one JSON object per named type, and what the fields' types mean.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

/// All named types, by full name.
pub struct Schemas(pub BTreeMap<String, Named>);

/// A record, an enum or a fixed.
pub struct Named {
    /// As `tributary.accounts.v1.OpenAccount`.
    pub full_name: String,
    /// As `accounts`.
    pub domain: String,
    /// As `OpenAccount`.
    pub name: String,
    /// As the file has it.
    pub json: Value,
}

/// A field of a record.
pub struct Field<'a> {
    pub name: &'a str,
    pub doc: &'a str,
    pub kind: Type,
    pub default: Option<&'a Value>,
    pub is_key: bool,
}

/// What a field's type means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    Bool,
    Int,
    Long,
    Text,
    /// A string of a value type of the crate's own.
    Value(String),
    Amount,
    Timestamp,
    Date,
    Named(String),
    Option(Box<Type>),
    Array(Box<Type>),
    Map,
}

impl Schemas {
    /// Reads `<domain>/v1/<Name>.avsc`, and checks that each file says what its path says.
    pub fn load(folder: &Path) -> Self {
        let mut all = BTreeMap::new();
        for domain in entries(folder) {
            for file in entries(&folder.join(&domain).join("v1")) {
                let path = folder.join(&domain).join("v1").join(&file);
                let text = fs::read_to_string(&path).expect("a schema can be read");
                let json: Value =
                    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                let name = file.strip_suffix(".avsc").unwrap_or_else(|| panic!("{file}: not .avsc")).to_owned();
                assert_eq!(json["name"], *name, "{}: its file has another name", path.display());
                assert_eq!(json["namespace"], format!("tributary.{domain}.v1"), "{}: another folder", path.display());
                let full_name = format!("tributary.{domain}.v1.{name}");
                all.insert(full_name.clone(), Named { full_name, domain: domain.clone(), name, json });
            }
        }
        Schemas(all)
    }

    /// The domains, in order.
    pub fn domains(&self) -> Vec<String> {
        let mut domains: Vec<_> = self.0.values().map(|named| named.domain.clone()).collect();
        domains.dedup();
        domains
    }

    /// The topics' envelopes, in order.
    pub fn envelopes(&self) -> impl Iterator<Item = &Named> {
        self.0.values().filter(|named| named.is_envelope())
    }

    /// The type of that name.
    pub fn get(&self, full_name: &str) -> &Named {
        self.0.get(full_name).unwrap_or_else(|| panic!("no schema is named {full_name}"))
    }
}

impl Named {
    pub fn is_envelope(&self) -> bool {
        self.name.ends_with("Envelope")
    }

    pub fn doc(&self) -> &str {
        text(&self.json, "doc", &self.full_name)
    }

    /// As written in the record, envelope or not.
    pub fn raw_fields(&self) -> &[Value] {
        self.json["fields"].as_array().unwrap_or_else(|| panic!("{}: no fields", self.full_name))
    }

    /// The fields of a record that is no envelope.
    pub fn fields(&self) -> Vec<Field<'_>> {
        let field = |json| {
            let name = text(json, "name", &self.full_name);
            assert_ne!(name, "type", "{}: JSON needs that name for the record's own", self.full_name);
            Field {
                name,
                doc: text(json, "doc", &format!("{}.{name}", self.full_name)),
                kind: Type::of(&json["type"], &format!("{}.{name}", self.full_name)),
                default: json.get("default"),
                is_key: json.get("tributary.key") == Some(&Value::Bool(true)),
            }
        };
        self.raw_fields().iter().map(field).collect()
    }

    pub fn symbols(&self) -> Vec<&str> {
        self.json["symbols"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }
}

impl Type {
    fn of(json: &Value, place: &str) -> Self {
        match json {
            Value::String(name) => match name.as_str() {
                "boolean" => Type::Bool,
                "int" => Type::Int,
                "long" => Type::Long,
                "string" => Type::Text,
                full_name if full_name.contains('.') => Type::Named(full_name.to_owned()),
                other => panic!("{place}: the codec has no {other}"),
            },
            Value::Array(branches) => match branches.as_slice() {
                [null, some] if null == "null" => Type::Option(Box::new(Type::of(some, place))),
                _ => panic!("{place}: outside of an envelope a union is null and one more, in this order"),
            },
            Value::Object(_) => Type::of_object(json, place),
            _ => panic!("{place}: no type"),
        }
    }

    fn of_object(json: &Value, place: &str) -> Self {
        let get = |name: &str| json.get(name).and_then(Value::as_str);
        match (get("type"), get("logicalType"), get("tributary")) {
            (Some("bytes"), Some("decimal"), None) => {
                assert!(json["precision"] == 38 && json["scale"] == 4, "{place}: an amount is decimal(38, 4)");
                Type::Amount
            }
            (Some("long"), Some("timestamp-micros"), None) => Type::Timestamp,
            (Some("int"), Some("date"), None) => Type::Date,
            (Some("string"), None, Some(value @ ("AccountId" | "TransactionId" | "Currency"))) => {
                Type::Value(value.into())
            }
            (Some("array"), None, None) => Type::Array(Box::new(Type::of(&json["items"], place))),
            (Some("map"), None, None) if json["values"] == "string" => Type::Map,
            _ => panic!("{place}: the codec has no {json}"),
        }
    }
}

fn text<'a>(json: &'a Value, name: &str, place: &str) -> &'a str {
    json.get(name).and_then(Value::as_str).unwrap_or_else(|| panic!("{place}: needs a {name}"))
}

/// Names in a folder, sorted.
pub fn entries(folder: &Path) -> Vec<String> {
    let read = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut names: Vec<_> =
        read.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8")).collect();
    names.sort();
    names
}
