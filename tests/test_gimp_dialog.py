# SPDX-License-Identifier: GPL-3.0-or-later
"""The plug-in's dialog, as a person uses it: by the names of its widgets, and by what is on the screen."""
import gettext
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import unittest

import numpy as np
from PIL import Image
import gi
gi.require_version('Atspi', '2.0')
from gi.repository import Atspi

import gimp

unittest.TestCase.maxDiff = None
LEVEL = 37.0


# ---- Inside of GIMP -------------------------------------------------------------------------------------------

def run_plug_in(folder, photo, run_mode):
    """Leaves in the folder what came of it."""
    import test_gimp_batch as batch

    image = batch.load(f'{folder}/{photo}.png')
    layer = image.get_layers()[0]
    pixels = batch.raw(layer)
    result = {}
    image.clean_all()
    try:
        denoised, uncertainty = batch.denoise(image, layer, run_mode=getattr(batch.Gimp.RunMode, run_mode),
                                               noise_level=0.0, brightness='measured', grain_size=-1.0)
        result |= {'report': batch.report(denoised), 'white': batch.report(uncertainty)['white']}
        for name, each in ('denoised', denoised), ('uncertainty', uncertainty):
            picture = batch.np.rint(255 * batch.get_pixels(each, grey=False)).astype('uint8')
            batch.np.save(f'{folder}/{name}.npy', picture)
    except batch.Refused as message:
        result['refused'] = str(message)
    result |= {'layers': len(image.get_layers()), 'dirty': image.is_dirty(), 'same': batch.raw(layer) == pixels}
    pathlib.Path(folder, 'result.json').write_text(json.dumps(result))
    image.delete()


def run_explorer(folder):
    """Leaves in the folder what came of it."""
    import test_gimp_batch as batch

    image = batch.load(f'{folder}/photo.png')
    layer = image.get_layers()[0]
    image.select_rectangle(batch.REPLACE, 300, 200, 60, 40)
    image.clean_all()
    result = {}
    try:
        added, = batch.call('explore', image, layer, run_mode=batch.Gimp.RunMode.INTERACTIVE, model='fast')
        result['report'] = batch.report(added)
        batch.np.save(f'{folder}/alternative.npy', batch.np.rint(255 * batch.get_pixels(added)).astype('uint8'))
    except batch.Refused as message:
        result['refused'] = str(message)
    result |= {'layers': len(image.get_layers()), 'dirty': image.is_dirty()}
    pathlib.Path(folder, 'result.json').write_text(json.dumps(result))
    image.delete()


# ---- Outside --------------------------------------------------------------------------------------------------

class ScreenTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        temporary = tempfile.TemporaryDirectory()
        cls.addClassCleanup(temporary.cleanup)
        cls.folder = pathlib.Path(temporary.name)
        cls.warnings = []
        for name, *size in ('photo', 700, 520), ('small', 300, 200):
            status, output = gimp.run(os.environ, gimp.call('test_gimp_batch', 'save_photo', f'{cls.folder}/{name}.png', *size))
            assert status == 0, output

    def finish(self):
        """What came of it."""
        status, output = gimp.finish(self.gimp)
        self.assertEqual(status, 0, output)
        self.warnings.append(output)
        return json.loads((self.folder / 'result.json').read_text())

    def button(self, name):
        return gimp.find(self.dialog, ('push button', 'button'), f'^{name}$')

    def is_sensitive(self, widget):
        return gimp.is_state(widget, 'SENSITIVE')

    def wait_for_status(self, pattern):
        """The line below the preview."""
        label = gimp.wait_for(lambda: gimp.find(self.dialog, ('label',), pattern))
        return label.get_name()

    def choose(self, name):
        """Chooses an item of whichever combo box has it."""
        for combo in gimp.widgets(self.dialog):
            if combo.get_role_name() == 'combo box':
                items = [each.get_name() for each in gimp.widgets(combo) if each.get_role_name() == 'menu item']
                if name in items:
                    self.assertTrue(combo.get_selection_iface().select_child(items.index(name)))
                    return
        self.fail(f'no choice {name}')

    def corner(self, name):
        """On the screen, of a drawing area."""
        area = gimp.find(self.dialog, ('drawing area',), f'^{name}$').get_component_iface()
        extents = area.get_extents(Atspi.CoordType.SCREEN)
        return extents.x, extents.y

    def preview(self, name):
        """The pixels that the preview shows."""
        path = self.folder / f'{name}.png'
        time.sleep(0.5)  # for the screen to be drawn
        gimp.screenshot(path)
        if 'GRAINWISE_SCREENSHOTS' in os.environ:
            shutil.copy(path, pathlib.Path(os.environ['GRAINWISE_SCREENSHOTS'], f'dialog-{name}.png'))
        area = gimp.find(self.dialog, ('drawing area',), '^Preview$').get_component_iface().get_extents(Atspi.CoordType.SCREEN)
        return np.asarray(Image.open(path).convert('RGB')).astype(int)[area.y:, area.x:][:area.height, :area.width]

    def assert_part_of(self, part, whole, levels):
        """Where in the whole the part is."""
        height, width = part.shape[:2]
        for y in range(whole.shape[0] - height + 1):
            for x in range(whole.shape[1] - width + 1):
                if (np.abs(whole[y, x] - part[0, 0]).max() <= levels
                        and np.abs(whole[y:y + height, x:x + width] - part).max() <= levels):
                    return slice(y, y + height), slice(x, x + width)
        self.fail('not a part of it')


