//! Whether a point lies on its curve: y² = x³ - 3x + b modulo p, with both coordinates below p.
//!
//! Everything here is public, so it may take its time by its values; it holds no secret and must not be
//! given one. Arithmetic is Montgomery's on limbs of 64 bits, least significant first.

use super::Curve;

/// p, and what the equation needs of it, for R = 2^(64 N).
struct Equation<const N: usize> {
    p: [u64; N],
    /// -1/p modulo 2^64.
    k: u64,
    /// 3/R.
    three: [u64; N],
    /// b/R².
    b: [u64; N],
}

const P256: Equation<4> = Equation::new(
    [
        0xffff_ffff_ffff_ffff,
        0x0000_0000_ffff_ffff,
        0,
        0xffff_ffff_0000_0001,
    ],
    [
        0x3bce_3c3e_27d2_604b,
        0x651d_06b0_cc53_b0f6,
        0xb3eb_bd55_7698_86bc,
        0x5ac6_35d8_aa3a_93e7,
    ],
);

const P384: Equation<6> = Equation::new(
    [
        0x0000_0000_ffff_ffff,
        0xffff_ffff_0000_0000,
        0xffff_ffff_ffff_fffe,
        0xffff_ffff_ffff_ffff,
        0xffff_ffff_ffff_ffff,
        0xffff_ffff_ffff_ffff,
    ],
    [
        0x2a85_c8ed_d3ec_2aef,
        0xc656_398d_8a2e_d19d,
        0x0314_088f_5013_875a,
        0x181d_9c6e_fe81_4112,
        0x988e_056b_e3f8_2d19,
        0xb331_2fa7_e23e_e7e4,
    ],
);

const P521: Equation<9> = Equation::new(
    [
        0xffff_ffff_ffff_ffff,
        0xffff_ffff_ffff_ffff,
        0xffff_ffff_ffff_ffff,
        0xffff_ffff_ffff_ffff,
        0xffff_ffff_ffff_ffff,
        0xffff_ffff_ffff_ffff,
        0xffff_ffff_ffff_ffff,
        0xffff_ffff_ffff_ffff,
        0x1ff,
    ],
    [
        0xef45_1fd4_6b50_3f00,
        0x3573_df88_3d2c_34f1,
        0x1652_c0bd_3bb1_bf07,
        0x5619_3951_ec7e_937b,
        0xb8b4_8991_8ef1_09e1,
        0xa2da_725b_99b3_15f3,
        0x929a_21a0_b685_40ee,
        0x953e_b961_8e1c_9a1f,
        0x51,
    ],
);

/// Whether `x` and `y`, big-endian and as long as the curve's coordinates, are a point of it.
pub(super) fn holds(curve: Curve, x: &[u8], y: &[u8]) -> bool {
    match curve {
        Curve::P256 => P256.holds(x, y),
        Curve::P384 => P384.holds(x, y),
        Curve::P521 => P521.holds(x, y),
    }
}

impl<const N: usize> Equation<N> {
    const fn new(p: [u64; N], b: [u64; N]) -> Self {
        let mut this = Self {
            p,
            k: inverse_of(p[0]).wrapping_neg(),
            three: small(3),
            b,
        };
        this.three = this.over_r(&this.three);
        this.b = this.over_r(&this.over_r(&this.b));
        this
    }

    fn holds(&self, x: &[u8], y: &[u8]) -> bool {
        let (Some(x), Some(y)) = (self.below_p(x), self.below_p(y)) else {
            return false;
        };
        // Both sides over R²: each product loses an R.
        let left = self.over_r(&self.product(&y, &y));
        let mut right = self.product(&x, &x);
        self.subtract(&mut right, &self.three);
        right = self.product(&right, &x);
        self.add(&mut right, &self.b);
        left == right
    }

    /// The number, if it has no more than N limbs and is below p.
    fn below_p(&self, bytes: &[u8]) -> Option<[u64; N]> {
        let mut limbs = [0; N];
        let mut chunks = bytes.rchunks(8);
        for (limb, chunk) in limbs.iter_mut().zip(&mut chunks) {
            *limb = match chunk.try_into() {
                Ok(eight) => u64::from_be_bytes(eight),
                Err(_) => chunk
                    .iter()
                    .fold(0, |limb, octet| (limb << 8) | u64::from(*octet)),
            };
        }
        (chunks.next().is_none() && !self.reaches_p(&limbs)).then_some(limbs)
    }

