/* The procedure that explores alternatives.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <libgimp/gimp.h>

G_BEGIN_DECLS

#define GW_EXPLORE_PROC "plug-in-grainwise-explore"

GimpProcedure *gw_explore_create_procedure (GimpPlugIn *plug_in);

G_END_DECLS
