//! How much more than independent requests counts scatter, from the same counts in several windows.
//!
//! Requests that come in bunches (a session, a key, a keep-alive connection) go to a worker together, so that fewer
//! independent choices are in `N` requests than `N`. The windows tell: were each worker's part the same in all of them
//! but for independent chance, the chi-square of the table worker x window would be its degrees of freedom.

/// Chi-square over degrees of freedom of the table of counts, at least 1. One row a window, one count a worker, in the
/// same order in all of them; short rows end in zeros. 1 when there are too few windows or requests to tell.
#[must_use]
pub fn over_dispersion(windows: &[&[u64]]) -> f64 {
    let sum = |row: &[u64]| row.iter().sum::<u64>() as f64;
    let rows = || windows.iter().filter(|row| sum(row) > 0.0);
    let total: f64 = rows().map(|row| sum(row)).sum();
    let most = windows.iter().map(|row| row.len()).max().unwrap_or(0);
    let (mut chi_square, mut busy) = (0.0, 0_u32);
    for worker in 0..most {
        let count = |row: &[u64]| row.get(worker).map_or(0.0, |count| *count as f64);
        let all: f64 = rows().map(|row| count(row)).sum();
        if all > 0.0 {
            busy += 1;
            let expected = |row: &[u64]| sum(row) * all / total;
            let part = |row: &&[u64]| (count(row) - expected(row)) * (count(row) - expected(row)) / expected(row);
            chi_square += rows().map(part).sum::<f64>();
        }
    }
    let freedom = f64::from(busy.saturating_sub(1)) * rows().count().saturating_sub(1) as f64;
    // Cells of which less is expected than a few requests have no chi-square.
    if freedom < LEAST_FREEDOM || total < freedom * LEAST_EXPECTED {
        return 1.0;
    }
    (chi_square / freedom).max(1.0)
}

/// Degrees of freedom from which on a dispersion says something: by fewer it is off by more than half. Source: the
/// standard error of chi-square over its freedom, `sqrt(2 / freedom)`.
const LEAST_FREEDOM: f64 = 8.0;
/// Requests expected in a cell, on average. Source: Cochran's rule for tables (1954).
const LEAST_EXPECTED: f64 = 5.0;
