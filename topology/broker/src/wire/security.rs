//! How to be let in: the settings that librdkafka has for it, under the same names and with the same meaning. Those of a mechanism
//! or a kind of file that we do not have are refused by name.

use std::collections::BTreeMap;
use std::path::Path;

use openssl::pkey::PKey;
use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;

use super::{Result, lost};
use crate::settings::Settings;

/// Settings of a connection that are understood here.
const KNOWN: &[&str] = &[
    "security.protocol",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.username",
    "sasl.password",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.key.location",
    "ssl.key.pem",
    "ssl.key.password",
    "ssl.endpoint.identification.algorithm",
    "enable.ssl.certificate.verification",
];

/// How the name of a user is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mechanism {
    Plain,
    ScramSha256,
    ScramSha512,
}

impl Mechanism {
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

/// Who we say we are.
#[derive(Clone)]
pub(super) struct User {
    pub mechanism: Mechanism,
    pub name: String,
    pub password: String,
}

/// Encryption of a connection.
#[derive(Clone)]
pub(super) struct Tls {
    pub connector: SslConnector,
    /// Whether the certificate must be the host's.
    pub check_name: bool,
}

/// What a connection needs before it is of use.
#[derive(Clone, Default)]
pub(crate) struct Security {
    pub(super) tls: Option<Tls>,
    pub(super) user: Option<User>,
}

impl Security {
    /// Reads settings as librdkafka names them.
    ///
    /// # Errors
    /// A setting is missing, or has no meaning here; it is named, with what can be done.
    pub fn read(settings: &Settings) -> Result<Self> {
        let of_connections = |key: &&String| key.starts_with("ssl.") || key.starts_with("sasl.");
        if let Some(key) = settings.keys().filter(of_connections).find(|key| !KNOWN.contains(&key.as_str())) {
            return Err(lost(format!("{key}: not supported; what is: {}", KNOWN.join(", "))));
        }
        let get = |key: &str| settings.get(key).map(String::as_str);
        let protocol = get("security.protocol").unwrap_or("plaintext").to_ascii_lowercase();
        let (encrypted, named) = match protocol.as_str() {
            "plaintext" => (false, false),
            "ssl" => (true, false),
            "sasl_plaintext" => (false, true),
            "sasl_ssl" => (true, true),
            _ => return Err(lost(format!("security.protocol={protocol}: plaintext, ssl, sasl_plaintext or sasl_ssl"))),
        };
        let user = if named { Some(user(&get)?) } else { None };
        let tls = if encrypted { Some(tls(settings)?) } else { None };
        Ok(Security { tls, user })
    }
}

fn user<'a>(get: &impl Fn(&str) -> Option<&'a str>) -> Result<User> {
    let mechanism = match get("sasl.mechanisms").or_else(|| get("sasl.mechanism")) {
        Some("PLAIN") => Mechanism::Plain,
        Some("SCRAM-SHA-256") => Mechanism::ScramSha256,
        Some("SCRAM-SHA-512") => Mechanism::ScramSha512,
        other => {
            let other = other.unwrap_or("");
            return Err(lost(format!("sasl.mechanism={other}: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")));
        }
    };
    let needed = |key: &str| {
        let value = get(key).filter(|value| !value.is_empty() && !value.contains('\0')).map(str::to_owned);
        value.ok_or_else(|| lost(format!("{key}: missing; {} needs it", mechanism.name())))
    };
    Ok(User { mechanism, name: needed("sasl.username")?, password: needed("sasl.password")? })
}

/// A file, or all files of a folder, one behind the other.
fn file_or_folder(place: &Path) -> std::io::Result<Vec<u8>> {
    if !place.is_dir() {
        return std::fs::read(place);
    }
    let entries = std::fs::read_dir(place)?.collect::<std::io::Result<Vec<_>>>()?;
    let files = entries.iter().map(|entry| entry.path()).filter(|path| path.is_file());
    Ok(files.map(std::fs::read).collect::<std::io::Result<Vec<_>>>()?.join(&b'\n'))
}

