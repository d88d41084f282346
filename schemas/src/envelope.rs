//! What surrounds a body on the wire. All envelopes have one of two shapes, a client's or a node's; the generator
//! checks that each `.avsc` has exactly the fields read and written here, in this order.

use tributary_flow::{Applied, CommandHeader, DecodeError, EventId, FactHeader, Header, Origin, Timestamp};

use crate::codec::{At, Reader, Wire, fault, write_bytes, write_long};

/// Reads a client's envelope.
pub(crate) fn decode_command<B: Wire>(datum: &[u8]) -> Result<(Header, B), DecodeError> {
    let mut reader = Reader::new(datum);
    let header = CommandHeader {
        id: Wire::read(&mut reader).at("id")?,
        time: Timestamp::read(&mut reader).at("time")?,
        actor: Wire::read(&mut reader).at("actor")?,
        traceparent: Wire::read(&mut reader).at("traceparent")?,
        digest: read_digest(&mut reader).at("digest")?,
        origin: Wire::read(&mut reader).at("origin")?,
    };
    let body = B::read(&mut reader).at("body")?;
    reader.finish()?;
    Ok((Header::Command(header), body))
}

/// Writes a client's envelope.
///
/// # Panics
/// On a fact's header: a caller that gives one to a command is broken.
pub(crate) fn encode_command<B: Wire>(header: &Header, body: &B, out: &mut Vec<u8>) {
    let Header::Command(header) = header else { panic!("a command takes a command header, not a fact's") };
    header.id.write(out);
    header.time.write(out);
    header.actor.write(out);
    header.traceparent.write(out);
    write_long(i64::from(header.digest.is_some()), out);
    if let Some(digest) = &header.digest {
        write_bytes(digest, out);
    }
    header.origin.write(out);
    body.write(out);
}

/// Reads a node's envelope.
pub(crate) fn decode_fact<B: Wire>(datum: &[u8]) -> Result<(Header, B), DecodeError> {
    let mut reader = Reader::new(datum);
    let header = FactHeader {
        id: EventId::read(&mut reader).at("id")?,
        time: Timestamp::read(&mut reader).at("time")?,
        causation: EventId::read(&mut reader).at("causation")?,
        correlation: Wire::read(&mut reader).at("correlation")?,
        answers: Wire::read(&mut reader).at("answers")?,
        actor: Wire::read(&mut reader).at("actor")?,
        traceparent: Wire::read(&mut reader).at("traceparent")?,
        applied: Wire::read(&mut reader).at("applied")?,
    };
    let body = B::read(&mut reader).at("body")?;
    reader.finish()?;
    Ok((Header::Fact(header), body))
}

/// Writes a node's envelope.
///
/// # Panics
/// On a command's header: a caller that gives one to a fact is broken.
pub(crate) fn encode_fact<B: Wire>(header: &Header, body: &B, out: &mut Vec<u8>) {
    let Header::Fact(header) = header else { panic!("a fact takes a fact header, not a command's") };
    header.id.write(out);
    header.time.write(out);
    header.causation.write(out);
    header.correlation.write(out);
    header.answers.write(out);
    header.actor.write(out);
    header.traceparent.write(out);
    header.applied.write(out);
    body.write(out);
}

fn read_digest(reader: &mut Reader<'_>) -> Result<Option<Vec<u8>>, DecodeError> {
    match reader.index(2)? {
        0 => Ok(None),
        _ => reader.bytes().map(|bytes| Some(bytes.to_vec())),
    }
}

impl Wire for Origin {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Origin {
            topic: Wire::read(reader).at("topic")?,
            partition: u32::try_from(reader.int().at("partition")?)
                .map_err(|_| fault("cannot be negative"))
                .at("partition")?,
            offset: u64::try_from(reader.long().at("offset")?).map_err(|_| fault("cannot be negative")).at("offset")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.topic.write(out);
        // Kafka's own partitions and offsets are signed, so neither can pass the range.
        write_long(i64::from(self.partition), out);
        write_long(self.offset.cast_signed(), out);
    }
}

impl Wire for Applied {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Applied {
            application: Wire::read(reader).at("application")?,
            node: Wire::read(reader).at("node")?,
            lineage: reader.fixed().at("lineage")?,
        })
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.application.write(out);
        self.node.write(out);
        out.extend_from_slice(&self.lineage);
    }
}
