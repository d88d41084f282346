//! What counts, for how long, and what is given back.

use super::*;

#[test]
fn payments_count_while_they_are_pending() {
    let mut bench = bench(SMALL);
    for n in 1..=3 {
        assert_eq!(codes(&pay(&mut bench, &format!("t{n}"), "1.00 EUR")), ["new_payee"]);
    }
    let fourth = pay(&mut bench, "t4", "1.00 EUR");
    assert_eq!(summary(&fourth), (RiskDecision::Review, 60, vec!["new_payee", "velocity_count"]));
    assert_eq!(fourth.reasons[1].values["count"], "4");
    cancel(&mut bench, "t4", "alice");
    cancel(&mut bench, "t3", "alice");
    assert_eq!(codes(&pay(&mut bench, "t5", "1.00 EUR")), ["new_payee"]);
}

#[test]
fn a_sum_above_the_limit_hits_and_currencies_are_counted_apart() {
    let mut bench = bench(SMALL);
    for n in 1..=2 {
        pay(&mut bench, &format!("t{n}"), "100.00 EUR");
    }
    assert_eq!(codes(&pay(&mut bench, "t3", "50.50 EUR")), ["new_payee"], "the limit itself is within");
    assert_eq!(codes(&pay(&mut bench, "t4", "100.00 USD")), ["new_payee"]);
    cancel(&mut bench, "t1", "alice");
    assert_eq!(codes(&pay(&mut bench, "t5", "100.01 EUR"))[2..], ["velocity_sum"]);
}

#[test]
fn a_payment_counts_for_its_window_and_at_most_a_bucket_longer() {
    let mut bench = bench(SMALL);
    let start = bench.now;
    pay(&mut bench, "t1", "7.00 EUR");
    let mut seen_at = |seconds: i64| {
        bench.now = start.plus(seconds * SECOND - 1);
        let n = seconds.to_string();
        pay(&mut bench, &n, "1.00 EUR");
        cancel(&mut bench, &n, "alice");
        totals(&bench)
    };
    assert_eq!(seen_at(60), [(1, "7".to_owned()), (1, "7".to_owned())]);
    assert_eq!(seen_at(70)[0], (1, "7".to_owned()), "its bucket reaches into the window still");
    assert_eq!(seen_at(71), [(0, "0".to_owned()), (1, "7".to_owned())]);
    assert_eq!(seen_at(3600)[1].0, 1);
    assert_eq!(seen_at(4201)[1].0, 0);
}

#[test]
fn buckets_are_dropped_as_windows_pass_and_no_step_costs_more_for_those_that_are_left() {
    let mut bench = bench(SMALL);
    let mut most = 0;
    for n in 0..2_000_i64 {
        bench.now = bench.now.plus(5 * SECOND);
        let t = n.to_string();
        pay(&mut bench, &t, "0.01 EUR");
        most = most.max(bench.touched());
        confirm(&mut bench, &t, "alice", &["0.01 EUR"], true);
    }
    let buckets = bench.reader().rows("alice", &BUCKETS, Page::all());
    let of = |seconds| buckets.iter().filter(|((window, ..), _)| *window == seconds).count();
    assert!((6..=7).contains(&of(60)) && (6..=7).contains(&of(3600)), "{} and {}", of(60), of(3600));
    assert!(most < 500, "{most} bytes");
    assert!(bench.reader().rows("alice", &PENDING, Page::all()).is_empty());
    assert!((12..=14).contains(&totals(&bench)[0].0));
    // The total is what its buckets hold.
    let open = bench.reader().row("alice", &VELOCITY, &"EUR".to_owned()).unwrap()[0].open.count;
    let closed: u64 = buckets.iter().filter(|((window, ..), _)| *window == 60).map(|(_, tally)| tally.count).sum();
    assert_eq!(totals(&bench)[0].0, open + closed);
}

#[test]
fn what_is_given_back_goes_to_the_bucket_it_was_counted_in() {
    let mut bench = bench(SMALL);
    pay(&mut bench, "t1", "5.00 EUR");
    bench.now = bench.now.plus(25 * SECOND);
    pay(&mut bench, "t2", "3.00 EUR");
    cancel(&mut bench, "t1", "alice");
    assert_eq!(totals(&bench), [(1, "3".to_owned()), (1, "3".to_owned())]);
    assert!(bench.reader().rows("alice", &BUCKETS, Page::all()).is_empty(), "an empty bucket is no row");
    // t1's bucket would have left first; t2 must not leave with it.
    bench.now = bench.now.plus(50 * SECOND);
    pay(&mut bench, "t3", "1.00 EUR");
    assert_eq!(totals(&bench)[0], (2, "4".to_owned()));
}

#[test]
fn what_left_its_window_is_not_given_back_twice() {
    let mut bench = bench(SMALL);
    pay(&mut bench, "t1", "5.00 EUR");
    bench.now = bench.now.plus(3_000 * SECOND);
    pay(&mut bench, "t2", "3.00 EUR");
    cancel(&mut bench, "t1", "alice");
    assert_eq!(totals(&bench), [(1, "3".to_owned()), (1, "3".to_owned())]);
    cancel(&mut bench, "t1", "alice");
    assert_eq!(totals(&bench), [(1, "3".to_owned()), (1, "3".to_owned())], "a transaction is forgotten when it ends");
}

