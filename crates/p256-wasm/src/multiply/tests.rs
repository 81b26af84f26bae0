//! Against the crate `p256`, in both representations.

use std::vec::Vec;

use p256::{
    FieldBytes, ProjectivePoint,
    elliptic_curve::{Group as _, PrimeField as _, sec1::ToSec1Point as _},
};

use super::*;
use crate::{
    field::{
        Limbs29, Limbs64,
        bounds::Bounds,
        trace::{self, Traced},
    },
    random::{Random, rounds},
};

type Theirs = p256::Scalar;

fn ours(scalar: &Theirs) -> Scalar {
    Scalar::reduced(&scalar.to_repr().into())
}

fn random_scalar(random: &mut Random) -> Theirs {
    loop {
        let bytes = FieldBytes::from(random.bytes());
        let scalar: Option<Theirs> = Theirs::from_repr(bytes).into();
        if let Some(scalar) = scalar.filter(|scalar| *scalar != Theirs::ZERO) {
            return scalar;
        }
    }
}

fn power(exponent: u32) -> Theirs {
    (0..exponent).fold(Theirs::ONE, |power, _| power.double())
}

/// Scalars next to 0 and n, next to powers of two, and those that bring equal and opposite points
/// together in the last additions.
fn edges() -> Vec<Theirs> {
    let mut edges: Vec<_> = (1..70_u64).map(Theirs::from).collect();
    for exponent in (4..260).step_by(13).chain((4..260).step_by(4)) {
        let power = power(exponent);
        edges.extend([power - Theirs::ONE, power, power + Theirs::ONE]);
    }
    // What a block of the comb adds in the last round, for all its signs; and sums of several.
    let mut sums = Vec::from([Theirs::ZERO]);
    for block in (0..BLOCKS as u32).rev() {
        let before = sums.clone();
        for signs in 0..1_u32 << TEETH {
            let teeth = (0..TEETH as u32).fold(Theirs::ZERO, |sum, tooth| {
                let term = power(13 * block + 52 * tooth);
                if signs >> tooth & 1 == 1 {
                    sum + term
                } else {
                    sum - term
                }
            });
            // Only some of the sums of several.
            sums.extend(
                before
                    .iter()
                    .step_by(1 + before.len() / 8)
                    .map(|sum| *sum + teeth),
            );
            edges.extend([teeth, teeth.double()]);
        }
    }
    edges.extend(sums);
    edges.extend(edges.clone().into_iter().map(|edge| -edge));
    edges.retain(|edge| *edge != Theirs::ZERO);
    edges
}

fn affine<F: Field>(point: &ProjectivePoint) -> Affine<F> {
    Affine::from_sec1(point.to_affine().to_sec1_point(false).as_bytes()).unwrap()
}

fn same<F: Field>(ours: Option<Affine<F>>, theirs: &ProjectivePoint) {
    let theirs = (!bool::from(theirs.is_identity())).then(|| affine::<F>(theirs).to_sec1());
    assert_eq!(ours.map(Affine::to_sec1), theirs);
}

fn check_secret<F: Field + Tables>(scalar: &Theirs, point: &ProjectivePoint) {
    let product = multiply(&ours(scalar), &affine::<F>(point));
    same(Some(product), &(*point * scalar));
    same(
        Some(multiply_base::<F>(&ours(scalar))),
        &(ProjectivePoint::GENERATOR * scalar),
    );
}

fn check_sum<F: Field + Tables>(base: &Theirs, other: &Theirs, point: &ProjectivePoint) {
    let sum = multiply_and_add_variable_time(&ours(base), &ours(other), &affine::<F>(point));
    let theirs = ProjectivePoint::GENERATOR * base + *point * other;
    same(sum.map(Jacobian::to_affine), &theirs);
}

fn check(scalar: &Theirs, other: &Theirs, point: &ProjectivePoint) {
    check_secret::<Limbs29>(scalar, point);
    check_secret::<Limbs64>(scalar, point);
    check_sum::<Limbs29>(scalar, other, point);
    check_sum::<Limbs64>(scalar, other, point);
}

#[test]
fn random_scalars_and_points() {
    let mut random = Random::new();
    for _ in 0..rounds() {
        let [a, b, c] = [(); 3].map(|()| random_scalar(&mut random));
        check(&a, &b, &(ProjectivePoint::GENERATOR * c));
    }
}

