//! `topics!` and `node!`: the words in which the graph is declared. They expand to statics and closed enums, and refuse
//! at compile time a node that reads topics of another key, or a port whose body is not the topic's.

/// Declares topics as statics.
///
/// ```text
/// topics! {
///     /// What became of an account.
///     ACCOUNTS_EVENTS = "accounts.events.v1", Events, "account", accounts::AccountEvent;
/// }
/// ```
#[macro_export]
macro_rules! topics {
    ($($(#[doc = $doc:literal])+ $id:ident = $name:literal, $kind:ident, $key:literal, $body:ty;)*) => {
        $(
            $(#[doc = $doc])+
            pub static $id: $crate::Topic = $crate::Topic {
                name: $name,
                kind: $crate::Kind::$kind,
                key: $key,
                schema: <$body as $crate::Body>::SCHEMA,
                doc: concat!($($doc),+),
            };
        )*
        /// Every topic of the domain, in order of declaration.
        pub static TOPICS: &[$crate::TopicRef] = &[$(&$id),*];
    };
}

/// Declares a node: its key, the bodies it reads with their topics, the bodies it writes with theirs.
///
/// ```text
/// node! {
///     /// Guards an account.
///     account: "account",
///     in { Command(AccountCommand) <- [ACCOUNTS_COMMANDS, ACCOUNTS_ADMIN_COMMANDS], Leg(LegEvent) <- [TRANSACTIONS_LEGS] }
///     out { Event(AccountEvent) -> ACCOUNTS_EVENTS }
/// }
/// ```
#[macro_export]
macro_rules! node {
    (
        $(#[doc = $doc:literal])+
        $node:ident: $name:literal, $key:literal,
        in { $($in:ident($in_body:ty) <- [$($in_topic:ident),+]),+ $(,)? }
        out { $($out:ident($out_body:ty) -> $out_topic:ident),* $(,)? }
    ) => {
        $(#[doc = $doc])+
        pub mod $node {
            use super::*;

            /// The node.
            pub static NODE: $crate::Node = $crate::Node {
                name: $name,
                key: $key,
                inputs: &[$($(&$in_topic),+),+],
                outputs: &[$(&$out_topic),*],
                doc: concat!($($doc),+),
            };

            /// What the node reads.
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub enum In<'a> { $(
                #[doc = concat!("From ", $(stringify!($in_topic), " "),+)]
                $in(&'a $in_body),
            )+ }

            /// What the node writes.
            #[derive(Clone, Debug, PartialEq, Eq)]
            pub enum Out { $(
                #[doc = concat!("To ", stringify!($out_topic))]
                $out($out_body),
            )* }

            $(impl From<$out_body> for Out {
                fn from(body: $out_body) -> Self {
                    Out::$out(body)
                }
            })*

            const _: () = {
                $($(
                    assert!($crate::ports::same($in_topic.key, $key), "a node reads only topics of its own key");
                    assert!($crate::ports::same($in_topic.schema, <$in_body as $crate::Body>::SCHEMA), "a port has its topic's body");
                )+)+
                $(assert!($crate::ports::same($out_topic.schema, <$out_body as $crate::Body>::SCHEMA), "a port has its topic's body");)*
            };

            /// What the graph gives the node.
            #[derive(Debug)]
            pub struct Ports;

            impl $crate::processor::Ports for Ports {
                type In<'a> = In<'a>;
                type Out = Out;
                const NODE: &'static $crate::Node = &NODE;

                fn decode(port: usize, datum: &[u8]) -> Result<$crate::InMemory, $crate::DecodeError> {
                    let topic = NODE.inputs[port];
                    $($(
                        if std::ptr::eq(topic, &$in_topic) {
                            let (header, body) = <$in_body as $crate::Body>::decode(datum)?;
                            return Ok($crate::InMemory::new(header, body));
                        }
                    )+)+
                    unreachable!("invariant: the port of a declared input")
                }
                fn read(port: usize, record: &$crate::InMemory) -> Option<(&$crate::Header, In<'_>)> {
                    let topic = NODE.inputs[port];
                    $($(
                        if std::ptr::eq(topic, &$in_topic) {
                            let (header, body) = record.read::<$in_body>()?;
                            return Some((header, In::$in(body)));
                        }
                    )+)+
                    unreachable!("invariant: the port of a declared input")
                }
                fn key<'a: 'a>(input: In<'a>) -> &'a str {
                    match input { $(In::$in(body) => $crate::Body::key(body),)+ }
                }
                fn encode_in(input: In<'_>, header: &$crate::Header, out: &mut Vec<u8>) {
                    match input { $(In::$in(body) => $crate::Body::encode(body, header, out),)+ }
                }
                fn encode_in_body(input: In<'_>, out: &mut Vec<u8>) {
                    match input { $(In::$in(body) => {
                        out.extend_from_slice($crate::Body::name(body).as_bytes());
                        $crate::Body::encode_body(body, out)
                    })+ }
                }
                #[allow(unreachable_code, reason = "a view's Out has no values")]
                fn port(out: &Out) -> usize {
                    let topic: $crate::TopicRef = match *out { $(Out::$out(_) => &$out_topic,)* };
                    NODE.outputs.iter().position(|output| std::ptr::eq(*output, topic)).expect("invariant: a declared output")
                }
                fn out_key(out: &Out) -> &str {
                    match *out { $(Out::$out(ref body) => $crate::Body::key(body),)* }
                }
                fn encode(out: &Out, header: &$crate::Header, bytes: &mut Vec<u8>) {
                    let _ = (header, &bytes);
                    match *out { $(Out::$out(ref body) => $crate::Body::encode(body, header, bytes),)* }
                }
                fn keep(out: Out, header: $crate::Header) -> $crate::InMemory {
                    let _ = &header;
                    match out { $(Out::$out(body) => $crate::InMemory::new(header, body),)* }
                }
            }
        }
    };
}

/// Whether two texts are the same, at compile time.
#[must_use]
pub const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}
