//! What can be read and is not granted: a refusal with a stable code, the field at fault and the values that decided.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tributary_cli::wiring::wall_clock;
use tributary_tests::scenario::file::Step;
use tributary_tests::scenario::live::Live;
use tributary_tests::scenario::{Driver, Ledger};

/// A command that is not granted.
pub struct Row {
    pub name: &'static str,
    /// Makes the command; a transaction's id is given, since it is remembered for ever.
    pub body: fn(&str) -> Value,
    pub code: &'static str,
    pub field: Option<&'static str>,
    /// Names of values that must be given.
    pub values: &'static [&'static str],
    /// Over HTTP.
    pub status: u16,
}

fn leg(account: &str, side: &str, amount: &str, currency: &str) -> Value {
    json!({"account_id": account, "side": side, "amount": {"amount": amount, "currency": currency}})
}

fn pay(id: &str, from: &str, to: &str, amount: &str) -> Value {
    let legs = [leg(from, "DEBIT", amount, "EUR"), leg(to, "CREDIT", amount, "EUR")];
    json!({"type": "CreateTransaction", "transaction_id": id, "legs": legs})
}

pub const ROWS: &[Row] = &[
    Row {
        name: "unknown payee",
        body: |id| pay(id, "alice", "nobody", "1.00"),
        code: "unknown_account",
        field: None,
        values: &[],
        status: 422,
    },
    Row {
        name: "unknown payer",
        body: |id| pay(id, "nobody", "alice", "1.00"),
        code: "unknown_account",
        field: None,
        values: &[],
        status: 422,
    },
    Row {
        name: "closed account",
        body: |id| pay(id, "alice", "closed", "1.00"),
        code: "account_closed",
        field: None,
        values: &[],
        status: 422,
    },
    Row {
        name: "frozen account",
        body: |id| pay(id, "frozen", "alice", "1.00"),
        code: "account_frozen",
        field: None,
        values: &[],
        status: 422,
    },
    Row {
        name: "wrong currency",
        body: |id| json!({"type": "CreateTransaction", "transaction_id": id, "legs": [leg("dollars", "DEBIT", "1.00", "EUR"), leg("alice", "CREDIT", "1.00", "EUR")]}),
        code: "wrong_currency",
        field: Some("legs[0].amount.currency"),
        values: &["currency", "account_currency"],
        status: 422,
    },
    Row {
        name: "too many digits",
        body: |id| pay(id, "alice", "bob", "0.001"),
        code: "too_many_digits",
        field: Some("legs[0].amount"),
        values: &["amount", "currency", "digits"],
        status: 422,
    },
    Row {
        name: "zero",
        body: |id| pay(id, "alice", "bob", "0.00"),
        code: "zero_or_negative_amount",
        field: Some("legs[0].amount"),
        values: &["amount"],
        status: 422,
    },
    Row {
        name: "negative",
        body: |id| pay(id, "alice", "bob", "-5.00"),
        code: "zero_or_negative_amount",
        field: Some("legs[0].amount"),
        values: &["amount"],
        status: 422,
    },
    Row {
        name: "unbalanced",
        body: |id| json!({"type": "CreateTransaction", "transaction_id": id, "legs": [leg("alice", "DEBIT", "1.00", "EUR"), leg("bob", "CREDIT", "1.01", "EUR")]}),
        code: "unbalanced",
        field: Some("legs"),
        values: &["debit", "credit", "currency"],
        status: 422,
    },
    Row {
        name: "insufficient funds",
        body: |id| pay(id, "bob", "alice", "60.00"),
        code: "insufficient_funds",
        field: None,
        values: &["available", "floor", "needed"],
        status: 422,
    },
    Row {
        name: "limit passed",
        body: |id| pay(id, "limited", "alice", "10.01"),
        code: "daily_limit",
        field: None,
        values: &["limit", "used", "needed"],
        status: 422,
    },
    Row {
        name: "the same id with another body",
        body: |_| pay("first", "alice", "bob", "2.00"),
        code: "conflict",
        field: None,
        values: &["first_seen"],
        status: 409,
    },
    Row {
        name: "an account that is there",
        body: |_| json!({"type": "OpenAccount", "account_id": "alice", "kind": "ASSET", "currency": "EUR"}),
        code: "account_exists",
        field: Some("account_id"),
        values: &[],
        status: 409,
    },
    Row {
        name: "a command to nothing",
        body: |id| json!({"type": "PostTransaction", "transaction_id": id}),
        code: "not_found",
        field: Some("transaction_id"),
        values: &["transaction_id"],
        status: 404,
    },
    Row {
        name: "a privileged field",
        body: |_| json!({"type": "UpdateAccount", "account_id": "alice", "floor": "5"}),
        code: "privileged_command",
        field: Some("floor"),
        values: &[],
        status: 403,
    },
    Row {
        name: "a command to a system account",
        body: |_| json!({"type": "CloseAccount", "account_id": "world:EUR"}),
        code: "system_account",
        field: Some("account_id"),
        values: &[],
        status: 422,
    },
    Row {
        name: "metadata as large as a message",
        body: |id| json!({"type": "CreateTransaction", "transaction_id": id, "metadata": {"k": "v".repeat(999_500)}, "legs": [leg("alice", "DEBIT", "1.00", "EUR"), leg("bob", "CREDIT", "1.00", "EUR")]}),
        code: "too_long",
        field: Some("metadata"),
        values: &["bytes", "limit"],
        status: 422,
    },
    Row {
        name: "a reason as large as a message",
        body: |_| json!({"type": "CancelTransaction", "transaction_id": "waits", "reason": "r".repeat(999_500)}),
        code: "too_long",
        field: Some("reason"),
        values: &["bytes", "limit"],
        status: 422,
    },
];

