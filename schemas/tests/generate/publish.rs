//! Published versions: `history/<envelope>/v<N>.avsc`, and in `ids.json` the registry id of each, in order. Both only
//! grow. A change of a doc is no new version: the bytes mean the same.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

use crate::{model::Schemas, resolve::resolved};

/// The ids of an envelope's published versions, the first version first.
pub type Ids = BTreeMap<String, Vec<u32>>;

/// Reads `ids.json`.
pub fn ids(root: &Path) -> Ids {
    match fs::read_to_string(root.join("ids.json")) {
        Ok(text) => serde_json::from_str(&text).expect("ids.json maps names to lists of ids"),
        Err(_) => Ids::new(),
    }
}

/// Where a version is kept, from the crate's folder.
pub fn version_path(full_name: &str, version: usize) -> String {
    format!("history/{full_name}/v{version}.avsc")
}

/// Envelopes whose newest version is not what the schemas say.
pub fn unpublished(schemas: &Schemas, root: &Path) -> Vec<String> {
    let ids = ids(root);
    let is_published = |full_name: &str| {
        let newest = ids.get(full_name).map_or(0, Vec::len);
        fs::read_to_string(root.join(version_path(full_name, newest)))
            .is_ok_and(|text| without_docs(&text) == without_docs(&resolved(schemas, full_name)))
    };
    schemas.envelopes().map(|named| named.full_name.clone()).filter(|name| !is_published(name)).collect()
}

/// Writes the next version of each, with the next free id.
pub fn publish(schemas: &Schemas, full_names: &[String], root: &Path) {
    let mut ids = ids(root);
    for full_name in full_names {
        let fresh = ids.values().flatten().max().map_or(1, |newest| newest + 1);
        let versions = ids.entry(full_name.clone()).or_default();
        versions.push(fresh);
        let path = root.join(version_path(full_name, versions.len()));
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("the folder can be made");
        fs::write(path, resolved(schemas, full_name)).expect("the version can be written");
    }
    let lines: Vec<_> = ids.iter().map(|(full_name, versions)| format!("  \"{full_name}\": {versions:?}")).collect();
    fs::write(root.join("ids.json"), format!("{{\n{}\n}}\n", lines.join(",\n"))).expect("ids.json can be written");
}

fn without_docs(schema: &str) -> Value {
    fn strip(json: &mut Value) {
        match json {
            Value::Array(items) => items.iter_mut().for_each(strip),
            Value::Object(members) => {
                members.shift_remove("doc");
                members.values_mut().for_each(strip);
            }
            _ => (),
        }
    }
    let mut json = serde_json::from_str(schema).expect("a schema is JSON");
    strip(&mut json);
    json
}
