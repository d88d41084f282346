//! Where mutated bytes come from: data that are right, and what can be done to them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};
use tributary_flow::{CommandHeader, TopicRef};
use tributary_graph::TOPICS;
use tributary_query_api::encode_command;

use tributary_tests::memory::{NOW, setup};

/// One change of some bytes.
#[derive(Clone, Debug)]
pub enum Edit {
    /// One byte changed: most such data can still be read.
    Flip(Index, u8),
    /// Some bytes taken out, and others put in their place.
    Splice(Index, usize, Vec<u8>),
    /// The end cut off.
    Cut(Index),
}

/// Numbers that decoders have fallen over, as varints: huge and negative lengths, counts and amounts; or any bytes.
fn nasty() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        vec(any::<u8>(), 0..12),
        Just(vec![0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        Just(vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        Just(vec![0xfe, 0xff, 0xff, 0xff, 0x0f]),
        Just([vec![32, 0x7f], vec![0xff; 15]].concat()),
        Just([vec![32, 0x80], vec![0x00; 15]].concat()),
        Just(vec![0xff; 10]),
        Just(vec![0]),
    ]
}

/// A few changes, or none.
pub fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        4 => (any::<Index>(), 1_u8..).prop_map(|(place, bits)| Edit::Flip(place, bits)),
        3 => (any::<Index>(), 0_usize..18, nasty()).prop_map(|(place, out, put)| Edit::Splice(place, out, put)),
        1 => any::<Index>().prop_map(Edit::Cut),
    ];
    vec(edit, 0..3)
}

/// The bytes with the changes.
pub fn edited(bytes: &[u8], edits: &[Edit]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for edit in edits {
        match edit {
            Edit::Flip(place, bits) if !bytes.is_empty() => {
                let place = place.index(bytes.len());
                bytes[place] ^= bits;
            }
            Edit::Flip(..) => {}
            Edit::Splice(place, out, put) => {
                let place = place.index(bytes.len() + 1);
                let end = (place + out).min(bytes.len());
                bytes.splice(place..end, put.iter().copied());
            }
            Edit::Cut(place) => bytes.truncate(place.index(bytes.len() + 1)),
        }
    }
    bytes
}

/// A datum that is right.
#[derive(Debug)]
pub struct Seed {
    /// Where it may lie.
    pub topic: TopicRef,
    /// Without a frame.
    pub datum: Vec<u8>,
}

/// What clients may write: one of every record, as another library wrote it, and a small bank's day.
pub fn commands() -> &'static [Seed] {
    static ALL: OnceLock<Vec<Seed>> = OnceLock::new();
    ALL.get_or_init(|| golden(true).into_iter().chain(day()).collect())
}

/// What only nodes may write: one of every record, as another library wrote it.
pub fn facts() -> &'static [Seed] {
    static ALL: OnceLock<Vec<Seed>> = OnceLock::new();
    ALL.get_or_init(|| golden(false))
}

fn golden(doors: bool) -> Vec<Seed> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../schemas/golden");
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "hex"));
    paths.sort();
    let on_topics = |path: PathBuf| {
        let envelope = path.file_name().unwrap().to_str().unwrap().split_once('.').unwrap().0.to_owned();
        let datum = hex::decode(fs::read_to_string(&path).unwrap().trim()).unwrap();
        let takes = move |topic: &&TopicRef| topic.schema.rsplit('.').next() == Some(&envelope);
        let topics: Vec<TopicRef> = TOPICS.iter().filter(takes).copied().collect();
        topics.into_iter().map(move |topic| Seed { topic, datum: datum.clone() })
    };
    let all: Vec<Seed> =
        paths.into_iter().flat_map(on_topics).filter(|seed| seed.topic.kind.is_door() == doors).collect();
    let topics = TOPICS.iter().filter(|topic| topic.kind.is_door() == doors);
    topics.for_each(|topic| assert!(all.iter().any(|seed| seed.topic == *topic), "{}: no data", topic.name));
    all
}

/// Commands that get somewhere together, and what a bank would not be sent.
fn day() -> Vec<Seed> {
    const HUGE: &str = "9999999999999999999999999999999999.9999";
    const LARGEST: &str = "100000000000000000000";
    let leg = |account: &str, side: &str, amount: &str| json!({"account_id": account, "side": side, "amount": {"amount": amount, "currency": "EUR"}});
    let pay = |id: &str, from: &str, to: &str, amount: &str| json!({"type": "CreateTransaction", "transaction_id": id, "legs": [leg(from, "DEBIT", amount), leg(to, "CREDIT", amount)]});
    let held = |id: &str, amount: &str| {
        let mut held = pay(id, "alice", "bob", amount);
        held["two_phase"] = json!(true);
        held
    };
    let (accounts, admin) = ("accounts.commands.v1", "accounts.admin-commands.v1");
    let (transactions, reviews) = ("transactions.commands.v1", "transactions.admin-commands.v1");
    let open = |id: &str| json!({"type": "OpenAccount", "account_id": id, "kind": "LIABILITY", "currency": "EUR"});
    let commands = [
        (accounts, "o1", open("alice")),
        (accounts, "o2", open("bob")),
        (transactions, "f1", pay("fund", "world:EUR", "alice", "100")),
        (transactions, "f2", pay("flood", "world:EUR", "alice", LARGEST)),
        (transactions, "p1", pay("p1", "alice", "bob", "1.23")),
        (transactions, "p2", pay("p2", "bob", "alice", LARGEST)),
        (transactions, "h1", held("h1", "10")),
        (transactions, "h2", held("h2", "11")),
        (transactions, "h1p", json!({"type": "PostTransaction", "transaction_id": "h1"})),
        (
            transactions,
            "h2p",
            json!({"type": "PostTransaction", "transaction_id": "h2", "amounts": [{"line": 0, "amount": "3"}, {"line": 1, "amount": "3"}], "final": false}),
        ),
        (transactions, "h2v", json!({"type": "VoidTransaction", "transaction_id": "h2"})),
        (transactions, "h1c", json!({"type": "CancelTransaction", "transaction_id": "h1"})),
        (reviews, "r1", json!({"type": "ReviewTransaction", "transaction_id": "p1", "approve": true})),
        (admin, "u1", json!({"type": "UpdateAccount", "account_id": "alice", "floor": format!("-{HUGE}")})),
        (admin, "u2", json!({"type": "UpdateAccount", "account_id": "alice", "floor": HUGE, "daily_limit": HUGE})),
        (admin, "z1", json!({"type": "FreezeAccount", "account_id": "bob"})),
        (admin, "z2", json!({"type": "UnfreezeAccount", "account_id": "bob"})),
        (admin, "z3", json!({"type": "CloseAccount", "account_id": "bob"})),
        ("parties.admin-commands.v1", "b1", json!({"type": "BlockParty", "party_id": "bob"})),
        ("parties.admin-commands.v1", "b2", json!({"type": "UnblockParty", "party_id": "bob"})),
    ];
    let datum = |(topic, id, body): (&str, &str, Value)| {
        let header = CommandHeader { time: NOW, ..CommandHeader::default() };
        let command = json!({"id": id, "body": body});
        let (_, value) = encode_command(topic, command, header, setup().registry.as_ref()).expect("a command");
        Seed { topic: tributary_graph::topic(topic).expect("a topic"), datum: value[5..].to_vec() }
    };
    commands.into_iter().map(datum).collect()
}