    /// a/R, for a below p.
    const fn over_r(&self, a: &[u64; N]) -> [u64; N] {
        self.product(a, &small(1))
    }

    /// ab/R, for a and b below p. Inlined, so that the products with a prime of few bits become shifts.
    #[expect(
        clippy::indexing_slicing,
        reason = "all indices are below N, and iterators cannot be used in a constant"
    )]
    #[inline(always)]
    const fn product(&self, a: &[u64; N], b: &[u64; N]) -> [u64; N] {
        let mut sum = [0; N];
        let mut i = 0;
        while i < N {
            let (mut carry, mut reduction) = (0, 0);
            let mut factor = 0;
            let mut j = 0;
            while j < N {
                let limb;
                (limb, carry) = multiply_add(sum[j], a[i], b[j], carry);
                // The multiple of p that clears the lowest limb, which then falls away.
                if j == 0 {
                    factor = limb.wrapping_mul(self.k);
                    (_, reduction) = multiply_add(limb, factor, self.p[0], 0);
                } else {
                    (sum[j - 1], reduction) = multiply_add(limb, factor, self.p[j], reduction);
                }
                j += 1;
            }
            let (top, over) = carry.overflowing_add(reduction);
            sum[N - 1] = top;
            i += 1;
            // What does not fit is taken off at once, so that a sum has no more than N limbs.
            if over {
                subtract(&mut sum, &self.p);
            }
        }
        if self.reaches_p(&sum) {
            subtract(&mut sum, &self.p);
        }
        sum
    }

    fn add(&self, a: &mut [u64; N], b: &[u64; N]) {
        let over = add(a, b);
        if over || self.reaches_p(a) {
            subtract(a, &self.p);
        }
    }

    fn subtract(&self, a: &mut [u64; N], b: &[u64; N]) {
        if subtract(a, b) {
            add(a, &self.p);
        }
    }

    #[expect(clippy::indexing_slicing, reason = "the index is below N")]
    const fn reaches_p(&self, a: &[u64; N]) -> bool {
        let mut i = N;
        while i > 0 {
            i -= 1;
            if a[i] != self.p[i] {
                return a[i] > self.p[i];
            }
        }
        true
    }
}

/// The number of one limb.
const fn small<const N: usize>(value: u64) -> [u64; N] {
    let mut limbs = [0; N];
    limbs[0] = value;
    limbs
}

/// a + bc + carry: the lower limb, and the upper one.
#[expect(clippy::cast_possible_truncation, reason = "the halves of a product")]
const fn multiply_add(a: u64, b: u64, c: u64, carry: u64) -> (u64, u64) {
    let sum = a as u128 + b as u128 * c as u128 + carry as u128;
    (sum as u64, (sum >> 64) as u64)
}

/// Whether a + b is too large for N limbs.
fn add<const N: usize>(a: &mut [u64; N], b: &[u64; N]) -> bool {
    let mut carry = false;
    for (a, b) in a.iter_mut().zip(b) {
        let (sum, over) = a.overflowing_add(*b);
        let (sum, again) = sum.overflowing_add(carry.into());
        *a = sum;
        carry = over || again;
    }
    carry
}

/// Whether a - b is below zero.
#[expect(
    clippy::indexing_slicing,
    reason = "the index is below N, and iterators cannot be used in a constant"
)]
const fn subtract<const N: usize>(a: &mut [u64; N], b: &[u64; N]) -> bool {
    let mut borrow = false;
    let mut i = 0;
    while i < N {
        let (difference, under) = a[i].overflowing_sub(b[i]);
        let (difference, again) = difference.overflowing_sub(borrow as u64);
        a[i] = difference;
        borrow = under || again;
        i += 1;
    }
    borrow
}

