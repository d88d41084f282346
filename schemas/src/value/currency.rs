//! Currencies by their ISO 4217 codes.

use std::{fmt, marker::PhantomData, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tributary_flow::DecodeError;

use crate::{
    codec::{Reader, Wire, fault, write_bytes},
    value::{Amount, Invalid, text::Text},
};

/// Three capital letters. That they are a currency is a question of its own, [`Currency::minor_units`]: the list
/// changes, and a record of last year must still be readable.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

/// The active codes of ISO 4217 (list one of 2026-01-01) by their digits after the point. Codes without minor units
/// (metals, baskets, `XTS`, `XXX`) are no money one can pay with and are left out.
const MINOR_UNITS: [(u32, &str); 4] = [
    (0, "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"),
    (
        2,
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW \
         CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF \
         IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK \
         MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP \
         SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG \
         YER ZAR ZMW ZWG",
    ),
    (3, "BHD IQD JOD KWD LYD OMR TND"),
    (4, "CLF UYW"),
];

/// A code's place in [`TABLE`]: its letters as a number in base 26.
const fn place(code: &[u8]) -> usize {
    ((code[0] - b'A') as usize * 26 + (code[1] - b'A') as usize) * 26 + (code[2] - b'A') as usize
}

/// Digits after the point by [`place`], [`NONE`] where there is no such currency.
static TABLE: [u8; 26 * 26 * 26] = table();
const NONE: u8 = u8::MAX;

const fn table() -> [u8; 26 * 26 * 26] {
    let mut table = [NONE; 26 * 26 * 26];
    let mut row = 0;
    while row < MINOR_UNITS.len() {
        let (digits, codes) = MINOR_UNITS[row];
        let codes = codes.as_bytes();
        let mut start = 0;
        while start + 3 <= codes.len() {
            table[place(&[codes[start], codes[start + 1], codes[start + 2]])] = digits as u8;
            start += 4;
        }
        row += 1;
    }
    table
}

impl Currency {
    /// The currency of a code in a source file.
    ///
    /// # Panics
    /// Where the code is not three capital letters; in a `const` that is an error of the compiler.
    #[must_use]
    pub const fn of(code: &str) -> Self {
        let bytes = code.as_bytes();
        assert!(bytes.len() == 3, "a currency is three capital letters");
        let code = [bytes[0], bytes[1], bytes[2]];
        assert!(Self::is_code(code), "a currency is three capital letters");
        Currency(code)
    }

    const fn is_code(code: [u8; 3]) -> bool {
        code[0].is_ascii_uppercase() && code[1].is_ascii_uppercase() && code[2].is_ascii_uppercase()
    }

    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Capital letters are UTF-8; no other Currency can be made.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Digits after the point, 0 to 4; none for a code that is not an active currency.
    #[must_use]
    pub fn minor_units(self) -> Option<u32> {
        let digits = TABLE[place(&self.0)];
        (digits != NONE).then_some(u32::from(digits))
    }

    /// Whether the amount has no more digits than the currency; never for a code that is not an active currency.
    #[must_use]
    pub fn fits(self, amount: Amount) -> bool {
        self.minor_units().is_some_and(|digits| amount.0 % 10_i128.pow(Amount::SCALE - digits) == 0)
    }
}

impl FromStr for Currency {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match <[u8; 3]>::try_from(text.as_bytes()) {
            Ok(code) if Self::is_code(code) => Ok(Currency(code)),
            _ => Err(Invalid(format!("{text:?} is no currency: three capital letters, as \"EUR\""))),
        }
    }
}

impl AsRef<str> for Currency {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Wire for Currency {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.text()?.parse().map_err(|Invalid(reason)| fault(reason))
    }

    fn write(&self, out: &mut Vec<u8>) {
        write_bytes(&self.0, out);
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Text("a currency, three capital letters", PhantomData))
    }
}
