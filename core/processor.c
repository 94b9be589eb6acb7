/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "kernels.h"

extern const GwKernels gw_portable;
#ifdef GW_X86_64
extern const GwKernels gw_avx2, gw_avx512;
#endif

int
gw_kernels_list (const GwKernels *kernels[4])
{
  int n = 0;

  kernels[n++] = &gw_portable;
#ifdef GW_X86_64
  if (__builtin_cpu_supports ("x86-64-v3"))
    kernels[n++] = &gw_avx2;
  if (__builtin_cpu_supports ("x86-64-v4"))
    kernels[n++] = &gw_avx512;
#endif
  return n;
}

const GwKernels *
gw_kernels_get (void)
{
  const GwKernels *kernels[4];

  return kernels[gw_kernels_list (kernels) - 1];
}
