//! The table that the crate's registry serves.

use std::{collections::BTreeSet, path::Path};

use crate::{
    model::Schemas,
    publish::{ids, version_path},
};

/// `src/generated/table.rs`.
pub fn table(schemas: &Schemas, root: &Path) -> String {
    let ids = ids(root);
    let all: Vec<_> = ids.values().flatten().collect();
    assert_eq!(all.len(), all.iter().collect::<BTreeSet<_>>().len(), "ids.json gives an id twice");
    assert!(all.iter().all(|id| **id > 0), "a registry id is positive");
    let mut rows = String::new();
    for envelope in schemas.envelopes() {
        let name = &envelope.full_name;
        let versions = ids.get(name).map_or([].as_slice(), Vec::as_slice);
        for (index, id) in versions.iter().enumerate() {
            // The newest version in today's words: a doc may have been mended since.
            let newest = index + 1 == versions.len();
            let path = if newest { format!("resolved/{name}.avsc") } else { version_path(name, index + 1) };
            rows += &format!(
                "Published {{ id: {id}, full_name: \"{name}\", version: {}, newest: {newest}, schema: include_str!(\"../../{path}\") }},\n",
                index + 1,
            );
        }
    }
    format!(
        "//! Generated from the schemas and `ids.json` by `tests/generate`; do not edit.\n\n\
         use crate::registry::Published;\n\n/// All published versions.\npub(crate) static TABLE: &[Published] = &[{rows}];\n"
    )
}
