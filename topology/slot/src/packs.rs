//! Where rows that last lie in a changelog. Under its own key each would be a record, which costs a broker and whoever restores
//! more than its bytes do; so those of an epoch lie together, in *packs*. A pack has a key that nobody uses again, and so
//! stays for good: what it says of a row is overruled by what a later one does, a deletion too.
//!
//! Deliberately absent: making room. What later packs overrule stays; hence only rows that are written a few times in their lives
//! may lie here.

/// First byte of a pack's key in a changelog; no state row begins so. Packs come before seats, in an epoch's order of keys.
pub(crate) const PACK: u8 = b'P';

/// A pack takes no more rows once it has so many bytes: whoever restores in steps can make small ones.
const BYTES: usize = 4 * 1024;

/// The length of a value that is none: the row is deleted.
const DELETED: u32 = u32::MAX;

/// Packs the rows of the epoch with this number, and hands each pack to `write` with its key.
pub(crate) fn pack<'a, E>(
    epoch: u64,
    rows: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)>,
    mut write: impl FnMut(&[u8], &[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let (mut number, mut pack) = (0_u32, Vec::new());
    let mut close = |pack: &mut Vec<u8>| {
        let key = [&[PACK][..], &epoch.to_be_bytes(), &number.to_be_bytes()].concat();
        number += 1;
        let written = write(&key, pack);
        pack.clear();
        written
    };
    for (key, value) in rows {
        let length = value.map_or(DELETED, |value| value.len() as u32);
        pack.extend_from_slice(&(key.len() as u32).to_be_bytes());
        pack.extend_from_slice(&length.to_be_bytes());
        pack.extend_from_slice(key);
        pack.extend_from_slice(value.unwrap_or_default());
        if pack.len() >= BYTES {
            close(&mut pack)?;
        }
    }
    if pack.is_empty() { Ok(()) } else { close(&mut pack) }
}

/// The rows of a pack, in order of key.
pub(crate) fn unpack(mut pack: &[u8]) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
    std::iter::from_fn(move || {
        let (key, rest) = pack.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk().expect("invariant: a row of a pack has two lengths");
        let (key, rest) = rest.split_at(u32::from_be_bytes(*key) as usize);
        let length = u32::from_be_bytes(*length);
        let (value, rest) = rest.split_at(if length == DELETED { 0 } else { length as usize });
        pack = rest;
        Some((key, (length != DELETED).then_some(value)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked_and_packs_are_small_and_in_order() {
        let rows: Vec<_> =
            (0..900_u32).map(|n| (n.to_be_bytes(), (n % 3 > 0).then(|| vec![7; n as usize / 9]))).collect();
        let mut packs: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let all = rows.iter().map(|(key, value)| (&key[..], value.as_deref()));
        let Ok(()) = pack::<std::convert::Infallible>(5, all.clone(), |key, pack| {
            packs.push((key.to_vec(), pack.to_vec()));
            Ok(())
        });
        assert!(packs.len() > 5 && packs.iter().all(|(_, pack)| pack.len() < 2 * BYTES));
        assert!(packs.is_sorted_by(|a, b| a.0 < b.0));
        assert!(packs.iter().flat_map(|(_, pack)| unpack(pack)).eq(all));
    }
}
