//! Proving who we are: PLAIN (RFC 4616) and SCRAM (RFC 5802, with SHA-256 by RFC 7677). The latter never sends the password, and has the
//! broker prove that it knows it too. Names and passwords are taken as they are: SASLprep, which would make alike what looks alike, is absent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::hash::{MessageDigest, hash};
use openssl::memcmp;
use openssl::pkcs5::pbkdf2_hmac;
use openssl::pkey::PKey;
use openssl::rand::rand_bytes;
use openssl::sign::Signer;

use super::security::{Mechanism, User};
use super::{Result, lost};

/// Fewest rounds that a broker may ask for, by RFC 7677, and most that it may keep us busy with.
const ROUNDS: std::ops::RangeInclusive<usize> = 4_096..=1_000_000;

/// Sends a message and receives the answer.
pub(super) type Exchange<'a> = dyn FnMut(&[u8]) -> Result<Vec<u8>> + 'a;

/// Proves who `user` is.
pub(super) fn prove(user: &User, exchange: &mut Exchange<'_>) -> Result<()> {
    match user.mechanism {
        Mechanism::Plain => exchange(format!("\0{}\0{}", user.name, user.password).as_bytes()).map(drop),
        Mechanism::ScramSha256 => scram(user, MessageDigest::sha256(), &nonce()?, exchange),
        Mechanism::ScramSha512 => scram(user, MessageDigest::sha512(), &nonce()?, exchange),
    }
}

fn nonce() -> Result<String> {
    let mut nonce = [0; 24];
    rand_bytes(&mut nonce).map_err(|why| lost(format!("no chance to be had: {why}")))?;
    Ok(STANDARD.encode(nonce))
}

fn scram(user: &User, digest: MessageDigest, nonce: &str, exchange: &mut Exchange<'_>) -> Result<()> {
    let name = user.name.replace('=', "=3D").replace(',', "=2C");
    let first = format!("n={name},r={nonce}");
    let challenge = text(exchange(format!("n,,{first}").as_bytes())?)?;
    let both = field(&challenge, 'r').filter(|both| both.starts_with(nonce) && both.len() > nonce.len());
    let both = both.ok_or_else(|| unproved("it does not repeat our chance"))?;
    let salt = field(&challenge, 's').and_then(|salt| STANDARD.decode(salt).ok());
    let salt = salt.ok_or_else(|| unproved("there is no salt"))?;
    let rounds = field(&challenge, 'i').and_then(|rounds| rounds.parse().ok()).filter(|rounds| ROUNDS.contains(rounds));
    let rounds = rounds.ok_or_else(|| unproved("the number of rounds is out of bounds"))?;

    let mut salted = vec![0; digest.size()];
    pbkdf2_hmac(user.password.as_bytes(), &salt, rounds, digest, &mut salted).map_err(|why| failed(&why))?;
    let client_key = hmac(digest, &salted, b"Client Key")?;
    let stored_key = hash(digest, &client_key).map_err(|why| failed(&why))?;
    let without_proof = format!("c=biws,r={both}");
    let signed = format!("{first},{challenge},{without_proof}");
    let signature = hmac(digest, &stored_key, signed.as_bytes())?;
    let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(key, sign)| key ^ sign).collect();
    let last = format!("{without_proof},p={}", STANDARD.encode(proof));
    let verdict = text(exchange(last.as_bytes())?)?;

    let server_key = hmac(digest, &salted, b"Server Key")?;
    let expected = hmac(digest, &server_key, signed.as_bytes())?;
    let given = field(&verdict, 'v').and_then(|given| STANDARD.decode(given).ok()).unwrap_or_default();
    if given.len() == expected.len() && memcmp::eq(&given, &expected) {
        return Ok(());
    }
    Err(unproved("it does not know the password"))
}

fn hmac(digest: MessageDigest, key: &[u8], message: &[u8]) -> Result<Vec<u8>> {
    let sign = || {
        let key = PKey::hmac(key)?;
        Signer::new(digest, &key)?.sign_oneshot_to_vec(message)
    };
    sign().map_err(|why| failed(&why))
}

/// The value of an attribute.
fn field(message: &str, name: char) -> Option<&str> {
    message.split(',').find_map(|field| field.strip_prefix(name)?.strip_prefix('='))
}

fn text(message: Vec<u8>) -> Result<String> {
    String::from_utf8(message).map_err(|_| unproved("what it says is no text"))
}

fn unproved(why: &str) -> tributary_slot::Failed {
    lost(format!("the broker did not prove who it is: {why}"))
}

fn failed(why: &openssl::error::ErrorStack) -> tributary_slot::Failed {
    lost(format!("SCRAM: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user() -> User {
        User { mechanism: Mechanism::ScramSha256, name: "user".into(), password: "pencil".into() }
    }

    /// The example of RFC 7677, section 3.
    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
    const CHALLENGE: &str = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
    const PROOF: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                         p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
    const VERDICT: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";

    fn run(answers: [&str; 2]) -> (Result<()>, Vec<String>) {
        let (mut answers, mut sent) = (answers.into_iter(), Vec::new());
        let done = scram(&user(), MessageDigest::sha256(), NONCE, &mut |message| {
            sent.push(String::from_utf8(message.to_vec()).unwrap());
            Ok(answers.next().unwrap().as_bytes().to_vec())
        });
        (done, sent)
    }

    #[test]
    fn scram_says_what_the_rfc_has_it_say() {
        let (done, sent) = run([CHALLENGE, VERDICT]);
        assert_eq!(done, Ok(()));
        assert_eq!(sent, ["n,,n=user,r=rOprNGfwEbeRWgbNEkqO".to_owned(), PROOF.to_owned()]);
    }

    #[test]
    fn a_broker_that_does_not_know_the_password_is_not_believed() {
        let wrong = ["v=AAAATRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", "v=", "e=other-error", ""];
        assert!(wrong.iter().all(|verdict| run([CHALLENGE, verdict]).0.is_err()));
        let weak = CHALLENGE.replace("i=4096", "i=1");
        let challenges = ["", "r=other,s=AAAA,i=4096", "r=rOprNGfwEbeRWgbNEkqO,s=AAAA,i=4096", &weak];
        assert!(challenges.iter().all(|challenge| run([challenge, VERDICT]).1.len() == 1), "no proof is sent");
    }
}