#[test]
fn a_partial_post_keeps_what_was_posted_and_gives_back_the_rest_at_its_end() {
    let mut bench = bench(SMALL);
    pay(&mut bench, "t1", "100.00 EUR");
    confirm(&mut bench, "t1", "alice", &["30.00 EUR"], false);
    confirm(&mut bench, "t1", "alice", &["20.00 EUR"], false);
    assert_eq!(totals(&bench)[0], (1, "100".to_owned()), "the rest is still held");
    confirm(&mut bench, "t1", "alice", &["10.00 EUR"], true);
    assert_eq!(totals(&bench)[0], (1, "60".to_owned()));

    pay(&mut bench, "t2", "100.00 EUR");
    confirm(&mut bench, "t2", "alice", &["40.00 EUR"], false);
    cancel(&mut bench, "t2", "alice");
    assert_eq!(totals(&bench)[0], (2, "100".to_owned()), "a hold that expires after a posting");

    pay(&mut bench, "t3", "100.00 EUR");
    confirm(&mut bench, "t3", "alice", &[], true);
    assert_eq!(totals(&bench)[0], (2, "100".to_owned()), "released without a posting of its own");
    assert!(bench.reader().rows("alice", &PENDING, Page::all()).is_empty());
}

#[test]
fn a_window_that_new_rules_drop_goes_with_the_next_payment_and_one_they_add_begins_empty() {
    let mut bench = bench(SMALL);
    pay(&mut bench, "t1", "5.00 EUR");
    bench.now = bench.now.plus(700 * SECOND);
    pay(&mut bench, "t2", "5.00 EUR");
    assert_eq!(bench.reader().rows("alice", &BUCKETS, Page::all()).len(), 1);
    bench.processor = RiskProcessor::from_json(&SMALL.replace("3600", "7200")).unwrap();
    pay(&mut bench, "t3", "5.00 EUR");
    assert_eq!(totals(&bench), [(2, "10".to_owned()), (1, "5".to_owned())]);
    assert!(bench.reader().rows("alice", &BUCKETS, Page::all()).is_empty());
    cancel(&mut bench, "t1", "alice");
    assert_eq!(totals(&bench), [(2, "10".to_owned()), (1, "5".to_owned())]);
}

#[test]
fn amounts_beyond_measure_neither_wrap_nor_stop_the_task() {
    let mut bench = bench(SMALL);
    let most = format!("{} EUR", Amount::MAX);
    for n in 0..3 {
        let assessed = ask(&mut bench, &n.to_string(), "alice", Side::Debit, &[&most, &most], &["bob"]);
        assert_eq!((assessed.decision, assessed.score), (RiskDecision::Decline, 100));
    }
    for n in 0..3 {
        cancel(&mut bench, &n.to_string(), "alice");
    }
    assert_eq!(totals(&bench)[0], (0, "0".to_owned()));
}

/// Ten thousand random steps against a model that keeps every payment and sums them anew each time.
#[test]
fn totals_are_what_a_sum_over_all_payments_says() {
    let mut bench = bench(SMALL);
    let windows = Rules::from_json(SMALL).unwrap().velocity;
    let mut seed = 7_u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    // When, what counts of it, what is still held of it.
    let mut model: Vec<(Timestamp, u64, u64, u64)> = Vec::new();
    let cents = |n: u64| format!("{}.{:02} EUR", n / 100, n % 100);
    for _ in 0..10_000 {
        let most = if random(50) == 0 { 5_000 } else { 12 };
        bench.now = bench.now.plus(random(most).cast_signed() * SECOND);
        let open: Vec<_> = (0..model.len()).rev().take(30).filter(|at| model[*at].3 > 0).collect();
        let chosen = open.get(random(40) as usize).copied();
        match (chosen, random(4)) {
            (Some(at), 0) => {
                cancel(&mut bench, &at.to_string(), "alice");
                let (_, count, sum, held) = &mut model[at];
                *sum -= std::mem::take(held);
                *count = u64::from(*sum > 0);
            }
            (Some(at), kind) => {
                let (_, count, sum, held) = &mut model[at];
                let (posted, last) = (random(*held + 1), kind == 1);
                let lines = if posted == 0 { vec![] } else { vec![cents(posted)] };
                let lines: Vec<_> = lines.iter().map(String::as_str).collect();
                confirm(&mut bench, &at.to_string(), "alice", &lines, last);
                *held -= posted;
                if last {
                    *sum -= std::mem::take(held);
                    *count = u64::from(*sum > 0);
                }
            }
            (None, _) => {
                let amount = 1 + random(9_999);
                pay(&mut bench, &model.len().to_string(), &cents(amount));
                model.push((bench.now, 1, amount, amount));
                let expected: Vec<_> = windows
                    .iter()
                    .map(|window| {
                        let seen = model.iter().filter(|(at, ..)| window.bucket_of(*at) >= window.horizon(bench.now));
                        seen.fold((0, 0), |(count, sum), (_, more, cents, _)| (count + more, sum + cents))
                    })
                    .map(|(count, sum): (u64, u64)| (count, Amount(i128::from(sum) * 100).to_string()))
                    .collect();
                assert_eq!(totals(&bench), expected);
            }
        }
    }
    assert!(model.len() > 1_000, "{} payments", model.len());
}
