/* Eigenvalues of a pixel's 3x3 covariance.
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

G_END_DECLS
