/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "random.h"

#include <math.h>

void
gw_random_philox (const guint32 key[2], const guint32 counter[4], guint32 result[4])
{
  guint32 k0 = key[0], k1 = key[1];
  guint32 c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];

  for (int round = 0; round < 10; round++)
    {
      const guint64 a = (guint64) 0xD2511F53 * c0, b = (guint64) 0xCD9E8D57 * c2;

      c0 = (guint32) (b >> 32) ^ c1 ^ k0;
      c1 = (guint32) b;
      c2 = (guint32) (a >> 32) ^ c3 ^ k1;
      c3 = (guint32) a;
      k0 += 0x9E3779B9;
      k1 += 0xBB67AE85;
    }
  result[0] = c0;
  result[1] = c1;
  result[2] = c2;
  result[3] = c3;
}

/* Two normal numbers from two uniform ones (Box and Muller 1958). */
static void
box_muller (guint32 a, guint32 b, float normals[2])
{
  const float radius = sqrtf (-2 * logf ((a + 0.5f) * 0x1p-32f));
  const float angle = (float) (2 * G_PI) * (b * 0x1p-32f);

  normals[0] = radius * cosf (angle);
  normals[1] = radius * sinf (angle);
}

void
gw_random_normals (guint64 seed, guint32 sample, guint32 stream, guint32 y, int width, float *normals)
{
  const guint32 key[] = { (guint32) seed, (guint32) (seed >> 32) };

  for (int x = 0; x < width; x++)
    {
      const guint32 counter[] = { x, y, stream, sample };
      guint32 bits[4];

      gw_random_philox (key, counter, bits);
      box_muller (bits[0], bits[1], normals + GW_NORMALS * x);
      box_muller (bits[2], bits[3], normals + GW_NORMALS * x + 2);
    }
}
