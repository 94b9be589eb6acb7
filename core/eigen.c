/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "eigen.h"

#include <math.h>

#define SWEEPS 8 /* convergence is quadratic: five are enough for double precision */

/* Jacobi's method: rotations that make one element zero at a time. */
void
gw_eigen3 (const float matrix[6], float values[3], float vectors[3][3])
{
  double a[3][3] = { { matrix[0], matrix[1], matrix[2] },
                     { matrix[1], matrix[3], matrix[4] },
                     { matrix[2], matrix[4], matrix[5] } };
  double v[3][3] = { { 1, 0, 0 }, { 0, 1, 0 }, { 0, 0, 1 } };

  for (int i = 0; i < 3 * SWEEPS; i++)
    {
      const int p = i % 3 == 2 ? 1 : 0, q = i % 3 == 0 ? 1 : 2, r = 3 - p - q;
      double theta, t, c, s, old;

      if (a[p][q] == 0)
        continue;
      theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
      t = copysign (1, theta) / (fabs (theta) + sqrt (theta * theta + 1));
      c = 1 / sqrt (t * t + 1);
      s = t * c;
      a[p][p] -= t * a[p][q];
      a[q][q] += t * a[p][q];
      a[p][q] = a[q][p] = 0;
      old = a[p][r];
      a[p][r] = a[r][p] = c * old - s * a[q][r];
      a[q][r] = a[r][q] = s * old + c * a[q][r];
      for (int k = 0; k < 3; k++)
        {
          old = v[p][k];
          v[p][k] = c * old - s * v[q][k];
          v[q][k] = s * old + c * v[q][k];
        }
    }
  for (int i = 0; i < 3; i++)
    {
      values[i] = a[i][i];
      for (int k = 0; k < 3; k++)
        vectors[i][k] = v[i][k];
    }
}

/* The same for any size. */
void
gw_eigen (double *a, int n, double *vectors)
{
  for (int i = 0; i < n * n; i++)
    vectors[i] = i % (n + 1) == 0;
  for (int sweep = 0; sweep < 30; sweep++) /* a dozen will do */
    for (int p = 0; p < n; p++)
      for (int q = p + 1; q < n; q++)
        {
          const double off = a[p * n + q], theta = (a[q * n + q] - a[p * n + p]) / (2 * off);
          const double t = copysign (1, theta) / (fabs (theta) + sqrt (theta * theta + 1));
          const double c = 1 / sqrt (t * t + 1), s = t * c;

          if (off == 0 || fabs (off) <= 1e-15 * (fabs (a[p * n + p]) + fabs (a[q * n + q])))
            continue;
          for (int k = 0; k < n; k++)
            {
              const double kp = a[k * n + p], kq = a[k * n + q];

              a[k * n + p] = c * kp - s * kq;
              a[k * n + q] = s * kp + c * kq;
            }
          for (int k = 0; k < n; k++)
            {
              const double pk = a[p * n + k], qk = a[q * n + k];
              const double vp = vectors[p * n + k], vq = vectors[q * n + k];

              a[p * n + k] = c * pk - s * qk;
              a[q * n + k] = s * pk + c * qk;
              vectors[p * n + k] = c * vp - s * vq;
              vectors[q * n + k] = s * vp + c * vq;
            }
        }
}
