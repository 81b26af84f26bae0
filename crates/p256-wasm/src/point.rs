//! Points of the curve y^2 = x^3 - 3 x + b, and the formulas of their sums.
//!
//! The sum's formulas do for points that differ and are not each other's negative, neither of them
//! the point at infinity; doubling has no exception, since no point here has the order 2. Who
//! calls them says why it is so, or uses what takes anything.

use crate::{field::Field, mask::Mask};

/// A point that is not the one at infinity. Both coordinates are of size 1.
#[derive(Clone, Copy)]
pub(crate) struct Affine<F> {
    pub(crate) x: F,
    pub(crate) y: F,
}

/// The point (x / z^2, y / z^3); where z is 0, the one at infinity. The sizes are 1, 2 and 1.
#[derive(Clone, Copy)]
pub(crate) struct Jacobian<F> {
    pub(crate) x: F,
    pub(crate) y: F,
    pub(crate) z: F,
}

/// A point that is added often: with z^2 and z^3.
#[derive(Clone, Copy)]
pub(crate) struct Addend<F> {
    pub(crate) point: Jacobian<F>,
    zz: F,
    zzz: F,
}

/// What a sum of two points has in common, however the second is given.
struct Terms<F> {
    /// The first point's coordinates over the common denominator.
    x: F,
    y: F,
    /// How far the second's are from them. Both of size 2.
    dx: F,
    dy: F,
}

impl<F: Field> Affine<F> {
    /// Reads a point with both coordinates, or with one and the other's lowest bit. `None` if it is
    /// none of the curve.
    pub(crate) fn from_sec1(bytes: &[u8]) -> Option<Self> {
        let (&kind, coordinates) = bytes.split_first()?;
        match (kind, coordinates.as_chunks()) {
            (4, ([x, y], [])) => Self::new(F::from_bytes(x)?, F::from_bytes(y)?),
            (2 | 3, ([x], [])) => Self::with_x(F::from_bytes(x)?, kind == 3),
            _ => None,
        }
    }

    /// The point with both coordinates.
    pub(crate) fn to_sec1(self) -> [u8; 65] {
        let mut bytes = [4; 65];
        bytes[1..33].copy_from_slice(&self.x.to_bytes());
        bytes[33..].copy_from_slice(&self.y.to_bytes());
        bytes
    }

    /// The point with these coordinates, if it is on the curve.
    fn new(x: F, y: F) -> Option<Self> {
        let difference = y.square().sub(&curve(&x));
        difference.is_zero().reveal().then_some(Self { x, y })
    }

    /// The point with this x, and a y that is odd or even.
    fn with_x(x: F, odd: bool) -> Option<Self> {
        let mut y = curve(&x).tight().square_root()?;
        let other = y.to_bytes()[31] & 1 != u8::from(odd);
        y.negate_if(Mask::bit(other.into()));
        Some(Self { x, y })
    }

    pub(crate) fn to_jacobian(self) -> Jacobian<F> {
        let z = F::ONE;
        Jacobian {
            x: self.x,
            y: self.y,
            z,
        }
    }
}

/// `x^3 - 3 x + b`, of size 5.
fn curve<F: Field>(x: &F) -> F {
    let three_x = x.add(x).add(x);
    x.square().mul(x).sub(&three_x).add(&F::B)
}

impl<F: Field> Jacobian<F> {
    pub(crate) fn to_addend(self) -> Addend<F> {
        let zz = self.z.square();
        let zzz = zz.mul(&self.z);
        Addend {
            point: self,
            zz,
            zzz,
        }
    }

    /// The point with z = 1. It is not the point at infinity.
    pub(crate) fn to_affine(self) -> Affine<F> {
        let inverse = self.z.invert();
        let square = inverse.square();
        Affine {
            x: self.x.mul(&square),
            y: self.y.mul(&square).mul(&inverse),
        }
    }

    /// Twice the point. In four multiplications and four squarings:
    ///
    /// with m = 3 (x - z^2) (x + z^2) / 2, s = x y^2,
    /// x' = m^2 - 2 s, y' = m (s - x') - y^4, z' = y z.
    ///
    /// These are the usual formulas (Hankerson, Menezes and Vanstone, Guide to Elliptic Curve
    /// Cryptography, algorithm 3.21) over 2^2, 2^3 and 2, which keeps numbers small. Infinity stays
    /// infinity.
    #[inline(never)]
    pub(crate) fn double(&self) -> Self {
        let zz = self.z.square();
        let yy = self.y.square();
        let s = self.x.mul(&yy);
        let slope = self.x.sub(&zz).mul(&self.x.add(&zz));
        let m = slope.add(&slope.half());
        let x = m.square().sub(&s.add(&s)).tight();
        Self {
            x,
            y: F::mul_sub(&m, &s.sub(&x), &yy, &yy),
            z: self.y.mul(&self.z),
        }
    }

    fn terms(&self, other: &Addend<F>) -> Terms<F> {
        let x = self.x.mul(&other.zz);
        let y = self.y.mul(&other.zzz);
        let zz = self.z.square();
        let zzz = zz.mul(&self.z);
        Terms {
            dx: other.point.x.mul(&zz).sub(&x),
            dy: other.point.y.mul(&zzz).sub(&y),
            x,
            y,
        }
    }

