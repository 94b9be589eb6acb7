/* The plug-in's dialog.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <libgimp/gimp.h>
#include <libgimp/gimpui.h>

G_BEGIN_DECLS

#define GW_DIALOG_ROLE "grainwise"

/* Asks for the procedure's arguments, with a preview of the result.  Returns whether the user said OK. */
gboolean gw_dialog_run (GimpProcedure *procedure, GimpProcedureConfig *config, GimpDrawable *drawable);

G_END_DECLS