class DialogTest(ScreenTest):
    def start(self, run_mode='INTERACTIVE', photo='photo'):
        self.gimp = gimp.start(os.environ, gimp.call('test_gimp_dialog', 'run_plug_in', str(self.folder), photo, run_mode))
        self.addCleanup(self.gimp.kill)
        if run_mode == 'INTERACTIVE':
            self.dialog = gimp.wait_for(lambda: gimp.find_window('^Denoise with Confidence$'))
            self.wait_for_status('^(Noise about|The photo as it is)')

    def automatic(self):
        return gimp.find(self.dialog, ('check box',), 'Estimate the noise')

    def level(self):
        return gimp.find(self.dialog, ('spin button',), '^Noise level$')

    # In this order: the first one sets the last values, of which the later ones know.
    def test_1_denoise(self):
        self.start()
        self.assertRegex(self.automatic().get_name(), r': (19|20|21)\.\d levels, ± \d+ %$')
        self.assertTrue(gimp.is_state(self.automatic(), 'CHECKED'))
        self.assertFalse(self.is_sensitive(self.level()))
        estimated = self.preview('estimated')

        gimp.press(self.automatic())
        gimp.wait_for(lambda: self.is_sensitive(self.level()))
        self.level().get_value_iface().set_current_value(LEVEL)
        self.wait_for_status(r'^Noise about 37\.0 levels\. Expected error after denoising \d[\s\S]* \d+ % of the photo is '
                             r'doubtful\.\n[\s\S]*weaker than assumed: about (19|20|21)')
        denoised = self.preview('denoised')
        self.assertEqual(denoised.shape, (480, 480, 3))
        self.choose('Uncertainty')
        status = self.wait_for_status(r'^Uncertainty, sd, white = .*\.\nStandard deviation here: .* levels on average; ')
        uncertainty = self.preview('uncertainty')
        self.choose('Noisy')
        self.wait_for_status('^The photo as it is$')
        noisy = self.preview('noisy')
        self.choose('Noisy and denoised')
        self.wait_for_status('^Noise about')
        split = self.preview('split')
        gimp.press(self.button('OK'))
        result = self.finish()

        self.assertAlmostEqual(result['report']['noise_level'], LEVEL, places=4)
        self.assertEqual(result['layers'], 3)
        self.assertTrue(result['same'])
        for a, b in (estimated, denoised), (denoised, noisy), (uncertainty, denoised):
            self.assertGreater(np.abs(a - b).mean(), 1)
        self.assert_part_of(noisy, np.asarray(Image.open(self.folder / 'photo.png')).astype(int), 0)
        np.testing.assert_array_equal(split[:, :238], noisy[:, :238])
        np.testing.assert_array_equal(split[:, 242:], denoised[:, 242:])
        place = self.assert_part_of(denoised, np.load(self.folder / 'denoised.npy').astype(int), 2)

        # The preview has a scale of its own, that of the part which is seen.
        white = float(re.search(r'white = ([0-9.]+)', status)[1])
        layer = np.load(self.folder / 'uncertainty.npy')[place].astype(int)
        seen = (uncertainty < 255) & (layer < 255)
        self.assertGreater(seen.mean(), 0.9)
        self.assertLess(np.abs(uncertainty * white - layer * result['white'])[seen].max() / 255, 0.02 * white)

    def test_2_last_values(self):
        self.start('WITH_LAST_VALS')
        self.assertAlmostEqual(self.finish()['report']['noise_level'], LEVEL, places=4)

    def test_3_cancel(self):
        self.start()
        self.assertFalse(gimp.is_state(self.automatic(), 'CHECKED'))
        self.assertTrue(self.is_sensitive(self.level()))
        self.assertAlmostEqual(self.level().get_value_iface().get_current_value(), LEVEL, places=4)
        gimp.press(self.automatic())
        gimp.wait_for(lambda: not self.is_sensitive(self.level()))
        gimp.press(self.automatic())
        gimp.wait_for(lambda: self.is_sensitive(self.level()))
        self.assertAlmostEqual(self.level().get_value_iface().get_current_value(), LEVEL, places=4)

        self.level().get_value_iface().set_current_value(12)  # makes a new preview, which is on its way at
        gimp.press(self.button('Cancel'))
        result = self.finish()
        self.assertIn('refused', result)
        self.assertEqual((result['layers'], result['dirty'], result['same']), (1, False, True))

    def test_4_cancelled_values_are_forgotten(self):
        self.start('WITH_LAST_VALS')
        self.assertAlmostEqual(self.finish()['report']['noise_level'], LEVEL, places=4)

    def test_5_small_photo(self):
        """Smaller than the preview, which then shows all of it."""
        self.start(photo='small')
        self.choose('Denoised')
        self.wait_for_status('^Noise about')
        denoised = self.preview('small')
        gimp.press(self.button('OK'))
        self.finish()
        self.assert_part_of(np.load(self.folder / 'denoised.npy').astype(int), denoised, 2)

    def test_6_moving(self):
        """By dragging, by a click, by keys, on the map; and the divider."""
        def xdotool(*arguments):
            subprocess.run(['xdotool', *map(str, arguments)], check=True)

        def drag(name, start, end):
            x, y = self.corner(name)
            xdotool('mousemove', x + start[0], y + start[1], 'mousedown', 1, 'mousemove', x + end[0], y + end[1],
                    'mousemove', x + end[0], y + end[1], 'mouseup', 1)

        def place():
            self.wait_for_status('^The photo as it is$')
            xdotool('mousemove', 1, 1)                               # no tooltip is to hide a part
            time.sleep(0.5)
            inside = self.preview('moved')[4:-4, 4:-4]               # around it may be the mark of the focus
            down, across = self.assert_part_of(inside, photo, 0)
            return across.start - 4, down.start - 4

        photo = np.asarray(Image.open(self.folder / 'photo.png')).astype(int)
        self.start()
        self.choose('Noisy')
        self.assertEqual(place(), (110, 20))
        drag('Preview', (200, 200), (230, 190))
        self.assertEqual(place(), (80, 30))
        drag('Preview', (340, 240), (340, 240))                      # a click 100 to the right of the middle
        self.assertEqual(place(), (180, 30))
        xdotool('key', 'Left', 'Up')
        self.assertEqual(place(), (116, 0))
        drag('The whole photo', (0, 0), (0, 0))
        self.assertEqual(place(), (0, 0))

        xdotool('mousemove', self.corner('Preview')[0] + 100, self.corner('Preview')[1] + 100, 'click', 1)  # the focus
        self.assertEqual(place(), (0, 0))
        xdotool('key', 'plus')
        enlarged = self.preview('enlarged')[4:-4, 4:-4]
        np.testing.assert_array_equal(enlarged[::2, ::2], enlarged[1::2, 1::2])
        self.assert_part_of(enlarged[::2, ::2], photo, 0)
        xdotool('key', 'minus', '4')
        self.wait_for_status('^Noise about')
        drag('Preview', (240, 100), (80, 100))
        split, moved = self.preview('divided'), photo[:480, :480]
        np.testing.assert_array_equal(split[4:-4, 4:78], moved[4:-4, 4:78])
        self.assertGreater(np.abs(split - moved)[:, 90:].mean(), 5)
        xdotool('key', 'space')
        self.wait_for_status('^The photo as it is$')
        gimp.press(self.button('Cancel'))
        self.finish()

    def test_7_every_control(self):
        """Each changes what is seen, or what comes of it, and is there by its name."""
        def value(name, number):
            spin = gimp.find(self.dialog, ('spin button',), f'^{name}$')
            spin.get_value_iface().set_current_value(number)

        def switch(name):
            gimp.press(gimp.find(self.dialog, ('check box',), name))

        def changed(before):
            """The preview, as soon as it is another one."""
            def look():
                after = self.preview('control')
                return after if np.abs(after - before).mean() > 0.05 else None
            return gimp.wait_for(lambda: (after := look()) is not None and [after])[0]

        self.start()
        if not gimp.is_state(self.automatic(), 'CHECKED'):
            gimp.press(self.automatic())
        switch('Grain as measured')
        self.choose('Denoised')
        self.wait_for_status(r'^Noise about[\s\S]*assumed')
        seen = self.preview('control')
        for name, number in (('Grain size', 1.5), ('Luminance', 40), ('Colour', 30), ('Keep grain where unsure', 60)):
            value(name, number)
            seen = changed(seen)
        self.choose('Uniform')
        self.choose('fast')
        self.choose('Uncertainty')
        self.wait_for_status('^Uncertainty, sd')
        seen = changed(seen)
        for choice, status in (('Viridis', '^Uncertainty, sd'),
                               ('Relative to contrast', '^Uncertainty over contrast, white = 100 %')):
            self.choose(choice)
            self.wait_for_status(status)
            seen = changed(seen)
        value('Scale ends at', 50)
        self.wait_for_status('^Uncertainty over contrast, white = 50 %')
        relative = changed(seen)
        value('Number of samples', 1)
        value('Steps', 2)
        value('Seed', 7)
        self.choose('Langevin, Ozaki')
        self.wait_for_status('^These samples will take about')
        switch('New layers in a group')
        switch('Layer with the scale bar')
        switch('Show the uncertainty layer')
        switch('Uncertainty as layer mask')
        self.choose("Replace the layer's pixels")
        self.assertFalse(self.is_sensitive(gimp.find(self.dialog, ('check box',), 'Uncertainty as layer mask')))
        self.choose('New layer above')
        gimp.press(self.button('OK'))
        result = self.finish()
        report = result['report']
        self.assertEqual((report['luminance_strength'], report['colour_strength'], report['keep_grain']), (0.4, 0.3, 0.6))
        self.assertAlmostEqual(report['grain_size'], 1.5, delta=0.01)
        self.assertEqual((report['samples'], report['seed']), (1, 7))
        self.assertEqual((result['layers'], result['white']), (2, 0.5))  # the photo and the group
        self.assert_part_of(relative, np.load(self.folder / 'uncertainty.npy').astype(int), 3)  # up to its edges

    def test_8_reset(self):
        """Back to the defaults."""
        self.start()
        gimp.press(self.button('Reset'))
        gimp.press(gimp.wait_for(lambda: gimp.find(self.dialog, ('push button', 'button'), 'to Factory Defaults')))
        gimp.wait_for(lambda: gimp.is_state(self.automatic(), 'CHECKED'))
        self.assertEqual(gimp.find(self.dialog, ('spin button',), '^Luminance$').get_value_iface().get_current_value(), 100)
        gimp.press(self.button('Cancel'))
        self.finish()

    def test_9_no_warnings(self):
        self.assertTrue(self.warnings)
        for each in self.warnings:
            self.assertEqual(each, '')