fn submit(live: &mut Live, topic: Option<&str>, id: &str, body: Value) -> Result<String> {
    let step = Step { id: Some(id.to_owned()), topic: topic.map(str::to_owned), body: Some(body), ..Step::default() };
    let command = step.command(0, wall_clock())?.context("a command")?;
    live.submit(command.topic, &command.key, command.value)?;
    Ok(command.key)
}

/// The accounts and transactions that the rows are about.
fn given(live: &mut Live) -> Result<()> {
    let admin = Some("accounts.admin-commands.v1");
    for (account, currency, limit) in [
        ("alice", "EUR", None),
        ("bob", "EUR", None),
        ("closed", "EUR", None),
        ("frozen", "EUR", None),
        ("dollars", "USD", None),
        ("limited", "EUR", Some("10")),
    ] {
        let open = json!({"type": "OpenAccount", "account_id": account, "kind": "LIABILITY", "currency": currency, "daily_limit": limit});
        submit(live, admin, "open", open)?;
    }
    live.settle()?;
    for account in ["alice", "bob", "limited", "frozen"] {
        let legs = [leg("world:EUR", "DEBIT", "50.00", "EUR"), leg(account, "CREDIT", "50.00", "EUR")];
        submit(
            live,
            None,
            "fund",
            json!({"type": "CreateTransaction", "transaction_id": format!("fund-{account}"), "legs": legs}),
        )?;
    }
    live.settle()?;
    submit(live, None, "close", json!({"type": "CloseAccount", "account_id": "closed"}))?;
    submit(live, admin, "freeze", json!({"type": "FreezeAccount", "account_id": "frozen"}))?;
    submit(live, None, "first", pay("first", "alice", "bob", "1.00"))?;
    let mut waits = pay("waits", "alice", "bob", "1.00");
    waits["two_phase"] = json!(true);
    submit(live, None, "waits", waits)?;
    live.settle()
}

pub fn check(live: &mut Live) -> Result<()> {
    given(live)?;
    for (number, row) in ROWS.iter().enumerate() {
        refused(live, row, number).with_context(|| row.name)?;
    }
    Ok(())
}

fn refused(live: &mut Live, row: &Row, number: usize) -> Result<()> {
    let id = format!("bad-{number}");
    let key = submit(live, None, &id, (row.body)(&id))?;
    live.settle()?;
    let ledger = Ledger::read(live)?;
    let answers = ledger.answers.get(&(key.clone(), id.clone())).map_or(&[][..], Vec::as_slice);
    let [answer] = answers else { anyhow::bail!("answers: {answers:?}") };
    let (codes, values): (Vec<&str>, Vec<&String>) = match &answer.code {
        Some(code) => (vec![code], answer.values.keys().collect()),
        None => {
            let told = ledger.transactions.get(&key).context("a transaction")?;
            ensure!(told.status == "failed", "it is {}", told.status);
            (told.reasons.iter().map(String::as_str).collect(), told.values.iter().map(|(name, _)| name).collect())
        }
    };
    ensure!(codes == [row.code], "the codes are {codes:?}, expected {}", row.code);
    if answer.code.is_some() {
        ensure!(answer.field.as_deref() == row.field, "the field is {:?}, expected {:?}", answer.field, row.field);
    }
    for name in row.values {
        ensure!(values.iter().any(|value| value == name), "no value {name} in {values:?}");
    }
    Ok(())
}
