/* Members of a JSON object.
 *
 * SPDX-License-Identifier: GPL-3.0-or-later
 */
#pragma once

#include <json-glib/json-glib.h>

G_BEGIN_DECLS

void gw_json_add_text (JsonBuilder *builder, const char *name, const char *text);

/* One that JSON has no word for (the PSNR of a perfect result is infinite) becomes null. */
void gw_json_add_number (JsonBuilder *builder, const char *name, double number);

G_END_DECLS
