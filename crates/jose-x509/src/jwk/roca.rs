//! The structure of RSA moduli made by a flawed generator (ROCA, CVE-2017-15361).
//!
//! The prime factors, and so their product, are powers of 65537 modulo the product of all small primes.

/// The odd ones of the primes that the generator used for keys of every size.
const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97,
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// Whether a big-endian modulus has the structure, so that it can be factored. A modulus that was made
/// otherwise has it by chance with a probability below 2^-150.
pub(super) fn has_structure(modulus: &[u8]) -> bool {
    let mut logarithms = Vec::with_capacity(PRIMES.len());
    for prime in PRIMES {
        match logarithm(residue(modulus, prime), prime) {
            Some(found) => logarithms.push(found),
            None => return false,
        }
    }
    // One exponent fits all primes if and only if the exponents agree in pairs.
    logarithms.iter().all(|(exponent, order)| {
        logarithms.iter().all(|(other, other_order)| {
            let common = gcd(*order, *other_order);
            exponent % common == other % common
        })
    })
}

fn residue(number: &[u8], prime: u32) -> u32 {
    number
        .iter()
        .fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime)
}

/// The logarithm of `residue` to the base 65537, and the order of the base.
fn logarithm(residue: u32, prime: u32) -> Option<(u32, u32)> {
    let (mut power, mut exponent, mut found) = (1, 0, None);
    loop {
        if power == residue {
            found = Some(exponent);
        }
        power = power * (65537 % prime) % prime;
        exponent += 1;
        if power == 1 {
            return found.map(|found| (found, exponent));
        }
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 65537^exponent: each factor adds the number to itself, two bytes further left.
    fn power_of_65537(exponent: usize) -> Vec<u8> {
        let mut little_endian = vec![1_u8];
        for _ in 0..exponent {
            let mut carry = 0;
            let shifted = [0, 0].into_iter().chain(little_endian.iter().copied());
            let own = little_endian.iter().copied().chain([0, 0]);
            let sum = own.zip(shifted).map(|(a, b)| {
                let sum = u16::from(a) + u16::from(b) + carry;
                carry = sum >> 8;
                u8::try_from(sum & 0xff).unwrap()
            });
            let mut next: Vec<u8> = sum.collect();
            next.push(u8::try_from(carry).unwrap());
            little_endian = next;
        }
        little_endian.reverse();
        little_endian
    }

    /// Covers: JWKA-policy-2, JWKA-A3
    #[test]
    fn powers_of_65537_have_the_structure_and_other_numbers_do_not() {
        for exponent in [0, 1, 2, 17, 120] {
            let power = power_of_65537(exponent);
            assert!(has_structure(&power), "65537^{exponent}");
            let mut next = power.clone();
            *next.last_mut().unwrap() ^= 2;
            assert!(!has_structure(&next), "65537^{exponent} changed");
        }
        // Each residue is a power, and no one exponent fits them all.
        let mixed = MIXED;
        assert!(
            PRIMES
                .iter()
                .all(|prime| logarithm(residue(&mixed, *prime), *prime).is_some())
        );
        assert!(!has_structure(&mixed));
    }

    /// 65537 modulo 3, 5, 7, 11 and 13, and 1 modulo the other primes.
    const MIXED: [u8; 28] = [
        0x01, 0x4f, 0x7d, 0x9a, 0x81, 0xac, 0xca, 0x11, 0xdb, 0x59, 0x7d, 0xee, 0xda, 0xa6, 0xd9,
        0x30, 0x14, 0x6d, 0x24, 0x1b, 0x25, 0x5a, 0xa0, 0xa7, 0xf3, 0xd9, 0x82, 0x11,
    ];
}