#[test]
fn scalars_at_the_edges() {
    let mut random = Random::new();
    let edges = edges();
    for (nth, edge) in edges.iter().enumerate() {
        let point = ProjectivePoint::GENERATOR * random_scalar(&mut random);
        check_secret::<Limbs29>(edge, &point);
        check_secret::<Limbs64>(edge, &point);
        // Sums know no digits of the comb.
        if nth % 8 == 0 {
            let other = &edges[random.below(edges.len())];
            check_sum::<Limbs29>(edge, other, &point);
            check_sum::<Limbs64>(edge, other, &point);
        }
    }
}

/// With multiples of the base point for the other one, the sum meets equal and opposite points, and
/// infinity, on its way and at its end.
#[test]
fn sums_that_meet() {
    let mut random = Random::new();
    let small = [0_u64, 1, 2, 3, 4, 5, 15, 16, 17, 127, 128, 255];
    let mut scalars: Vec<_> = small.map(Theirs::from).into();
    scalars.extend(scalars.clone().into_iter().map(|scalar| -scalar));
    for multiple in [1_u64, 2, 3]
        .map(Theirs::from)
        .into_iter()
        .flat_map(|m| [m, -m])
    {
        let point = ProjectivePoint::GENERATOR * multiple;
        for base in &scalars {
            for other in &scalars {
                check_sum::<Limbs29>(base, other, &point);
                check_sum::<Limbs64>(base, other, &point);
            }
        }
        for _ in 0..20 {
            let base = random_scalar(&mut random);
            // base G = other P, and base G = -other P.
            let other = base * multiple.invert().unwrap();
            for other in [other, -other] {
                check_sum::<Limbs29>(&base, &other, &point);
                check_sum::<Limbs64>(&base, &other, &point);
            }
        }
    }
}

/// The sums that take any points: of infinity, of equal and of opposite ones.
fn check_any<F: Field>() {
    let point = |scalar: u64| affine::<F>(&(ProjectivePoint::GENERATOR * Theirs::from(scalar)));
    let infinity = Jacobian {
        z: F::ZERO,
        ..point(5).to_jacobian().double()
    };
    // 6 G, with a z that is not 1; and its negative.
    let six = point(3).to_jacobian().double();
    let mut minus_six = six.to_addend();
    minus_six.negate_if(Mask::bit(1));
    let other = point(7).to_jacobian().double().to_addend();
    let same = |sum: Jacobian<F>, expected: u64| {
        assert_eq!(sum.to_affine().to_sec1(), point(expected).to_sec1());
    };
    same(six.add_any(&other), 20);
    same(six.add_any(&six.to_addend()), 12);
    same(infinity.add_any(&six.to_addend()), 6);
    let nothing = six.add_any(&minus_six);
    assert!(nothing.z.is_zero().reveal());
    same(nothing.add_any(&other), 14);
    assert!(nothing.double().z.is_zero().reveal());
    assert!(Jacobian::add_variable_time(Some(six), &minus_six).is_none());
}

#[test]
fn sums_of_any_points() {
    check_any::<Limbs29>();
    check_any::<Limbs64>();
}

/// No number in any formula gets larger than its representation takes, whatever the points are.
#[test]
fn the_largest_numbers_fit() {
    let point = Affine {
        x: Bounds::ONE,
        y: Bounds::ONE,
    };
    let scalar = Scalar::reduced(&[0x5a; 32]);
    multiply(&scalar, &point).to_sec1();
    multiply_base::<Bounds>(&scalar).to_sec1();
    let sum = multiply_and_add_variable_time(&scalar, &scalar, &point).unwrap();
    sum.to_affine().to_sec1();
    Affine::<Bounds>::from_sec1(&[4; 65]);
    Affine::<Bounds>::from_sec1(&[2; 33]);
}

/// What is done does not depend on the secret, nor on whether points meet.
#[test]
fn secrets_do_not_change_what_is_done() {
    let mut random = Random::new();
    let point = affine::<Traced>(&(ProjectivePoint::GENERATOR * power(100)));
    let mut scalars = edges();
    scalars.extend((0..100).map(|_| random_scalar(&mut random)));
    let run = |scalar: &Theirs| {
        let scalar = ours(scalar);
        trace::operations(|| (multiply(&scalar, &point), multiply_base::<Traced>(&scalar))).1
    };
    let expected = run(&scalars[0]);
    assert!(expected.len() > 5000);
    for scalar in scalars {
        assert!(run(&scalar) == expected, "{scalar:?}");
    }
}
