//! Both representations against plain arithmetic, one bit at a time.

use std::vec::Vec;

use super::{Field, Limbs29, Limbs64, MODULUS, bytes, words};
use crate::random::{Random, rounds};

/// A number below p, as words of 32 bits, the lowest first.
type Plain = [u32; 8];

fn modulus_minus(number: &Plain) -> Plain {
    let mut borrow = false;
    let mut difference = [0; 8];
    for at in 0..8 {
        (difference[at], borrow) = MODULUS[at].borrowing_sub(number[at], borrow);
    }
    assert!(!borrow);
    if difference == MODULUS {
        [0; 8]
    } else {
        difference
    }
}

fn sum(a: &Plain, b: &Plain) -> Plain {
    let (mut carry, mut borrow) = (false, false);
    let (mut sum, mut less) = ([0; 8], [0; 8]);
    for at in 0..8 {
        (sum[at], carry) = a[at].carrying_add(b[at], carry);
        (less[at], borrow) = sum[at].borrowing_sub(MODULUS[at], borrow);
    }
    if carry || !borrow { less } else { sum }
}

fn product(a: &Plain, b: &Plain) -> Plain {
    (0..256).rev().fold([0; 8], |product, bit| {
        let twice = sum(&product, &product);
        let set = b[bit / 32] >> (bit % 32) & 1 == 1;
        if set { sum(&twice, a) } else { twice }
    })
}

fn numbers(random: &mut Random) -> Plain {
    loop {
        if let Some(number) = words(&random.bytes()) {
            return number;
        }
    }
}

/// 0, 1, p - 1, and what has a single bit in a limb's lowest or highest place, or all but those.
fn edges() -> Vec<Plain> {
    let mut edges: Vec<Plain> = Vec::from([[0; 8]]);
    for limb in [29, 32, 64] {
        for at in (0..256).step_by(limb).chain((limb - 1..256).step_by(limb)) {
            let mut one = [0; 8];
            one[at / 32] = 1 << (at % 32);
            edges.push(one);
            edges.push(modulus_minus(&one));
        }
    }
    edges
}

fn check<F: Field>(a: &Plain, b: &Plain) {
    let number = |plain: &Plain| F::from_bytes(&bytes(*plain)).unwrap();
    let same = |number: F, plain: &Plain, what: &str| {
        assert_eq!(
            number.to_bytes(),
            bytes(*plain),
            "{what} of {a:x?} and {b:x?}"
        );
        assert_eq!(number.is_zero().reveal(), *plain == [0; 8]);
    };
    let (x, y) = (number(a), number(b));
    let (minus_a, minus_b) = (modulus_minus(a), modulus_minus(b));
    same(x, a, "itself");
    same(x.add(&y), &sum(a, b), "sum");
    same(x.sub(&y), &sum(a, &minus_b), "difference");
    same(x.mul(&y), &product(a, b), "product");
    same(x.square(), &product(a, a), "square");
    same(x.tight(), a, "tight");
    same(x.half().add(&x.half()), a, "twice the half");
    let ab_minus_aa = sum(&product(a, b), &product(a, &minus_a));
    same(
        F::mul_sub(&x, &y, &x, &x),
        &ab_minus_aa,
        "difference of products",
    );
    // With the largest sizes that are allowed.
    let (two_x, two_y) = (x.add(&x), y.add(&y));
    let four_x = two_x.add(&two_x);
    let product = product(a, b);
    let four = sum(&sum(&product, &product), &sum(&product, &product));
    same(
        four_x.mul(&two_y),
        &sum(&four, &four),
        "product of 4 a and 2 b",
    );
    same(
        four_x.add(&two_y).tight(),
        &[a, a, a, a, b, b]
            .into_iter()
            .fold([0; 8], |s, n| sum(&s, n)),
        "tight",
    );
    same(
        F::ZERO.sub(&four_x).sub(&two_x),
        &[&minus_a; 6].into_iter().fold([0; 8], |s, n| sum(&s, n)),
        "-6 a",
    );
    for (yes, plain) in [(0, a), (1, &minus_a)] {
        let mut negated = x;
        negated.negate_if(crate::mask::Mask::bit(yes));
        same(negated, plain, "negative");
    }
    for (yes, plain) in [(0, a), (1, b)] {
        let mut assigned = x;
        assigned.assign_if(&y, crate::mask::Mask::bit(yes));
        same(assigned, plain, "choice");
    }
}

fn check_powers<F: Field>(a: &Plain) {
    let number = F::from_bytes(&bytes(*a)).unwrap();
    let one = number.mul(&number.invert());
    let expected = if *a == [0; 8] { F::ZERO } else { F::ONE };
    assert!(one.sub(&expected).is_zero().reveal(), "{a:x?}");
    let square = number.square();
    let root = square.square_root().unwrap();
    let difference = root.sub(&number).mul(&root.add(&number));
    assert!(difference.is_zero().reveal(), "{a:x?}");
    // -1 is no square, so of two numbers that are each other's negative one is none.
    if *a != [0; 8] {
        assert!(F::ZERO.sub(&square).square_root().is_none(), "{a:x?}");
    }
}

#[test]
fn edges_of_limbs() {
    for a in edges() {
        for b in edges() {
            check::<Limbs29>(&a, &b);
            check::<Limbs64>(&a, &b);
        }
        check_powers::<Limbs29>(&a);
        check_powers::<Limbs64>(&a);
    }
}

#[test]
fn random_numbers() {
    let mut random = Random::new();
    for _ in 0..10 * rounds() {
        let (a, b) = (numbers(&mut random), numbers(&mut random));
        check::<Limbs29>(&a, &b);
        check::<Limbs64>(&a, &b);
        check_powers::<Limbs29>(&a);
        check_powers::<Limbs64>(&a);
    }
}

#[test]
fn only_numbers_below_p_are_read() {
    let mut more = MODULUS;
    more[0] -= 1;
    assert!(words(&bytes(more)).is_some());
    for _ in 0..3 {
        more = sum_of_one(more);
        assert!(Limbs29::from_bytes(&bytes(more)).is_none());
        assert!(Limbs64::from_bytes(&bytes(more)).is_none());
    }
    assert!(words(&[0xff; 32]).is_none());
}

fn sum_of_one(mut words: Plain) -> Plain {
    let mut carry = true;
    for word in &mut words {
        (*word, carry) = word.carrying_add(0, carry);
    }
    words
}