    fn terms_affine(&self, other: &Affine<F>) -> Terms<F> {
        let zz = self.z.square();
        let zzz = zz.mul(&self.z);
        Terms {
            dx: other.x.mul(&zz).sub(&self.x),
            dy: other.y.mul(&zzz).sub(&self.y),
            x: self.x,
            y: self.y,
        }
    }

    /// The sum of two points that differ and are not each other's negative, in eleven
    /// multiplications and three squarings.
    #[inline(never)]
    pub(crate) fn add_unequal(&self, other: &Addend<F>) -> Self {
        let z = self.z.mul(&other.point.z);
        self.terms(other).sum(&z)
    }

    /// The same, in eight multiplications and three squarings.
    #[inline(never)]
    pub(crate) fn add_unequal_affine(&self, other: &Affine<F>) -> Self {
        self.terms_affine(other).sum(&self.z)
    }

    /// The sum of any point and one that is not infinity. The time does not depend on them.
    pub(crate) fn add_any(&self, other: &Addend<F>) -> Self {
        let z = self.z.mul(&other.point.z);
        let terms = self.terms(other);
        // Equal, unless the first is infinity, which has differences of its own.
        let equal = terms.dx.is_zero().and(terms.dy.is_zero());
        // Of opposite ones it is infinity: z' is the product of z and dx, which is 0.
        let mut sum = terms.sum(&z);
        sum.assign_if(&other.point.double(), equal);
        sum.assign_if(&other.point, self.z.is_zero());
        sum
    }

    /// Becomes the other point, or remains.
    #[inline(always)]
    fn assign_if(&mut self, other: &Self, yes: Mask) {
        self.x.assign_if(&other.x, yes);
        self.y.assign_if(&other.y, yes);
        self.z.assign_if(&other.z, yes);
    }
}

impl<F: Field> Terms<F> {
    /// The sum, where `z` is the product of both denominators:
    ///
    /// x' = dy^2 - dx^3 - 2 x dx^2, y' = dy (x dx^2 - x') - y dx^3, z' = z dx.
    #[inline(always)]
    fn sum(&self, z: &F) -> Jacobian<F> {
        let Self { x, y, dx, dy } = self;
        let dx_2 = dx.square();
        let dx_3 = dx_2.mul(dx);
        let v = x.mul(&dx_2);
        let x = dy.square().sub(&dx_3).sub(&v).sub(&v).tight();
        Jacobian {
            x,
            y: F::mul_sub(dy, &v.sub(&x), y, &dx_3),
            z: z.mul(dx),
        }
    }
}

/// A point in a computation whose time may depend on it: none is the one at infinity.
impl<F: Field> Jacobian<F> {
    /// The sum of any two points.
    pub(crate) fn add_variable_time(first: Option<Self>, second: &Addend<F>) -> Option<Self> {
        let Some(first) = first else {
            return Some(second.point);
        };
        let z = first.z.mul(&second.point.z);
        first.terms(second).sum_variable_time(&z, &first)
    }

    /// The sum of any two points.
    pub(crate) fn add_affine_variable_time(
        first: Option<Self>,
        second: &Affine<F>,
    ) -> Option<Self> {
        let Some(first) = first else {
            return Some(second.to_jacobian());
        };
        first
            .terms_affine(second)
            .sum_variable_time(&first.z, &first)
    }
}

impl<F: Field> Terms<F> {
    fn sum_variable_time(&self, z: &F, first: &Jacobian<F>) -> Option<Jacobian<F>> {
        if !self.dx.is_zero().reveal() {
            Some(self.sum(z))
        } else if self.dy.is_zero().reveal() {
            Some(first.double())
        } else {
            None
        }
    }
}

impl<F: Field> Addend<F> {
    /// Its negative, or itself.
    #[inline(always)]
    pub(crate) fn negate_if(&mut self, yes: Mask) {
        self.point.y.negate_if(yes);
    }

    /// The entry of a table at an index. Reads all of them.
    #[inline(never)]
    pub(crate) fn pick<const N: usize>(table: &[Self; N], index: u32) -> Self {
        let this: [_; N] = masks(index);
        Self {
            point: Jacobian {
                x: F::pick(|at| &table[at].point.x, &this),
                y: F::pick(|at| &table[at].point.y, &this),
                z: F::pick(|at| &table[at].point.z, &this),
            },
            zz: F::pick(|at| &table[at].zz, &this),
            zzz: F::pick(|at| &table[at].zzz, &this),
        }
    }
}

/// Yes at the index, no elsewhere.
fn masks<const N: usize>(index: u32) -> [Mask; N] {
    core::array::from_fn(|at| Mask::zero(at as u32 ^ index))
}

impl<F: Field> Affine<F> {
    /// Its negative, or itself.
    #[inline(always)]
    pub(crate) fn negate_if(&mut self, yes: Mask) {
        self.y.negate_if(yes);
    }

    /// The entry of a table at an index. Reads all of them.
    #[inline(never)]
    pub(crate) fn pick<const N: usize>(table: &[Self; N], index: u32) -> Self {
        let this: [_; N] = masks(index);
        Self {
            x: F::pick(|at| &table[at].x, &this),
            y: F::pick(|at| &table[at].y, &this),
        }
    }
}
