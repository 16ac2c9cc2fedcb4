//! Dense linear algebra on row-major square matrices, as far as a Gaussian process needs it.

/// The scalar product, in eight partial sums so that it becomes vector instructions.
#[inline]
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let n = a.len().min(b.len());
    let (a, b) = (&a[..n], &b[..n]);
    let mut sums = [0.0f64; 8];
    let (ca, cb) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = ca.remainder().iter().zip(cb.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in ca.zip(cb) {
        for i in 0..8 {
            sums[i] += x[i] * y[i];
        }
    }
    (sums[0] + sums[4]) + (sums[1] + sums[5]) + ((sums[2] + sums[6]) + (sums[3] + sums[7])) + rest
}

/// A lower triangle, row by row in full rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lower {
    n: usize,
    data: Vec<f64>,
}

impl Lower {
    /// The Cholesky factor of a symmetric matrix of which the lower triangle is given; none if it
    /// is not positive definite.
    pub(crate) fn cholesky(mut data: Vec<f64>, n: usize) -> Option<Lower> {
        for i in 0..n {
            let (above, from) = data.split_at_mut(i * n);
            let row = &mut from[..n];
            for j in 0..i {
                let other = &above[(j * n)..=(j * n + j)];
                row[j] = (row[j] - dot(&row[..j], &other[..j])) / other[j];
            }
            let pivot = row[i] - dot(&row[..i], &row[..i]);
            if pivot.is_nan() || pivot <= 1e-14 {
                return None;
            }
            row[i] = pivot.sqrt();
            row[i + 1..].fill(0.0);
        }
        Some(Lower { n, data })
    }

    /// The part of a row up to the diagonal.
    pub(crate) fn row(&self, i: usize) -> &[f64] {
        &self.data[(i * self.n)..=(i * self.n + i)]
    }

    /// The sum of the logarithms of the diagonal.
    pub(crate) fn log_diagonal(&self) -> f64 {
        (0..self.n).map(|i| self.data[i * self.n + i].ln()).sum()
    }

    /// Solves L x = b.
    pub(crate) fn forward(&self, b: &[f64]) -> Vec<f64> {
        let mut x = Vec::with_capacity(self.n);
        for (i, b) in b.iter().enumerate().take(self.n) {
            let row = self.row(i);
            let value = (b - dot(&row[..i], &x)) / row[i];
            x.push(value);
        }
        x
    }

    /// Solves Lᵀ x = b.
    pub(crate) fn backward(&self, b: &[f64]) -> Vec<f64> {
        let mut x = b.to_vec();
        for i in (0..self.n).rev() {
            let row = self.row(i);
            x[i] /= row[i];
            let value = x[i];
            for (x, l) in x[..i].iter_mut().zip(row) {
                *x -= l * value;
            }
        }
        x
    }

    /// Solves L Lᵀ x = b.
    pub(crate) fn solve(&self, b: &[f64]) -> Vec<f64> {
        self.backward(&self.forward(b))
    }

    /// The inverse of L, a lower triangle too.
    pub(crate) fn inverse(&self) -> Lower {
        let n = self.n;
        let mut data = vec![0.0; n * n];
        // Row i of the inverse is (e_i - Σ_{j<i} L_ij row_j) / L_ii: whole rows at a time.
        for i in 0..n {
            let (above, from) = data.split_at_mut(i * n);
            let row = &mut from[..n];
            let own = self.row(i);
            for j in 0..i {
                let factor = own[j];
                for (x, y) in row[..=j].iter_mut().zip(&above[(j * n)..=(j * n + j)]) {
                    *x -= factor * y;
                }
            }
            let pivot = 1.0 / own[i];
            row[..i].iter_mut().for_each(|x| *x *= pivot);
            row[i] = pivot;
        }
        Lower { n, data }
    }

    /// The product of the transpose with itself, `AᵀA`: of an inverse of L this is the inverse of the
    /// whole matrix. The lower triangle, in full rows.
    pub(crate) fn transposed_square(&self) -> Vec<f64> {
        let n = self.n;
        let mut out = vec![0.0; n * n];
        for k in 0..n {
            let row = self.row(k);
            for i in 0..=k {
                let factor = row[i];
                for (x, y) in out[(i * n)..=(i * n + i)].iter_mut().zip(row) {
                    *x += factor * y;
                }
            }
        }
        out
    }