class GermanTest(ScreenTest):
    def test_german(self):
        """Not one word of ours stays English, and numbers have their comma."""
        german = gettext.translation('grainwise', os.environ['GRAINWISE_LOCALE'], ['de'])
        with gimp.german(os.environ) as environment:
            if not environment:
                self.skipTest('no German locale')
            self.gimp = gimp.start(environment, gimp.call('test_gimp_dialog', 'run_plug_in', str(self.folder), 'photo',
                                                          'INTERACTIVE'))
            self.addCleanup(self.gimp.kill)
            title = german.gettext('Denoise with Confidence')
            self.dialog = gimp.wait_for(lambda: gimp.find_window(f'^{title}$'))
            self.wait_for_status(r'^Rauschen etwa \d+,\d Stufen\. Erwarteter Fehler nach dem Entrauschen \d+,\d Stufen '
                                 r'\(\d\d,\d dB\); \d+ % des Fotos sind zweifelhaft\.\n')
            names = {each.get_name() for each in gimp.widgets(self.dialog)}
            said = {english.replace('_', ''): words.replace('_', '') for english, words in german._catalog.items()}
            self.assertGreater(len(names & set(said.values())), 45)
            self.assertEqual({name for name in names if name and said.get(name, name) != name}, set())
            gimp.press(self.button('OK'))
            result = self.finish()
        self.assertGreater(result['layers'], 1)
        self.assertAlmostEqual(result['report']['noise_level'], 20, delta=1)
        self.assertNotIn('grainwise', self.warnings[-1])      # GIMP's own are in German, too


