/* The uncertainty layer turned back into numbers.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <libgimp/gimp.h>

G_BEGIN_DECLS

#define GW_READ_PROC "plug-in-grainwise-read-uncertainty"

GimpProcedure *gw_readout_create_procedure (GimpPlugIn *plug_in);

G_END_DECLS
