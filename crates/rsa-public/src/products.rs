//! Sums of products of limbs, column by column: where the time goes.
//!
//! Numbers are slices of limbs, the lowest first, of lengths that are multiples of four. Column `i` of a
//! sum belongs to 2^(i `BITS`). Nothing is carried here: the columns have room for what a
//! multiplication and a reduction put there.
//!
//! Eight limbs of one number at a time meet the other number, and four where that is what remains: a
//! column is read and written once for all of them.

use core::array;

use crate::limb::Limb;

/// Adds the product of two numbers of the same length. There are twice as many columns.
pub(crate) fn multiply<L: Limb>(columns: &mut [L::Sum], a: &[L], b: &[L]) {
    let (eights, rest) = a.as_chunks();
    for (rows, at) in eights.iter().zip((0..).step_by(8)) {
        add_rows(&mut columns[at..], rows, &[L::default(); 8], b);
    }
    if let Some(rows) = rest.first_chunk() {
        add_rows(
            &mut columns[8 * eights.len()..],
            rows,
            &[L::default(); 4],
            b,
        );
    }
}

/// Adds the square of a number. There are twice as many columns.
pub(crate) fn square<L: Limb>(columns: &mut [L::Sum], a: &[L]) {
    let (eights, rest) = a.as_chunks();
    for (rows, at) in eights.iter().zip((0..).step_by(8)) {
        square_rows::<L, 8>(&mut columns[2 * at..], rows, &a[at + 8..]);
    }
    if let Some(rows) = rest.first_chunk() {
        square_rows::<L, 4>(&mut columns[16 * eights.len()..], rows, &[]);
    }
}

/// Adds the square of limbs, and twice their products with a number that comes after them.
///
/// A product of two different limbs appears twice in a square, and is computed once.
#[inline(always)]
fn square_rows<L: Limb, const ROWS: usize>(columns: &mut [L::Sum], rows: &[L; ROWS], after: &[L]) {
    let doubled = rows.map(L::doubled);
    let (own, others) = columns.split_at_mut(ROWS);
    for (at, column) in own.iter_mut().enumerate() {
        *column += square_column(rows, &doubled, at);
    }
    for (at, column) in others.iter_mut().take(ROWS - 1).enumerate() {
        *column += square_column(rows, &doubled, ROWS + at);
    }
    add_rows(others, &doubled, &[L::default(); ROWS], after);
}

/// A column of the square of limbs.
#[inline(always)]
fn square_column<L: Limb, const ROWS: usize>(
    rows: &[L; ROWS],
    doubled: &[L; ROWS],
    column: usize,
) -> L::Sum {
    let mut sum = L::Sum::default();
    for low in 0..ROWS {
        if low <= column && low < column - low && column - low < ROWS {
            sum += doubled[low].by(rows[column - low]);
        }
    }
    if column.is_multiple_of(2) {
        sum += rows[column / 2].by(rows[column / 2]);
    }
    sum
}

/// Adds the products of limbs with a number, whose lowest limb meets the first of them in the first
/// column.
///
/// `before` are as many limbs below the number, of which the others meet some there. There are `ROWS`
/// - 1 columns more than the number has limbs, or more.
#[inline(never)]
pub(crate) fn add_rows<L: Limb, const ROWS: usize>(
    columns: &mut [L::Sum],
    rows: &[L; ROWS],
    before: &[L; ROWS],
    number: &[L],
) {
    let rows = *rows;
    let mut before = *before;
    let (columns, after) = columns.split_at_mut(number.len());
    let fours = columns.as_chunks_mut::<4>().0.iter_mut();
    for (columns, limbs) in fours.zip(number.as_chunks::<4>().0) {
        let limbs = *limbs;
        let sums = *columns;
        *columns = array::from_fn(|column| {
            let mut sum = sums[column];
            for row in 0..ROWS {
                sum += rows[row].by(match column.checked_sub(row) {
                    Some(at) => limbs[at],
                    None => before[ROWS + column - row],
                });
            }
            sum
        });
        before = array::from_fn(|at| match (at + 4).checked_sub(ROWS) {
            Some(at) => limbs[at],
            None => before[at + 4],
        });
    }
    let after = &mut after[..ROWS - 1];
    for (column, sum) in after.iter_mut().enumerate() {
        for row in column + 1..ROWS {
            *sum += rows[row].by(before[ROWS + column - row]);
        }
    }
}