/// The inverse of an odd number modulo 2^64: each step of Newton's doubles the right bits.
const fn inverse_of(odd: u64) -> u64 {
    let mut inverse = odd;
    let mut right = 3;
    while right < 64 {
        inverse = inverse.wrapping_mul(2_u64.wrapping_sub(odd.wrapping_mul(inverse)));
        right *= 2;
    }
    inverse
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Curve, holds};

    /// What `RustCrypto` says of a point.
    fn oracle(curve: Curve, x: &[u8], y: &[u8]) -> bool {
        let point = [&[4], x, y].concat();
        match curve {
            Curve::P256 => p256::PublicKey::from_sec1_bytes(&point).is_ok(),
            Curve::P384 => p384::PublicKey::from_sec1_bytes(&point).is_ok(),
            Curve::P521 => p521::PublicKey::from_sec1_bytes(&point).is_ok(),
        }
    }

    /// The point of a secret scalar, and the field's prime.
    fn point(curve: Curve, scalar: u64) -> (Vec<u8>, Vec<u8>) {
        macro_rules! point {
            ($curve:ident) => {{
                use $curve::elliptic_curve::sec1::ToEncodedPoint as _;
                let point = $curve::ProjectivePoint::GENERATOR * $curve::Scalar::from(scalar);
                let point = point.to_affine().to_encoded_point(false);
                (point.x().unwrap().to_vec(), point.y().unwrap().to_vec())
            }};
        }
        match curve {
            Curve::P256 => point!(p256),
            Curve::P384 => point!(p384),
            Curve::P521 => point!(p521),
        }
    }

    fn curves() -> impl Strategy<Value = Curve> {
        prop::sample::select(Curve::ALL.to_vec())
    }

    proptest! {
        /// Every multiple of the generator is on the curve, and it is not once a bit of it flips.
        #[test]
        fn points_and_their_neighbours(curve in curves(), scalar in 1_u64.., bit in 0_usize..1042) {
            let (mut x, mut y) = point(curve, scalar);
            prop_assert!(holds(curve, &x, &y));
            let bits = 8 * x.len();
            let bit = bit % (2 * bits);
            let octets = if bit < bits { &mut x } else { &mut y };
            octets[bit % bits / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(holds(curve, &x, &y), oracle(curve, &x, &y));
        }

        /// Numbers at both ends, and any others.
        #[test]
        fn hardly_ever_points(curve in curves(), x in ends(), y in ends()) {
            let (x, y) = (octets(curve, &x), octets(curve, &y));
            prop_assert_eq!(holds(curve, &x, &y), oracle(curve, &x, &y));
        }
    }

    fn ends() -> impl Strategy<Value = Vec<u8>> {
        let limb = prop_oneof![
            Just(0),
            Just(1),
            Just(u64::MAX),
            Just(u64::MAX << 32),
            any::<u64>()
        ];
        prop::collection::vec(limb, 9)
            .prop_map(|limbs| limbs.iter().flat_map(|limb| limb.to_be_bytes()).collect())
    }

    fn octets(curve: Curve, octets: &[u8]) -> Vec<u8> {
        octets[octets.len() - curve.coordinate_len()..].to_vec()
    }

    /// A coordinate has one form: not another one p above it.
    #[test]
    fn residues() {
        let zero = (
            "0000000000000000000000000000000000000000000000000000000000000000",
            "66485c780e2f83d72433bd5d84a06bb6541c2af31dae871728bf856a174f93f4",
        );
        let p = "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff";
        let holds = |x: &str, y: &str| holds(Curve::P256, &hex(x), &hex(y));
        assert!(holds(zero.0, zero.1));
        assert!(!holds(p, zero.1));
        assert!(!holds(zero.1, zero.0));

        // On P-521 seven bits are free, so every coordinate has room for p above it.
        let (x, y) = point(Curve::P521, 7);
        assert!(super::holds(Curve::P521, &x, &y));
        assert!(!super::holds(Curve::P521, &plus_p521(&x), &y));
        assert!(!super::holds(Curve::P521, &x, &plus_p521(&y)));
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits = text.as_bytes().chunks(2);
        digits
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    /// n + 2^521 - 1.
    fn plus_p521(n: &[u8]) -> Vec<u8> {
        let mut sum = n.to_vec();
        sum[0] += 2;
        for octet in sum.iter_mut().rev() {
            let (less, under) = octet.overflowing_sub(1);
            *octet = less;
            if !under {
                break;
            }
        }
        sum
    }
}
