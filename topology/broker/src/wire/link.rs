//! A connection to a broker: questions go out, answers come back in order, and no wait for the network is longer than it was told to be.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use openssl::ssl::{ErrorCode, SslStream};
use tributary_slot::Failed;

use super::auth;
use super::bytes::{Answer, Put, length};
use super::calls::{API_VERSIONS, Api, SASL_AUTHENTICATE, SASL_HANDSHAKE, SPOKEN};
use super::security::{Security, Tls, User};
use super::{Code, Result, broken, lost};

/// Largest answer: that of a broker with many partitions to where they are.
const MOST: usize = 64 << 20;

/// After how long without a question a connection is not trusted: what stands between may have forgotten it, and tells nobody.
const IDLE: Duration = Duration::from_secs(120);

/// Where a broker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub host: String,
    pub port: u16,
}

impl Address {
    /// Out of `host`, `host:port`, `[v6]:port`, each with a protocol before it or without, as librdkafka takes bootstrap servers.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let text = text.split_once("://").map_or(text, |(_, address)| address);
        let wrong = || lost(format!("bootstrap.servers: {text} is no host:port"));
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (host, port.parse().map_err(|_| wrong())?)
            }
            _ => (text, 9092),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() { Err(wrong()) } else { Ok(Address { host, port }) }
    }
}

enum Stream {
    Plain(TcpStream),
    Tls(SslStream<TcpStream>),
}

impl Stream {
    fn socket(&self) -> &TcpStream {
        match self {
            Stream::Plain(socket) => socket,
            Stream::Tls(stream) => stream.get_ref(),
        }
    }
}

/// A connection that is let in.
pub(super) struct Link {
    stream: Stream,
    peer: Address,
    client: String,
    next: i32,
    /// What goes out, for its memory.
    out: Vec<u8>,
    /// When the broker wants to know again who we are.
    until: Option<Instant>,
    /// When it was last asked.
    used: Instant,
}

/// A question that was sent.
#[must_use]
pub(super) struct Sent {
    api: &'static Api,
    number: i32,
}

impl Link {
    pub fn open(peer: &Address, security: &Security, client: &str, deadline: Instant) -> Result<Self> {
        let socket = connect(peer, deadline)?;
        let stream = match &security.tls {
            Some(tls) => Stream::Tls(encrypt(tls, peer, socket, deadline)?),
            None => Stream::Plain(socket),
        };
        let (next, out, until, used) = (0, Vec::new(), None, Instant::now());
        let mut link = Link { stream, peer: peer.clone(), client: client.to_owned(), next, out, until, used };
        link.check_versions(deadline)?;
        if let Some(user) = &security.user {
            link.authenticate(user, deadline)?;
        }
        tracing::debug!(host = peer.host, port = peer.port, "connected");
        Ok(link)
    }

    /// Whether it is as good as new: not closed while nobody looked, and not soon to be.
    pub fn is_fresh(&self) -> bool {
        let socket = self.stream.socket();
        let quiet = || {
            socket.set_nonblocking(true)?;
            let peeked = socket.peek(&mut [0]);
            socket.set_nonblocking(false)?;
            peeked
        };
        // Nothing is owed to us: whatever there is to read is an end.
        let is_open = quiet().is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        is_open && self.used.elapsed() < IDLE && self.until.is_none_or(|until| Instant::now() < until)
    }

    /// Asks, and waits for the answer.
    pub fn call(&mut self, api: &'static Api, body: impl FnOnce(&mut Vec<u8>), deadline: Instant) -> Result<Answer> {
        let sent = self.send(api, body, deadline)?;
        self.receive(sent, deadline)
    }

    pub fn send(&mut self, api: &'static Api, body: impl FnOnce(&mut Vec<u8>), deadline: Instant) -> Result<Sent> {
        self.next = self.next.wrapping_add(1);
        self.used = Instant::now();
        let mut out = std::mem::take(&mut self.out);
        out.clear();
        out.i32(0); // The length, below.
        out.i16(api.key);
        out.i16(api.version);
        out.i32(self.next);
        out.text(&self.client);
        if api.flexible {
            out.no_tags();
        }
        body(&mut out);
        let size = length(out.len() - 4);
        out[..4].copy_from_slice(&size.to_be_bytes());
        let written = self.write(&out, deadline);
        self.out = out;
        written.map_err(|why| self.lost(api, &why))?;
        Ok(Sent { api, number: self.next })
    }

