//! Who is let in: by name and password, or by a certificate, on connections that the broker ends while nothing goes over them, or when it
//! wants to hear again who is there.

use tributary_cli::managed::{free_port, java};

use super::*;

const PASSWORD: &str = "let me in";
/// For how long the broker believes who is there, and bears a connection that nothing goes over.
const PATIENCE: Duration = Duration::from_secs(2);

/// A certificate that says who it is, and is believed: its files.
struct Certificate {
    certificate: String,
    key: String,
    both: String,
}

fn certificate(folder: &Path, name: &str) -> Certificate {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let write = |ending: &str, text: String| {
        let file = folder.join(format!("{name}.{ending}.pem"));
        std::fs::write(&file, text).unwrap();
        file.display().to_string()
    };
    let both = write("both", format!("{key}{certificate}"));
    Certificate { certificate: write("cert", certificate), key: write("key", key), both }
}

/// The highest epoch of any producer in the first segments of a topic. A producer that was initialised anew has the next one. Source:
/// <https://kafka.apache.org/documentation/#recordbatch>.
fn producer_epoch(folder: &Path, topic: &str) -> i16 {
    let mut highest = -1;
    for partition in 0..PARTITIONS {
        let segment = folder.join(format!("kafka/log/{topic}-{partition}/00000000000000000000.log"));
        let bytes = std::fs::read(segment).unwrap();
        let mut rest = bytes.as_slice();
        while rest.len() > 61 {
            let size = 12 + u32::from_be_bytes(rest[8..12].try_into().unwrap()) as usize;
            highest = highest.max(i16::from_be_bytes(rest[51..53].try_into().unwrap()));
            rest = rest.get(size..).unwrap_or_default();
        }
    }
    highest
}

#[test]
fn the_engine_is_let_in_however_it_proves_who_it_is_and_stays() {
    let folder = tempfile::tempdir().unwrap();
    let [plain, named, keyed, controller] = [(); 4].map(|()| free_port().unwrap());
    let (host, us) = (certificate(folder.path(), "localhost"), certificate(folder.path(), "us"));
    let listeners = format!("PLAINTEXT://127.0.0.1:{plain},NAMED://127.0.0.1:{named},KEYED://127.0.0.1:{keyed}");
    let mut kafka = KafkaOptions::new(folder.path().join("kafka")).unwrap().port(plain).lifetime(Lifetime::Minutes);
    let scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;";
    kafka.settings = [
        ("listeners", format!("{listeners},CONTROLLER://127.0.0.1:{controller}")),
        ("advertised.listeners", listeners.replace("127.0.0.1", "localhost")),
        ("controller.quorum.voters", format!("1@127.0.0.1:{controller}")),
        ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,NAMED:SASL_SSL,KEYED:SSL".into()),
        ("listener.name.keyed.ssl.client.auth", "required".into()),
        ("ssl.keystore.type", "PEM".into()),
        ("ssl.keystore.location", host.both.clone()),
        ("ssl.truststore.type", "PEM".into()),
        ("ssl.truststore.location", us.certificate.clone()),
        ("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512".into()),
        (
            "listener.name.named.plain.sasl.jaas.config",
            format!("org.apache.kafka.common.security.plain.PlainLoginModule required user_us=\"{PASSWORD}\";"),
        ),
        ("listener.name.named.scram-sha-256.sasl.jaas.config", scram.into()),
        ("listener.name.named.scram-sha-512.sasl.jaas.config", scram.into()),
        ("connections.max.reauth.ms", PATIENCE.as_millis().to_string()),
        ("connections.max.idle.ms", PATIENCE.as_millis().to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    let jars = format!("{}/*", kafka.jars.display());
    let kafka = Kafka::start(kafka).unwrap();
    let plan = admin::plan(toy::NODES, PARTITIONS, 1);
    assert_eq!(admin::create_topics(&kafka.bootstrap, &BTreeMap::new(), &plan).unwrap(), []);
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let made = Command::new(java::find(17).unwrap())
            .args(["-cp", &jars, "kafka.admin.ConfigCommand", "--bootstrap-server", &kafka.bootstrap, "--alter"])
            .args(["--entity-type", "users", "--entity-name", "us"])
            .args(["--add-config", &format!("{mechanism}=[password={PASSWORD}]")])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
    }

    let by_name = |mechanism: &str| {
        vec![
            ("security.protocol", "SASL_SSL".to_owned()),
            ("sasl.mechanism", mechanism.to_owned()),
            ("sasl.username", "us".to_owned()),
            ("sasl.password", PASSWORD.to_owned()),
        ]
    };
    let by_key = vec![
        ("security.protocol", "ssl".to_owned()),
        ("ssl.certificate.location", us.certificate.clone()),
        ("ssl.key.location", us.key.clone()),
    ];
    let ways = [
        (named, by_name("PLAIN")),
        (named, by_name("SCRAM-SHA-256")),
        (named, by_name("SCRAM-SHA-512")),
        (keyed, by_key),
    ];
    let mut asked = 0;
    for (port, settings) in ways {
        println!("{settings:?}");
        let mut options = options(&format!("localhost:{port}"), &folder.path().join("state"), "slot-0");
        options.client = settings.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        options.client.insert("ssl.ca.location".into(), host.certificate.clone());
        let make = Arc::new(|partition| toy::tasks(partition, PARTITIONS));
        let broker = Broker::start(options, toy::NODES, make).unwrap();
        let mut count = || {
            ask(&broker, asked, asked + 100, 1_000_000);
            asked += 100;
            all_counted(&broker, asked);
            producer_epoch(folder.path(), ENTRIES)
        };
        let before = count();
        std::thread::sleep(PATIENCE + PATIENCE / 2);
        assert_eq!(before, count(), "the producer was lost over a connection that was closed");
    }
}
