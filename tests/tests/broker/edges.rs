//! How quick it is, and what it refuses.

use super::*;

#[test]
fn commits_stay_quick_under_a_moderate_load() {
    let folder = tempfile::tempdir().unwrap();
    let kafka = cluster(folder.path());
    let broker = start(&kafka.bootstrap, &folder.path().join("state"), "slot-0");
    eventually("running", 30, || owns_all(&broker));
    let news = Arc::new(AtomicU64::new(0));
    let heard = news.clone();
    broker.on_commit(Box::new(move || {
        heard.fetch_add(1, Ordering::Relaxed);
    }));
    ask(&broker, 0, 2_000, 400);
    all_counted(&broker, 2_000);
    // The trap of slices shows in each commit; how slow the machine is shows in most.
    let mut asked = 2_000;
    while asked < 12_000 {
        ask(&broker, asked, asked + 2_000, 400);
        asked += 2_000;
        let commits = broker.commits();
        println!("400 commands/s, 2 hops: {commits:?}; from submission to the second decision: {}", latency(&broker));
        if commits.p10 < Duration::from_millis(100) {
            break;
        }
        assert!(asked < 12_000, "{commits:?}");
    }
    assert!(news.load(Ordering::Relaxed) > 0);
    let since = Instant::now();
    ask(&broker, asked, asked + 40_000, 1_000_000);
    all_counted(&broker, asked + 40_000);
    println!("40000 commands as fast as they go, through both hops, in {:?}; {:?}", since.elapsed(), broker.commits());
    let status = broker.tasks();
    assert_eq!(status.len(), 6);
    assert!(status.iter().all(|task| task.halted.is_none()));
}

#[test]
fn commands_are_read_whatever_their_client_compresses_them_with() {
    let folder = tempfile::tempdir().unwrap();
    let kafka = cluster(folder.path());
    let broker = start(&kafka.bootstrap, &folder.path().join("state"), "slot-0");
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
    for (round, codec) in (0..).zip(codecs) {
        let mut options = options(&kafka.bootstrap, Path::new("unused"), "client");
        options.client.insert("compression.type".into(), codec.into());
        let client = Broker::client(&options, toy::NODES).unwrap();
        ask(&client, round * 100, (round + 1) * 100, 1_000_000);
    }
    all_counted(&broker, 100 * codecs.len() as u64);
}

#[test]
fn what_cannot_run_says_so_in_one_line() {
    let make = || Arc::new(|partition| toy::tasks(partition, PARTITIONS));
    let folder = tempfile::tempdir().unwrap();
    let nobody = Broker::start(options("127.0.0.1:1", folder.path(), "slot-0"), toy::NODES, make()).err().unwrap();
    assert!(matches!(nobody, StartError::Unreachable { .. }), "{nobody}");
    println!("{nobody}");
    let data = tempfile::tempdir().unwrap();
    let kafka = kafka(data.path());
    let mut plan = admin::plan(toy::NODES, PARTITIONS, 1);
    plan.iter_mut().for_each(|topic| {
        if topic.name == "toy.events.v1" {
            topic.partitions = 2;
        } else if topic.name == "node-first.journal.v1" {
            topic.configs.insert("retention.ms".into(), "1000".into());
        }
    });
    plan.retain(|topic| topic.name != "toy.entries.v1");
    assert_eq!(admin::create_topics(&kafka.bootstrap, &BTreeMap::new(), &plan).unwrap(), []);
    let wrong = Broker::start(options(&kafka.bootstrap, folder.path(), "slot-0"), toy::NODES, make()).err().unwrap();
    println!("{wrong}");
    let StartError::Topics(wrong) = wrong else { panic!("{wrong}") };
    assert_eq!(wrong.len(), 3);
    let mut strange = options(&kafka.bootstrap, folder.path(), "slot-0");
    strange.client.insert("no.such.setting".into(), "1".into());
    let strange = Broker::start(strange, toy::NODES, make()).err().unwrap();
    println!("{strange}");
    assert!(matches!(strange, StartError::Setting(_)));
    // What librdkafka knows, and the engine's own producer does not.
    let mut unknown = options(&kafka.bootstrap, folder.path(), "slot-0");
    unknown.client.insert("ssl.keystore.location".into(), "keys.p12".into());
    let unknown = Broker::start(unknown, toy::NODES, make()).err().unwrap();
    println!("{unknown}");
    assert!(matches!(&unknown, StartError::Setting(said) if said.contains("ssl.keystore.location")), "{unknown}");
}