class ExplorerTest(ScreenTest):
    def start(self):
        self.gimp = gimp.start(os.environ, gimp.call('test_gimp_dialog', 'run_explorer', str(self.folder)))
        self.addCleanup(self.gimp.kill)
        self.dialog = gimp.wait_for(lambda: gimp.find_window('^Explore Alternatives$'))
        return self.wait_for_status('^The mean colour here is ')

    def slider(self, number):
        return gimp.find(self.dialog, ('slider',), f'^Component {number}$')

    def move(self, number, amount):
        self.slider(number).get_value_iface().set_current_value(amount)

    def test_explore(self):
        """A slider changes the selection, and nothing else; OK makes a layer of what is seen."""
        status = self.start()
        self.assertRegex(status, r'^The mean colour here is R [\d.]+ G [\d.]+ B [\d.]+ ± [\d.]+ [\d.]+ [\d.]+ levels '
                                 r'\(standard error\)\.$')
        self.assertTrue(gimp.find(self.dialog, ('label',), r'^Component 1: up to ± [\d.]+ levels$'))
        mean = self.preview('explore-mean')
        self.move(1, 3)
        self.move(2, -2)
        moved = self.preview('explore-moved')
        difference = np.abs(moved - mean).max(axis=2)
        self.assertGreater(difference.max(), 3)
        rows, columns = np.nonzero(difference)
        for places, length in (rows, 4 * 40), (columns, 4 * 60):  # four times enlarged, in the middle
            self.assertGreaterEqual(places.min(), 240 - length / 2 - 4)
            self.assertLess(places.max(), 240 + length / 2 + 4)
        gimp.press(self.button('Back to the mean'))
        np.testing.assert_array_equal(self.preview('explore-back'), mean)
        self.move(1, 3)
        self.move(2, -2)
        gimp.press(self.button('OK'))
        result = self.finish()
        self.assertEqual((result['layers'], result['report']['amounts']), (2, [3, -2, 0, 0]))
        layer = np.load(self.folder / 'alternative.npy').astype(int)
        self.assertEqual(layer.shape, (40, 60, 3))
        self.assert_part_of(layer, moved[::4, ::4], 1)
        self.assertEqual(self.warnings[-1], '')

    def test_other_choices_and_cancel(self):
        """Another noise level or model has other components, after a first look; cancelling at once leaves the image
        alone."""
        before = self.start()
        spin = gimp.find(self.dialog, ('spin button',), '^Noise level$')
        spin.get_value_iface().set_current_value(40)
        gimp.wait_for(lambda: not self.is_sensitive(self.button('OK')))
        after = self.wait_for_status('^The mean colour here is ')
        self.assertNotEqual(before, after)
        self.choose('best')
        gimp.wait_for(lambda: not self.is_sensitive(self.button('OK')))
        self.assertNotEqual(after, self.wait_for_status('^The mean colour here is '))

        found = self.preview('explore-best')
        spin.get_value_iface().set_current_value(70)
        gimp.wait_for(lambda: np.abs(self.preview('explore-look') - found).max() > 3)
        self.assertFalse(self.is_sensitive(self.button('OK')), 'the first look should not wait for the components')
        spin.get_value_iface().set_current_value(10)
        spin.get_value_iface().set_current_value(11)
        gimp.press(self.button('Cancel'))
        result = self.finish()
        self.assertEqual((result['layers'], result['dirty']), (1, False))
        self.assertEqual(self.warnings[-1], '')
