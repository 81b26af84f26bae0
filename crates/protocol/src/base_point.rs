//! Multiplication of P-256's base point with a small table that is part of the program.
//!
//! The tables of the crate `p256` are made at their first use. That takes longer than all else that
//! a program does which makes one ephemeral key and ends, as an instance with WASI 0.2 is.
//!
//! The table is that of a comb (Lim and Lee, 1994) with four teeth: for each of the 15 ways to choose
//! among G, 2^64 G, 2^128 G and 2^192 G, their sum. A scalar is read in 64 columns of four bits, one
//! in each quarter. So 64 doublings and 64 additions do, where a general multiplication takes 256
//! doublings.

use p256::{
    ProjectivePoint, PublicKey, SecretKey,
    elliptic_curve::{
        Group as _,
        subtle::{ConditionallySelectable as _, ConstantTimeEq as _},
    },
};

/// The bits of a scalar in each quarter.
const COLUMNS: usize = 64;

/// The coordinates x and y of the sums, in hexadecimal: the bits of the number of an entry, counted
/// from 1, say which points are in its sum.
const SUMS: [[&str; 2]; 15] = [
    [
        "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296",
        "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5",
    ],
    [
        "0fa822bc2811aaa58492592e326e25de29493baaad651f7e90e75cb48e14db63",
        "bff44ae8f5dba80d6f4ad4bcb3df188b34b1a65050fe82f5e41124545f462ee7",
    ],
    [
        "300a4bbc89d6726fb257c0de95e02789e96c98fd0d35f1fa93391ce2097992af",
        "72aac7e0d09b46447f1ddb25ff1e3c6f5bb1eeada9d806a5aa54a291c08127a0",
    ],
    [
        "447d739beedb5e67fb982fd588c6766efc35ff7dc297eac357c84fc9d789bd85",
        "2d4825ab834131eee12e9d953a4aaff73d349b95a7fae5000c7e33c972e25b32",
    ],
    [
        "ef9519328a9c72ffddc6068bb91dfc60ef7fbd2b1a0a11b713949c932a1d367f",
        "611e9fc37dbb2c9bc1ee9807022c219c23183b0895ca1740196035a77376d8a8",
    ],
    [
        "550663797b51f5d87dea6482e11238bf2936df5ec6c9bc36cae2b1920b57f4bc",
        "157164848aecb8510afa40018d9d50e59fb3d576dbdefbe144ffe216348a964c",
    ],
    [
        "eb5d7745b21141eaa2e8f483f43e43917ccd84e70d715f26e48ecafffc5cde01",
        "eafd72ebdbecc17b0990e6a158006cee85f22cfe2844b645cac917e2731a3479",
    ],
    [
        "a6d39677a78492762736ff8344315fc596439591a3c6b94a6cf20ffb313728be",
        "674f84749b0b881666b8babd2d27ecdf824a920c2284059bf2bab833c357f5f4",
    ],
    [
        "4e769e7672c9ddad31855f7db8c7fedb74e02f080203a56b2df48c04677c8a3e",
        "42b99082de8306631ec0057206947281fb9ae16f3b9122a5a4c36165b824bbb0",
    ],
    [
        "78878ef61c6ce04d7fdc1ca008a1c478d1f89e799c0ce1316ef95150dda868b9",
        "b6cb3f5d7b72c321de53142c12309def6ace570ebde08d4f9c62b9121fe0d976",
    ],
    [
        "0c88bc4d716b1287595c5220812ffcae5b82dd5bd54fb4967f991ed2c31a3573",
        "dd5ddea3f3901dc618d1b5b39c04e6aa7c8181f4df2564f33a57bf635f48aca8",
    ],
    [
        "68f344af6b317466efe0a423083e49f343a0a28c42ba792fe96a79fb3e72ad0c",
        "31b9c405f8540a20604ed93c24d67ff3668bfc2271f5c626cdfe17db3fb24d4a",
    ],
    [
        "4052bf4b6f461db9663c62c3edbad7a00d1a10144ec39c28d36b4789a2582e7f",
        "fecf4d5190b0fc61862be6bd71d70cc8e724f33999bfcc5b235a27c3188d25eb",
    ],
    [
        "1eddbae2c802e41a123202a8f62bff7aafdf5cc08526a7a474346c10a1d4cfac",
        "43104d86560ebcfc0c45f45273db33a036e06b7e4c7019178fa0af2dd603f844",
    ],
    [
        "b48e26b484f7a21c0a4a46fb6aaf363a66b0de3225c4744b9615b5110d1d78e5",
        "fac015404d4d3dab64131bcdfed6f668c004e4048b7b0f9806ebb0f621a01b2d",
    ],
];

