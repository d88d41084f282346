//! A real registry keeps what it acknowledged, refuses what would break readers, and misses what we know it misses.

use serde_json::{Value, json};
use tributary_tests::apicurio::Apicurio;

fn payment(scale: u32, more: &[Value]) -> Value {
    let decimal = json!({"type": "bytes", "logicalType": "decimal", "precision": 38, "scale": scale});
    let mut fields = vec![json!({"name": "id", "type": "string"}), json!({"name": "amount", "type": decimal})];
    fields.extend_from_slice(more);
    json!({"type": "record", "name": "Payment", "namespace": "x.v1", "fields": fields})
}

#[test]
fn a_real_registry_is_what_we_take_it_for() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut registry = Apicurio::start(folder.path())?;
    let subject = "payments.events.v1-value";
    let id = registry.register(subject, &payment(4, &[]))?;
    assert_eq!(registry.register(subject, &payment(4, &[]))?, id, "the same schema has the same id");

    let optional = json!({"name": "note", "type": ["null", "string"], "default": null});
    let required = json!({"name": "note", "type": "string"});
    assert!(registry.is_compatible(subject, &payment(4, &[optional]))?);
    assert!(!registry.is_compatible(subject, &payment(4, std::slice::from_ref(&required)))?);
    assert!(registry.register(subject, &payment(4, &[required])).is_err(), "and does not register it");
    // A registry does not look at logical types; our own compatibility test has to.
    assert!(registry.is_compatible(subject, &payment(2, &[]))?);

    registry.kill9();
    registry.restart()?;
    assert_eq!(registry.register(subject, &payment(4, &[]))?, id, "what was acknowledged survives");
    Ok(())
}
