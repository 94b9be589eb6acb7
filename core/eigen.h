/* Eigenvalues of symmetric matrices: of a pixel's 3x3 covariance, and of small ones of any size.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/**
 * gw_eigen3:
 * @matrix: symmetric: 00, 01, 02, 11, 12, 22
 * @vectors: (out): vectors[i] belongs to values[i]; orthonormal
 */
void gw_eigen3 (const float matrix[6], float values[3], float vectors[3][3]);

/**
 * gw_eigen:
 * @matrix: (inout): @n x @n, symmetric; its diagonal becomes the eigenvalues, in no order
 * @vectors: (out): @n x @n; row i belongs to eigenvalue i; orthonormal
 */
void gw_eigen (double *matrix, int n, double *vectors);

G_END_DECLS