/// The public half of a key. The time that it takes does not depend on the key.
pub fn public_key(secret: &SecretKey) -> PublicKey {
    if cfg!(feature = "precomputed-tables") {
        secret.public_key()
    } else {
        by_comb(secret)
    }
}

fn by_comb(secret: &SecretKey) -> PublicKey {
    let table = SUMS.map(point);
    let scalar = secret.to_bytes();
    let bit = |at: usize| scalar[31 - at / 8] >> (at % 8) & 1;
    let mut sum = ProjectivePoint::IDENTITY;
    for column in (0..COLUMNS).rev() {
        let chosen = (0..4).fold(0, |bits, quarter| {
            bits | bit(COLUMNS * quarter + column) << quarter
        });
        // Every entry is read, whichever is chosen.
        let mut addend = ProjectivePoint::IDENTITY;
        for (number, entry) in (1..).zip(&table) {
            addend.conditional_assign(entry, chosen.ct_eq(&number));
        }
        sum = sum.double() + addend;
    }
    PublicKey::from_affine(sum.to_affine()).expect("a secret key is not 0, nor the group's order")
}

fn point([x, y]: [&str; 2]) -> ProjectivePoint {
    let mut sec1 = [0; 65];
    sec1[0] = 0x04;
    let digits = x.bytes().chain(y.bytes());
    for (at, digit) in digits.enumerate() {
        let value = char::from(digit).to_digit(16).expect("a hexadecimal digit");
        sec1[1 + at / 2] |= (value as u8) << (4 * (1 - at % 2));
    }
    PublicKey::from_sec1_bytes(&sec1)
        .expect("a point of the table is on the curve")
        .to_projective()
}

#[cfg(test)]
mod tests {
    use p256::{Scalar, elliptic_curve::Generate as _};

    use super::*;
    use crate::random;

    fn check(secret: &SecretKey) {
        assert_eq!(by_comb(secret), secret.public_key());
    }

    fn small(number: u64) -> Scalar {
        Scalar::from(number)
    }

    #[test]
    fn it_is_what_the_general_multiplication_gives() {
        for _ in 0..200 {
            check(&SecretKey::generate_from_rng(&mut random::system()));
        }
    }

    #[test]
    fn scalars_at_the_edges() {
        let quarter = small(1 << 32) * small(1 << 32);
        let quarters = [
            small(1),
            quarter,
            quarter * quarter,
            quarter * quarter * quarter,
        ];
        let minus_one = Scalar::ZERO - Scalar::ONE;
        // Each entry of the table alone, and what comes before and after it.
        let sums = (1..16_u32).map(|bits| {
            let chosen = (0..4).filter(|at| bits >> at & 1 == 1);
            chosen.fold(Scalar::ZERO, |sum, at| sum + quarters[at])
        });
        let near = |scalar: Scalar| [scalar - Scalar::ONE, scalar, scalar + Scalar::ONE];
        let all = sums.chain([minus_one, small(2), small(u64::MAX)]);
        for scalar in all.flat_map(near).filter(|scalar| *scalar != Scalar::ZERO) {
            check(&SecretKey::from_bytes(&scalar.to_bytes()).unwrap());
        }
    }
}