    /// Waits for the answer to the oldest question that has none yet.
    pub fn receive(&mut self, sent: Sent, deadline: Instant) -> Result<Answer> {
        let mut answer = self.answer(deadline).map_err(|why| self.lost(sent.api, &why))?;
        if answer.i32()? != sent.number {
            return Err(broken("it is to another question"));
        }
        if sent.api.flexible {
            answer.skip_tags()?;
        }
        Ok(answer)
    }

    fn lost(&self, api: &Api, why: &std::io::Error) -> Failed {
        let Address { host, port } = &self.peer;
        let why = if is_timeout(why) { "no answer in time".to_owned() } else { why.to_string() };
        lost(format!("{} at {host}:{port}: {why}", api.name))
    }

    fn answer(&mut self, deadline: Instant) -> std::io::Result<Answer> {
        let mut size = [0; 4];
        self.read(&mut size, deadline)?;
        let size = usize::try_from(i32::from_be_bytes(size)).ok().filter(|size| *size <= MOST);
        let size = size.ok_or_else(|| std::io::Error::other("what answers is no Kafka, or wants TLS"))?;
        let mut bytes = vec![0; size];
        self.read(&mut bytes, deadline)?;
        Ok(Answer::new(bytes))
    }

    fn read(&mut self, mut bytes: &mut [u8], deadline: Instant) -> std::io::Result<()> {
        while !bytes.is_empty() {
            self.stream.socket().set_read_timeout(Some(left(deadline)?))?;
            let read = match &mut self.stream {
                Stream::Plain(socket) => socket.read(bytes),
                Stream::Tls(stream) => stream.read(bytes),
            };
            match read {
                Ok(0) => return Err(std::io::Error::other("the connection was closed")),
                Ok(many) => bytes = &mut bytes[many..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn write(&mut self, mut bytes: &[u8], deadline: Instant) -> std::io::Result<()> {
        while !bytes.is_empty() {
            self.stream.socket().set_write_timeout(Some(left(deadline)?))?;
            let written = match &mut self.stream {
                Stream::Plain(socket) => socket.write(bytes),
                Stream::Tls(stream) => stream.write(bytes),
            };
            match written {
                Ok(many) => bytes = &bytes[many..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// A broker that does not speak as we do is told of now, by name, and not by a connection that it closes.
    fn check_versions(&mut self, deadline: Instant) -> Result<()> {
        let mut answer = self.call(&API_VERSIONS, |_| {}, deadline)?;
        Code(answer.i16()?).check(|| API_VERSIONS.name.to_owned())?;
        let mut missing: Vec<&Api> = SPOKEN.to_vec();
        answer.each(|answer| {
            let (key, least, most) = (answer.i16()?, answer.i16()?, answer.i16()?);
            missing.retain(|api| api.key != key || !(least..=most).contains(&api.version));
            Ok(())
        })?;
        let Some(api) = missing.first() else { return Ok(()) };
        let Address { host, port } = &self.peer;
        Err(lost(format!(
            "the broker at {host}:{port} does not speak version {} of {}: Kafka 2.5 or later is needed",
            api.version, api.name
        )))
    }

    fn authenticate(&mut self, user: &User, deadline: Instant) -> Result<()> {
        let mut answer = self.call(&SASL_HANDSHAKE, |out| out.text(user.mechanism.name()), deadline)?;
        Code(answer.i16()?).check(|| format!("sasl.mechanism={}", user.mechanism.name()))?;
        let (begun, mut life) = (Instant::now(), 0);
        auth::prove(user, &mut |message| {
            let mut answer = self.call(&SASL_AUTHENTICATE, |out| out.blob(message), deadline)?;
            let (code, said) = (Code(answer.i16()?), answer.text()?);
            code.check(|| format!("sasl.username={}: {said}", user.name))?;
            let reply = answer.blob()?;
            life = answer.i64()?;
            Ok(reply)
        })?;
        let life = u64::try_from(life).ok().filter(|life| *life > 0);
        // A broker closes the connection at its end: well before that, there is a new one.
        self.until = life.map(|life| begun + Duration::from_millis(life / 2));
        Ok(())
    }
}

fn connect(peer: &Address, deadline: Instant) -> Result<TcpStream> {
    let Address { host, port } = peer;
    let failed = |why: &std::io::Error| lost(format!("connecting to {host}:{port}: {why}"));
    let mut last = std::io::Error::other("the name has no address");
    for address in resolve(host, *port, deadline).map_err(|why| failed(&why))? {
        let left = left(deadline).map_err(|why| failed(&why))?;
        match TcpStream::connect_timeout(&address, left) {
            Ok(socket) => {
                socket.set_nodelay(true).map_err(|why| failed(&why))?;
                return Ok(socket);
            }
            Err(error) => last = error,
        }
    }
    Err(failed(&last))
}

/// The addresses of a host. The system's resolver knows no bound of ours, and is left to itself where it takes longer.
fn resolve(host: &str, port: u16, deadline: Instant) -> std::io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![(address, port).into()]);
    }
    let (host, left, (tell, told)) = (host.to_owned(), left(deadline)?, mpsc::channel());
    std::thread::Builder::new().name("tributary-resolve".into()).spawn(move || {
        let found = (host, port).to_socket_addrs().map(Iterator::collect);
        drop(tell.send(found));
    })?;
    told.recv_timeout(left).unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

fn encrypt(tls: &Tls, peer: &Address, socket: TcpStream, deadline: Instant) -> Result<SslStream<TcpStream>> {
    let Address { host, port } = peer;
    let failed = |why: &dyn std::fmt::Display| lost(format!("TLS with {host}:{port}: {why}"));
    let left = left(deadline).map_err(|why| failed(&why))?;
    let bounded = socket.set_read_timeout(Some(left)).and_then(|()| socket.set_write_timeout(Some(left)));
    bounded.map_err(|why| failed(&why))?;
    let ssl = tls.connector.configure().and_then(|how| how.verify_hostname(tls.check_name).into_ssl(host));
    let ssl = ssl.map_err(|why| failed(&why))?;
    let mut stream = SslStream::new(ssl, socket).map_err(|why| failed(&why))?;
    stream.connect().map_err(|why| match why.code() {
        ErrorCode::WANT_READ | ErrorCode::WANT_WRITE => failed(&"no answer in time"),
        _ => failed(&why),
    })?;
    Ok(stream)
}

/// What is left until then.
fn left(deadline: Instant) -> std::io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bootstrap_servers_are_read_as_librdkafka_reads_them() {
        let parsed = |text| Address::parse(text).map(|Address { host, port }| (host, port)).ok();
        let at = |host: &str, port| Some((host.to_owned(), port));
        assert_eq!(parsed("kafka"), at("kafka", 9092));
        assert_eq!(parsed(" kafka:1234 "), at("kafka", 1234));
        assert_eq!(parsed("SASL_SSL://kafka:1234"), at("kafka", 1234));
        assert_eq!(parsed("[::1]:1234"), at("::1", 1234));
        assert_eq!(parsed("[::1]"), at("::1", 9092));
        assert_eq!(parsed("::1"), at("::1", 9092));
        assert_eq!([parsed("kafka:no"), parsed(":1"), parsed("kafka:99999")], [None, None, None]);
    }

    #[test]
    fn a_host_is_looked_for_no_longer_than_told() {
        let soon = Instant::now() + Duration::from_secs(5);
        assert_eq!(resolve("::1", 7, soon).unwrap(), [(IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]), 7).into()]);
        assert!(!resolve("localhost", 7, soon).unwrap().is_empty());
        assert!(resolve("localhost", 7, Instant::now()).is_err());
    }
}
