# SPDX-License-Identifier: GPL-3.0-or-later
"""The plug-in's dialog, as a person uses it: by the names of its widgets, and by what is on the screen."""
import json
import os
import pathlib
import re
import shutil
import tempfile
import unittest

import numpy as np
from PIL import Image
import gi
gi.require_version('Atspi', '2.0')
from gi.repository import Atspi

import gimp

LEVEL = 37.0


# ---- Inside of GIMP -------------------------------------------------------------------------------------------

def make_photo(path):
    import test_gimp_batch as batch

    image, _ = batch.new_image(batch.make_photo(700, 520), batch.Gimp.Precision.U8_NON_LINEAR)
    batch.save(image, path)


def run_plug_in(folder, run_mode):
    """Leaves in the folder what came of it."""
    import test_gimp_batch as batch

    image = batch.load(f'{folder}/photo.png')
    layer = image.get_layers()[0]
    pixels = batch.raw(layer)
    result = {}
    image.clean_all()
    try:
        denoised, uncertainty = batch.denoise(image, layer, run_mode=getattr(batch.Gimp.RunMode, run_mode))
        result['report'] = batch.report(denoised)
        for name, each in ('denoised', denoised), ('uncertainty', uncertainty):
            picture = batch.np.rint(255 * batch.get_pixels(each, grey=False)).astype('uint8')
            batch.np.save(f'{folder}/{name}.npy', picture)
    except batch.Refused as message:
        result['refused'] = str(message)
    result |= {'layers': len(image.get_layers()), 'dirty': image.is_dirty(), 'same': batch.raw(layer) == pixels}
    pathlib.Path(folder, 'result.json').write_text(json.dumps(result))
    image.delete()


# ---- Outside --------------------------------------------------------------------------------------------------

class DialogTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = pathlib.Path(temporary.name)
        status, output = gimp.run(os.environ, gimp.call('test_gimp_dialog', 'make_photo', f'{cls.folder}/photo.png'))
        assert status == 0, output

    def start(self, run_mode='INTERACTIVE'):
        self.gimp = gimp.start(os.environ, gimp.call('test_gimp_dialog', 'run_plug_in', str(self.folder), run_mode))
        self.addCleanup(self.gimp.kill)
        if run_mode == 'INTERACTIVE':
            self.dialog = gimp.wait_for(lambda: gimp.find_window('^Denoise with Confidence$'))
            self.wait_for_preview()

    def finish(self):
        """What came of it; GIMP and the plug-in must have no warning to give."""
        status, output = gimp.finish(self.gimp)
        self.assertEqual((status, output), (0, ''))
        return json.loads((self.folder / 'result.json').read_text())

    def button(self, name):
        return gimp.find(self.dialog, ('push button', 'button'), name)

    def automatic(self):
        return gimp.find(self.dialog, ('check box',), 'Estimate the noise')

    def level(self):
        return gimp.find(self.dialog, ('spin button',), '^Noise level$')

    def status(self):
        label = gimp.find(self.dialog, ('label',), '^(Noise [0-9]|Uncertainty here|The photo as it is|Denoising)')
        return label.get_name() if label else ''

    def wait_for_preview(self, status=''):
        gimp.wait_for(lambda: re.search('^(?!Denoising).+' if not status else status, self.status()))

    def choose(self, combo, item):
        """Chooses an item of a combo box."""
        combo = gimp.find(self.dialog, ('combo box',), combo)
        names = [each.get_name() for each in gimp.widgets(combo) if each.get_role_name() == 'menu item']
        combo.get_selection_iface().select_child(names.index(item))

    def preview(self, name):
        """What is inside of the preview's frame."""
        path = self.folder / f'{name}.png'
        gimp.screenshot(path)
        if 'GRAINWISE_SCREENSHOTS' in os.environ:
            shutil.copy(path, pathlib.Path(os.environ['GRAINWISE_SCREENSHOTS'], f'dialog-{name}.png'))
        areas = [each.get_component_iface().get_extents(Atspi.CoordType.SCREEN) for each in gimp.widgets(self.dialog)
                 if each.get_role_name() in ('drawing area', 'unknown', 'image', 'filler')]
        print([(e.x,e.y,e.width,e.height) for e in areas])
        return np.asarray(Image.open(path).convert('RGB')).astype(int)

    def test_1_tree(self):
        self.start()
        for each in gimp.widgets(self.dialog):
            e=each.get_component_iface().get_extents(Atspi.CoordType.SCREEN)
            print(each.get_role_name(), repr(each.get_name()), e.x,e.y,e.width,e.height)
        self.preview('first')
        gimp.press(self.button('^OK$'))
        print(self.finish())
