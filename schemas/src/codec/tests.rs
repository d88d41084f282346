use std::collections::BTreeMap;

use tributary_flow::DecodeError;

use super::{At, Reader, Wire, fault, read_decimal, write_decimal, write_long};

fn long(bytes: &[u8]) -> Result<i64, DecodeError> {
    let mut reader = Reader::new(bytes);
    let value = reader.long()?;
    reader.finish()?;
    Ok(value)
}

#[test]
fn numbers_are_as_the_avro_specification_has_them() {
    let cases: [(i64, &[u8]); 9] = [
        (0, &[0]),
        (-1, &[1]),
        (1, &[2]),
        (-2, &[3]),
        (-64, &[0x7f]),
        (64, &[0x80, 0x01]),
        (i64::from(i32::MAX), &[0xfe, 0xff, 0xff, 0xff, 0x0f]),
        (i64::MAX, &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        (i64::MIN, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
    ];
    for (value, bytes) in cases {
        let mut out = Vec::new();
        write_long(value, &mut out);
        assert_eq!(out, bytes, "{value}");
        assert_eq!(long(bytes), Ok(value));
    }
}

#[test]
fn a_number_that_is_cut_off_or_too_long_is_refused() {
    assert!(long(&[]).is_err());
    assert!(long(&[0x80]).is_err());
    assert!(long(&[0xff; 10]).is_err());
    assert!(long(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02]).is_err());
    assert!(Reader::new(&[0x80, 0x80, 0x80, 0x80, 0x10]).int().is_err(), "2^31 is no int");
}

#[test]
fn decimals_take_as_few_bytes_as_hold_them() {
    let cases: [(i128, &[u8]); 9] = [
        (0, &[2, 0]),
        (1, &[2, 1]),
        (-1, &[2, 0xff]),
        (127, &[2, 0x7f]),
        (128, &[4, 0, 0x80]),
        (-128, &[2, 0x80]),
        (-129, &[4, 0xff, 0x7f]),
        (123_400, &[6, 0x01, 0xe2, 0x08]),
        (-123_400, &[6, 0xfe, 0x1d, 0xf8]),
    ];
    for (value, bytes) in cases {
        let mut out = Vec::new();
        write_decimal(value, &mut out);
        assert_eq!(out, bytes, "{value}");
        assert_eq!(read_decimal(&mut Reader::new(bytes)), Ok(value));
    }
}

#[test]
fn decimals_of_any_length_up_to_sixteen_bytes_are_read() {
    for value in [i128::MAX, i128::MIN, 10_i128.pow(38) - 1, 1 - 10_i128.pow(38)] {
        let mut out = Vec::new();
        write_decimal(value, &mut out);
        assert_eq!(read_decimal(&mut Reader::new(&out)), Ok(value));
    }
    assert_eq!(read_decimal(&mut Reader::new(&[0])), Ok(0), "no bytes are zero");
    assert_eq!(read_decimal(&mut Reader::new(&[6, 0xff, 0xff, 0xff])), Ok(-1), "padded");
    assert!(read_decimal(&mut Reader::new(&[[34].as_slice(), &[0; 17]].concat())).is_err(), "17 bytes");
}

#[test]
fn arrays_come_in_blocks_with_and_without_sizes() {
    let read = |bytes: &[u8]| Vec::<i64>::read(&mut Reader::new(bytes));
    assert_eq!(read(&[0]), Ok(vec![]));
    assert_eq!(read(&[4, 2, 4, 0]), Ok(vec![1, 2]));
    assert_eq!(read(&[2, 2, 2, 4, 0]), Ok(vec![1, 2]), "two blocks");
    assert_eq!(read(&[3, 4, 2, 4, 0]), Ok(vec![1, 2]), "count -2, 2 bytes");
    assert!(read(&[3, 2, 2, 4, 0]).is_err(), "the size is a lie");
    assert!(read(&[3, 200, 2, 2, 4, 0]).is_err(), "the size is above what is left");
    assert!(read(&[3, 1, 2, 4, 0]).is_err(), "the size is negative");
}

#[test]
fn a_count_is_believed_only_with_bytes_behind_it() {
    for count in [i64::MAX, i64::MIN, -1_000_000_000, 1_000_000_000, 3] {
        let mut bytes = Vec::new();
        write_long(count, &mut bytes);
        bytes.extend_from_slice(&[4, 2]);
        let error = Vec::<i64>::read(&mut Reader::new(&bytes)).expect_err("a lie");
        assert!(
            count < 0 || error.reason.contains("items"),
            "refused before the first item, not after the last: {error}"
        );
        assert!(BTreeMap::<String, String>::read(&mut Reader::new(&bytes)).is_err(), "map, {count}");
        assert!(String::read(&mut Reader::new(&bytes)).is_err(), "string, {count}");
    }
}

#[test]
fn what_is_no_boolean_no_branch_or_no_text_is_refused() {
    assert!(bool::read(&mut Reader::new(&[2])).is_err());
    assert!(Option::<bool>::read(&mut Reader::new(&[4, 1])).is_err());
    assert!(Option::<bool>::read(&mut Reader::new(&[1, 1])).is_err(), "branch -1");
    assert!(String::read(&mut Reader::new(&[4, 0xc3, 0x28])).is_err());
}

#[test]
fn an_error_says_where() {
    let error = Err::<(), _>(fault("wrong")).at("amount").at("2").at("legs").at("body");
    assert_eq!(error.map_err(|error| error.to_string()), Err("body.legs.2.amount: wrong".to_owned()));
}
