use tributary_flow::{Date, Timestamp};

use super::{AccountId, Amount, Currency, Invalid, TransactionId, chart, time::Calendar};
use crate::{AccountKind, Money, Side};

const EUR: Currency = Currency::of("EUR");
const JPY: Currency = Currency::of("JPY");
const KWD: Currency = Currency::of("KWD");

#[test]
fn amounts_are_read_exactly_or_not_at_all() {
    for (text, expected) in [
        ("0", 0),
        ("-0", 0),
        ("12", 120_000),
        ("12.3400", 123_400),
        ("12.34000", 123_400),
        ("0.0001", 1),
        ("-0.5", -5_000),
        ("007", 70_000),
        ("9999999999999999999999999999999999.9999", 10_i128.pow(38) - 1),
    ] {
        assert_eq!(Amount::parse_exact(text), Ok(Amount(expected)), "{text}");
    }
    for text in [
        "", "-", ".", ".5", "5.", "+1", "1e3", "1,5", "1_000", " 1", "1 ", "0x1", "--1", "1.2.3", "NaN", "١", "0.00001",
    ] {
        assert!(Amount::parse_exact(text).is_err(), "{text}");
    }
    assert!(Amount::parse_exact("10000000000000000000000000000000000").is_err(), "39 digits");
    assert!(Amount::parse_exact(&"9".repeat(1_000)).is_err());
}

#[test]
fn amounts_are_written_with_the_currency_s_digits_and_never_rounded() {
    let amount = Amount(123_400);
    assert_eq!(
        (amount.to_string(), amount.to_string_in(EUR), amount.to_string_in(KWD)),
        ("12.34".into(), "12.34".into(), "12.340".into())
    );
    assert_eq!(Amount(-5_000).to_string_in(EUR), "-0.50");
    assert_eq!(Amount(10_000).to_string_in(JPY), "1");
    assert_eq!(Amount(1).to_string_in(JPY), "0.0001", "more digits than the yen has are shown");
    assert_eq!(Amount::MIN.to_string(), "-9999999999999999999999999999999999.9999");
    assert_eq!(Money::of(Amount(123_000), EUR).to_string(), "12.30 EUR");
}

#[test]
fn sums_stop_where_38_digits_end() {
    assert_eq!(Amount::MAX.checked_add(Amount(1)), None);
    assert_eq!(Amount::MIN.checked_sub(Amount(1)), None);
    assert_eq!(Amount::MAX.checked_add(-Amount::MAX), Some(Amount::ZERO));
    assert_eq!(Amount::checked_sum([Amount(1), Amount(2), Amount(-3)]), Some(Amount::ZERO));
    assert_eq!(Amount(i128::MAX).checked_add(Amount(i128::MAX)), None);
}

#[test]
fn minor_units_follow_iso_4217() {
    for (code, digits) in
        [("JPY", 0), ("EUR", 2), ("USD", 2), ("KWD", 3), ("CLF", 4), ("ISK", 0), ("XOF", 0), ("UYI", 0), ("ZWG", 2)]
    {
        assert_eq!(Currency::of(code).minor_units(), Some(digits), "{code}");
    }
    for code in ["XXX", "XAU", "XTS", "AAA", "ZZZ", "DEM"] {
        assert_eq!(Currency::of(code).minor_units(), None, "{code}");
    }
    let letters = || b'A'..=b'Z';
    let codes = letters().flat_map(|a| letters().flat_map(move |b| letters().map(move |c| [a, b, c])));
    let known = codes.filter(|code| {
        let code = std::str::from_utf8(code).expect("letters are UTF-8");
        Currency::of(code).minor_units().is_some()
    });
    assert_eq!(known.count(), 165, "active codes with minor units");
}

#[test]
fn an_amount_fits_its_currency_or_not() {
    assert!(EUR.fits(Amount(123_400)) && !EUR.fits(Amount(123_450)));
    assert!(JPY.fits(Amount(-120_000)) && !JPY.fits(Amount(123_400)));
    assert!(KWD.fits(Amount(123_450)) && !KWD.fits(Amount(123_456)));
    assert!(!Currency::of("XXX").fits(Amount::ZERO), "no currency");
    assert_eq!(
        (Amount::from_minor(1_234, EUR), Amount::from_minor(5, JPY)),
        (Some(Amount(123_400)), Some(Amount(50_000)))
    );
}