#[test]
fn bad_bytes_become_dead_letters_and_a_wrong_clock_or_session_does_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let kafka = cluster(folder.path());
    let mut late = options(&kafka.bootstrap, &folder.path().join("late"), "slot-0");
    late.clock = || toy::clock().plus(-8_000_000);
    let late = Broker::client(&late, toy::NODES).err().unwrap();
    println!("{late}");
    assert!(matches!(late, StartError::Clock { seconds: -9..=-7, .. }));
    // As brokers come, they allow no less than six seconds.
    let mut hasty = options(&kafka.bootstrap, &folder.path().join("hasty"), "slot-0");
    hasty.session = Duration::from_secs(2);
    let hasty = Broker::start(hasty, toy::NODES, Arc::new(|partition| toy::tasks(partition, PARTITIONS))).unwrap();
    let failure = hasty.wait_failure(Duration::from_secs(30)).unwrap();
    println!("{failure}");
    assert!(matches!(failure, Failure::Session(_)), "{failure}");

    let broker = start(&kafka.bootstrap, &folder.path().join("state"), "slot-0");
    let (tell, told) = mpsc::channel();
    for (key, value) in [
        ("who", b"nonsense".to_vec()),
        ("who", Vec::new()),
        ("who", b"\0\0\0\0\x09{}".to_vec()),
        ("who", vec![0; 100_001]),
    ] {
        let tell = tell.clone();
        broker.submit(&toy::ASKS, key, value, Box::new(move |place| tell.send(place).unwrap()));
    }
    let refused = told.iter().take(4).filter(Result::is_err).count();
    assert_eq!(refused, 1, "what is over the limit is refused at the edge");
    ask(&broker, 0, 10, 1_000);
    all_counted(&broker, 10);
    let mut letters = Vec::new();
    for partition in 0..PARTITIONS {
        log::visit(&broker, tributary_flow::DEAD_LETTERS, partition, |record| {
            let header = |name: &str| {
                record
                    .headers
                    .iter()
                    .find(|(header, _)| header == name)
                    .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
            };
            letters.push((header("code").unwrap(), header("topic").unwrap(), record.value.clone().unwrap()));
            Ok::<_, LogError>(())
        })
        .unwrap();
    }
    let codes: Vec<&str> = letters.iter().map(|(code, ..)| code.as_str()).collect();
    assert_eq!(codes, ["bad_magic", "bad_magic", "unknown_schema"]);
    assert!(letters.iter().all(|(_, topic, _)| topic == "toy.commands.v1"));
    assert_eq!(letters[0].2, b"nonsense");
    assert_eq!(letters[1].2, b"", "an empty value is not an absent one");
}

/// From a command's own time to the decision of the second node, over the last thousand of each partition.
fn latency(broker: &Broker) -> String {
    let mut asked = BTreeMap::new();
    let mut micros = Vec::new();
    for topic in ["toy.commands.v1", "toy.entries.v1"] {
        for partition in 0..PARTITIONS {
            let end = Log::range(broker, topic, partition).unwrap().end;
            let mut next = end.saturating_sub(1_500);
            while let records = Log::read(broker, topic, partition, next, 2_000).unwrap()
                && let Some(last) = records.last()
            {
                next = last.offset + 1;
                for record in records {
                    let value = record.value.unwrap();
                    match tributary_flow::Body::decode(&value[5..]) {
                        Ok((Header::Command(command), toy::Ask { .. })) => drop(asked.insert(command.id, command.time)),
                        _ => {
                            let (header, counted) =
                                <toy::Counted as tributary_flow::Body>::decode(&value[5..]).unwrap();
                            let (Header::Fact(fact), Some(asked)) = (header, asked.get(&counted.command)) else {
                                continue;
                            };
                            micros.push(fact.time.0 - asked.0);
                        }
                    }
                }
            }
        }
    }
    micros.sort_unstable();
    let at = |hundredths: usize| micros[(micros.len() * hundredths / 100).min(micros.len() - 1)] / 1_000;
    format!("p50 {} ms, p99 {} ms of {}", at(50), at(99), micros.len())
}