fn tls(settings: &BTreeMap<String, String>) -> Result<Tls> {
    let unusable = |key: &str, why: &dyn std::fmt::Display| lost(format!("{key}: cannot be used: {why}"));
    let mut connector = SslConnector::builder(SslMethod::tls_client()).map_err(|why| unusable("TLS", &why))?;
    // Each is a file, or the text itself.
    type Read = fn(&Path) -> std::io::Result<Vec<u8>>;
    let pem = |file: &'static str, text: &'static str, read: Read| -> Result<Option<(&'static str, Vec<u8>)>> {
        match (settings.get(text), settings.get(file)) {
            (Some(pem), _) => Ok(Some((text, pem.clone().into_bytes()))),
            (None, Some(path)) => {
                let read = read(Path::new(path)).map_err(|why| unusable(file, &format!("{path}: {why}")))?;
                Ok(Some((file, read)))
            }
            (None, None) => Ok(None),
        }
    };
    // Whoever says whom to believe believes nobody else: not those whom the system believes.
    let is_said =
        settings.contains_key("ssl.ca.pem") || settings.get("ssl.ca.location").is_some_and(|at| at != "probe");
    if is_said && let Some((key, pem)) = pem("ssl.ca.location", "ssl.ca.pem", file_or_folder)? {
        let believed = X509::stack_from_pem(&pem).map_err(|why| unusable(key, &why))?;
        if believed.is_empty() {
            return Err(unusable(key, &"there is no certificate in it"));
        }
        let mut store = X509StoreBuilder::new().map_err(|why| unusable(key, &why))?;
        for certificate in believed {
            store.add_cert(certificate).map_err(|why| unusable(key, &why))?;
        }
        connector.set_cert_store(store.build());
    }
    if let Some((key, pem)) = pem("ssl.certificate.location", "ssl.certificate.pem", |path| std::fs::read(path))? {
        let mut chain = X509::stack_from_pem(&pem).map_err(|why| unusable(key, &why))?.into_iter();
        let own = chain.next().ok_or_else(|| unusable(key, &"there is no certificate in it"))?;
        connector.set_certificate(&own).map_err(|why| unusable(key, &why))?;
        for certificate in chain {
            connector.add_extra_chain_cert(certificate).map_err(|why| unusable(key, &why))?;
        }
    }
    if let Some((key, pem)) = pem("ssl.key.location", "ssl.key.pem", |path| std::fs::read(path))? {
        // An empty password where none is given, lest the terminal is asked for one.
        let password = settings.get("ssl.key.password").map(String::as_bytes).unwrap_or_default();
        let private = PKey::private_key_from_pem_passphrase(&pem, password).map_err(|why| unusable(key, &why))?;
        connector.set_private_key(&private).map_err(|why| unusable(key, &why))?;
    }
    let is = |key: &str, values: &[&str]| {
        let given = settings.get(key).map(|given| given.to_ascii_lowercase());
        given.is_some_and(|given| values.contains(&given.as_str()))
    };
    if is("enable.ssl.certificate.verification", &["false", "f", "0"]) {
        connector.set_verify(SslVerifyMode::NONE);
    }
    let check_name = !is("ssl.endpoint.identification.algorithm", &["none"]);
    Ok(Tls { connector: connector.build(), check_name })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: &[(&str, &str)]) -> Result<Security> {
        Security::read(&settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    }

    fn refused(settings: &[(&str, &str)], naming: &str) {
        let failed = read(settings).err().map(|failed| failed.text).unwrap_or_default();
        assert!(failed.starts_with(naming), "{settings:?}: {failed}");
        assert!(!failed.contains("secret"), "{failed}");
    }

    fn pem(name: &str) -> String {
        rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap().cert.pem()
    }

    fn believed(settings: &[(&str, &str)]) -> usize {
        let tls = read(settings).unwrap().tls.unwrap();
        tls.connector.context().cert_store().all_certificates().len()
    }

    #[test]
    fn who_says_whom_to_believe_believes_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            std::fs::write(folder.path().join(name), pem(name)).unwrap();
        }
        let (both, one) = (folder.path().display().to_string(), folder.path().join("a").display().to_string());
        assert_eq!(believed(&[("security.protocol", "SSL"), ("ssl.ca.location", &one)]), 1);
        assert_eq!(believed(&[("security.protocol", "SSL"), ("ssl.ca.location", &both)]), 2);
        assert_eq!(believed(&[("security.protocol", "SSL"), ("ssl.ca.pem", &pem("c")), ("ssl.ca.location", &both)]), 1);
        assert_eq!(
            believed(&[("security.protocol", "SSL")]),
            believed(&[("security.protocol", "SSL"), ("ssl.ca.location", "probe")])
        );
    }

    #[test]
    fn what_has_no_meaning_is_refused_by_name() {
        refused(&[("ssl.keystore.location", "keys.p12")], "ssl.keystore.location: not supported");
        refused(&[("sasl.oauthbearer.config", "secret")], "sasl.oauthbearer.config: not supported");
        refused(&[("security.protocol", "ssh")], "security.protocol=ssh");
        let named = ("security.protocol", "SASL_PLAINTEXT");
        refused(&[named], "sasl.mechanism=: PLAIN");
        refused(&[named, ("sasl.mechanism", "GSSAPI")], "sasl.mechanism=GSSAPI");
        refused(&[named, ("sasl.mechanism", "PLAIN"), ("sasl.password", "secret")], "sasl.username: missing");
        refused(&[named, ("sasl.mechanism", "PLAIN"), ("sasl.username", "us")], "sasl.password: missing");
        refused(
            &[("security.protocol", "ssl"), ("ssl.ca.location", "/nowhere")],
            "ssl.ca.location: cannot be used: /nowhere",
        );
        refused(
            &[("security.protocol", "ssl"), ("ssl.ca.pem", "secret")],
            "ssl.ca.pem: cannot be used: there is no certificate",
        );
        refused(&[("security.protocol", "ssl"), ("ssl.key.pem", "secret")], "ssl.key.pem: cannot be used");
    }

    #[test]
    fn settings_mean_what_they_mean_to_librdkafka() {
        let ssl = ("security.protocol", "ssl");
        let tls = |settings: &[(&str, &str)]| read(&[&[ssl], settings].concat()).unwrap().tls.unwrap();
        assert!(tls(&[]).check_name);
        assert!(!tls(&[("ssl.endpoint.identification.algorithm", "none")]).check_name);
        assert_eq!(tls(&[]).connector.context().verify_mode(), SslVerifyMode::PEER);
        for off in ["false", "0", "f"] {
            let tls = tls(&[("enable.ssl.certificate.verification", off)]);
            assert_eq!(tls.connector.context().verify_mode(), SslVerifyMode::NONE);
        }
        let plain = read(&[]).unwrap();
        assert!(plain.tls.is_none() && plain.user.is_none());
    }
}