    /// The product of the triangle with a vector.
    pub(crate) fn times(&self, x: &[f64]) -> Vec<f64> {
        (0..self.n).map(|i| dot(self.row(i), x)).collect()
    }

    /// The product of the transpose with a vector.
    pub(crate) fn transposed_times(&self, x: &[f64]) -> Vec<f64> {
        let mut out = vec![0.0; self.n];
        for (i, factor) in x.iter().enumerate().take(self.n) {
            for (o, l) in out.iter_mut().zip(self.row(i)) {
                *o += factor * l;
            }
        }
        out
    }
}

/// The eigenvalues of a symmetric matrix and its eigenvectors, in rows (Jacobi's rotations: for the
/// few dimensions of a search space).
pub(crate) fn symmetric_eigen(mut a: Vec<f64>, n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut v = vec![0.0; n * n];
    (0..n).for_each(|i| v[i * n + i] = 1.0);
    for _ in 0..30 {
        let off: f64 = (0..n).map(|i| a[i * n..i * n + i].iter().map(|x| x * x).sum::<f64>()).sum();
        let scale: f64 = (0..n).map(|i| a[i * n + i] * a[i * n + i]).sum();
        if off <= 1e-24 * scale || off == 0.0 {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                let apq = a[p * n + q];
                if apq.abs() < 1e-300 {
                    continue;
                }
                let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * apq);
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let t = if theta == 0.0 { 1.0 } else { t };
                let c = 1.0 / (t * t + 1.0).sqrt();
                let s = t * c;
                for k in 0..n {
                    let (x, y) = (a[k * n + p], a[k * n + q]);
                    (a[k * n + p], a[k * n + q]) = (c * x - s * y, s * x + c * y);
                }
                for k in 0..n {
                    let (x, y) = (a[p * n + k], a[q * n + k]);
                    (a[p * n + k], a[q * n + k]) = (c * x - s * y, s * x + c * y);
                    let (x, y) = (v[p * n + k], v[q * n + k]);
                    (v[p * n + k], v[q * n + k]) = (c * x - s * y, s * x + c * y);
                }
            }
        }
    }
    ((0..n).map(|i| a[i * n + i]).collect(), v)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(n: usize) -> Vec<f64> {
        let at = |i: usize, j: usize| (-(i as f64 - j as f64).abs() / 3.0).exp();
        (0..n * n).map(|k| at(k / n, k % n) + if k / n == k % n { 0.1 } else { 0.0 }).collect()
    }

    #[test]
    fn the_factor_its_inverse_and_the_solutions_fit_the_matrix() {
        for n in [1, 2, 7, 30] {
            let a = matrix(n);
            let l = Lower::cholesky(a.clone(), n).unwrap();
            let b: Vec<f64> = (0..n).map(|i| (i as f64).sin()).collect();
            let x = l.solve(&b);
            let inverse = l.inverse();
            let whole = inverse.transposed_square();
            for i in 0..n {
                let ax: f64 = (0..n).map(|j| a[i * n + j] * x[j]).sum();
                assert!((ax - b[i]).abs() < 1e-11);
                let at = |j: usize| if j <= i { whole[i * n + j] } else { whole[j * n + i] };
                let ib: f64 = (0..n).map(|j| at(j) * b[j]).sum();
                assert!((ib - x[i]).abs() < 1e-11);
            }
            let v = inverse.times(&b);
            v.iter().zip(l.forward(&b)).for_each(|(x, y)| assert!((x - y).abs() < 1e-11));
            let w = inverse.transposed_times(&v);
            w.iter().zip(&x).for_each(|(x, y)| assert!((x - y).abs() < 1e-11));
        }
        assert!(Lower::cholesky(vec![1.0, 2.0, 2.0, 1.0], 2).is_none());
        assert!(Lower::cholesky(vec![f64::NAN], 1).is_none());
    }

    #[test]
    fn eigenvectors_rebuild_the_matrix() {
        let n = 9;
        let a = matrix(n);
        let (values, v) = symmetric_eigen(a.clone(), n);
        for i in 0..n {
            for j in 0..n {
                let x: f64 = (0..n).map(|k| values[k] * v[k * n + i] * v[k * n + j]).sum();
                assert!((x - a[i * n + j]).abs() < 1e-10);
            }
        }
    }
}
