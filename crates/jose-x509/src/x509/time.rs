//! UTCTime and GeneralizedTime (RFC 5280, section 4.1.2.5).

use der::DateTime;
use pki_types::UnixTime;

use super::asn1::{Element, Result, Tag};
use super::error::{CertificateProblem, Field};

/// Reads a time, which has whole seconds, `Z`, and a date that exists from 1970 to 9999.
pub(super) fn parse(element: &Element<'_>, field: Field) -> Result<UnixTime> {
    let (year, rest) = match (element.tag, element.value) {
        (Tag::UTC_TIME, [y1, y2, rest @ ..]) => {
            let year = digits(*y1, *y2).ok_or(CertificateProblem::InvalidTime { field })?;
            (u16::from(year) + if year >= 50 { 1900 } else { 2000 }, rest)
        }
        (Tag::GENERALIZED_TIME, [y1, y2, y3, y4, rest @ ..]) => {
            let high = digits(*y1, *y2).ok_or(CertificateProblem::InvalidTime { field })?;
            let low = digits(*y3, *y4).ok_or(CertificateProblem::InvalidTime { field })?;
            (u16::from(high) * 100 + u16::from(low), rest)
        }
        _ => return Err(CertificateProblem::InvalidTime { field }),
    };
    date_time(year, rest)
        .map(|time| UnixTime::since_unix_epoch(time.unix_duration()))
        .ok_or(CertificateProblem::InvalidTime { field })
}

fn date_time(year: u16, rest: &[u8]) -> Option<DateTime> {
    let [mo1, mo2, d1, d2, h1, h2, mi1, mi2, s1, s2, b'Z'] = rest else {
        return None;
    };
    let (hour, minute, second) = (digits(*h1, *h2)?, digits(*mi1, *mi2)?, digits(*s1, *s2)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    DateTime::new(
        year,
        digits(*mo1, *mo2)?,
        digits(*d1, *d2)?,
        hour,
        minute,
        second,
    )
    .ok()
}

fn digits(tens: u8, ones: u8) -> Option<u8> {
    if tens.is_ascii_digit() && ones.is_ascii_digit() {
        Some((tens - b'0') * 10 + (ones - b'0'))
    } else {
        None
    }
}