#[test]
fn a_currency_is_three_capital_letters() {
    assert_eq!("EUR".parse(), Ok(EUR));
    for text in ["", "EU", "EURO", "eur", "E1R", "ÄB"] {
        let Err(Invalid(reason)) = text.parse::<Currency>() else { panic!("{text} was taken") };
        assert!(reason.contains("three capital letters"), "{reason}");
    }
}

#[test]
fn ids_are_plain_and_bounded() {
    let longest = "a".repeat(64);
    for text in ["a", "A-1_b.2", "0", &longest] {
        assert!(AccountId::parse(text).is_ok() && TransactionId::parse(text).is_ok(), "{text}");
    }
    let longer = "a".repeat(65);
    for text in ["", " ", "a b", "a/b", "ä", "a\n", "a:b", &longer] {
        assert!(AccountId::parse(text).is_err() && TransactionId::parse(text).is_err(), "{text}");
    }
}

#[test]
fn system_accounts_are_known_by_their_ids() {
    let parse = |text: &str| AccountId::parse(text).ok();
    let world = parse("world:EUR:07").expect("a system account");
    let system = world.system().expect("a system account");
    assert_eq!((system.name, system.currency, system.shard), ("world", EUR, Some(7)));
    assert_eq!(AccountId::of_system("world", EUR, 7), Ok(world));
    assert_eq!(parse("fees:JPY").expect("one").system().expect("one").shard, None);
    assert_eq!(parse("alice").expect("one").system(), None);
    for text in [
        "world:eur",
        "world:EUR:7",
        "world:EUR:007",
        "world:EUR:0x",
        "world:EUR:07:1",
        ":EUR",
        "a b:EUR",
        "world:",
        "world:EUR:",
    ] {
        assert_eq!(parse(text), None, "{text}");
    }
    assert!(TransactionId::parse("world:EUR").is_err());
    assert!(AccountId::of_system("world", EUR, 100).is_err());
}

#[test]
fn the_chart_names_kinds_and_their_normal_sides() {
    let kind = |id: &str| chart::lookup(&AccountId::parse(id).expect("an id")).map(|row| row.kind);
    assert_eq!(kind("world:EUR:07"), Some(AccountKind::Equity));
    assert_eq!(kind("fees:EUR"), Some(AccountKind::Income));
    assert_eq!(kind("position:EUR:00"), Some(AccountKind::Asset));
    assert_eq!(kind("suspense:EUR:99"), Some(AccountKind::Liability));
    assert_eq!((kind("other:EUR"), kind("world")), (None, None));
    assert_eq!(AccountKind::Asset.normal_side(), Side::Debit);
    assert_eq!(AccountKind::Expense.normal_side(), Side::Debit);
    assert_eq!(AccountKind::Liability.normal_side(), Side::Credit);
    assert_eq!(Side::Debit.opposite(), Side::Credit);
}

#[test]
fn times_are_read_to_the_microsecond_and_no_finer() {
    assert_eq!(Timestamp(1_767_323_045_000_006).write().as_deref(), Some("2026-01-02T03:04:05.000006Z"));
    assert_eq!(Timestamp::parse("2026-01-02T04:04:05.000006+01:00"), Ok(Timestamp(1_767_323_045_000_006)));
    assert_eq!(Timestamp::parse("1969-12-31T23:59:59.999999Z"), Ok(Timestamp(-1)));
    for text in ["2026-01-02T03:04:05.0000061Z", "2026-01-02", "2026-01-02T03:04:05", "now", ""] {
        assert!(Timestamp::parse(text).is_err(), "{text}");
    }
    assert_eq!(Timestamp(i64::MAX).write(), None, "after the year 9999 there are only numbers");
}

#[test]
fn days_are_read_as_days() {
    assert_eq!(Date(20_455).write().as_deref(), Some("2026-01-02"));
    assert_eq!(Date::parse("2026-01-02"), Ok(Date(20_455)));
    assert_eq!(Date::parse("1969-12-31"), Ok(Date(-1)));
    assert_eq!(Date(-1).write().as_deref(), Some("1969-12-31"));
    for text in ["2026-02-30", "2026-01-02T03:04:05Z", "2026-01-02 03:04", "02.01.2026", ""] {
        assert!(Date::parse(text).is_err(), "{text}");
    }
    assert_eq!(Date(i32::MAX).write(), None);
}
