# SPDX-License-Identifier: GPL-3.0-or-later
"""The plug-in in GIMP without a display: pixels, layers, refusals.  Runs inside of GIMP (see gimp.py).

The program on the command line is the reference: it must give the same photo and the same uncertainty.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

import numpy as np
import tifffile
import gi
gi.require_version('Gimp', '3.0')
gi.require_version('Gegl', '0.4')
from gi.repository import Gegl, Gimp, Gio

import gimp

SCRIPT = pathlib.Path(__file__).resolve().parent.parent / 'plugin' / 'denoise-photo.scm'
NOISE = 20.0  # levels
REPLACE = Gimp.ChannelOps.REPLACE
SHADE = {1: "Y'", 3: "R'G'B'"}


# ---- Photos ---------------------------------------------------------------------------------------------------

def make_photo(width=96, height=64, channels=3, noise=NOISE, seed=1):
    """Waves, bars and a disc, bright enough for eight linear bits, with noise; white = 1."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    grey = 0.6 + 0.1 * np.sin(x / 9) * np.cos(y / 7) + 0.1 * (x // 12 % 2) - 0.1 * (np.hypot(x - 30, y - 30) < 20)
    photo = grey[..., None] * np.linspace(0.9, 1.1, channels) if channels > 1 else grey[..., None]
    return (photo + rng.normal(0, noise / 255, photo.shape)).clip(0, 1).astype(np.float32)


def new_image(pixels, precision=Gimp.Precision.FLOAT_NON_LINEAR):
    """An image with one layer; two or four channels mean alpha."""
    height, width, n = pixels.shape
    grey, alpha = n < 3, n % 2 == 0
    kind = [[Gimp.ImageType.RGB_IMAGE, Gimp.ImageType.RGBA_IMAGE], [Gimp.ImageType.GRAY_IMAGE, Gimp.ImageType.GRAYA_IMAGE]]
    image = Gimp.Image.new_with_precision(width, height, Gimp.ImageBaseType.GRAY if grey else Gimp.ImageBaseType.RGB,
                                          precision)
    layer = Gimp.Layer.new(image, 'Photo', width, height, kind[grey][alpha], 100, Gimp.LayerMode.NORMAL)
    set_pixels(layer, pixels)
    image.insert_layer(layer, None, 0)
    return image, layer


def set_pixels(drawable, pixels):
    height, width, n = pixels.shape
    buffer = drawable.get_buffer()
    buffer.set(Gegl.Rectangle.new(0, 0, width, height), SHADE[n - 1 + n % 2] + 'A' * (n % 2 == 0) + ' float',
               pixels.astype(np.float32).tobytes())
    buffer.flush()


def get_pixels(drawable, grey=None, alpha=False):
    """Encoded as in sRGB, white = 1; without alpha unless asked for."""
    grey = drawable.is_gray() if grey is None else grey
    width, height = drawable.get_width(), drawable.get_height()
    data = drawable.get_buffer().get(Gegl.Rectangle.new(0, 0, width, height), 1.0,
                                     SHADE[1 if grey else 3] + 'A' * alpha + ' float', Gegl.AbyssPolicy.NONE)
    return np.frombuffer(data, np.float32).reshape(height, width, -1)


def get_mask(channel, x, y, width, height):
    data = channel.get_buffer().get(Gegl.Rectangle.new(x, y, width, height), 1.0, 'Y float', Gegl.AbyssPolicy.NONE)
    return np.frombuffer(data, np.float32).reshape(height, width)


def to_linear(encoded):
    """Light, from the encoding of sRGB."""
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded.clip(min=0) + 0.055) / 1.055) ** 2.4)


def raw(drawable):
    """All of its bytes, in its own format."""
    return drawable.get_buffer().get(Gegl.Rectangle.new(0, 0, drawable.get_width(), drawable.get_height()), 1.0, None,
                                     Gegl.AbyssPolicy.NONE)


def load(path):
    return Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, Gio.File.new_for_path(str(path)))


def save(image, path):
    assert Gimp.file_save(Gimp.RunMode.NONINTERACTIVE, image, Gio.File.new_for_path(str(path)), None)


def save_photo(path, width, height):
    """For other tests."""
    image, _ = new_image(make_photo(width, height), Gimp.Precision.U8_NON_LINEAR)
    save(image, path)
    image.delete()


def report(layer):
    """What the layer says of itself."""
    return json.loads(bytes(layer.get_parasite('grainwise').get_data()).rstrip(b'\0'))


# ---- Denoising ------------------------------------------------------------------------------------------------

class Refused(Exception):
    pass


def call(name, image, *drawables, **arguments):
    """What the procedure returns."""
    procedure = Gimp.get_pdb().lookup_procedure('plug-in-grainwise-' + name)
    config = procedure.create_config()
    arguments = {'run_mode': Gimp.RunMode.NONINTERACTIVE} | arguments
    config.set_property('image', image)
    if drawables:
        config.set_core_object_array('drawables', drawables)
    for name, value in arguments.items():
        config.set_property(name.replace('_', '-'), value)
    values = procedure.run(config)
    if values.index(0) != Gimp.PDBStatusType.SUCCESS:
        raise Refused(Gimp.get_pdb().get_last_error())
    return [values.index(k) for k in range(1, values.length())]


def denoise(image, *drawables, **arguments):
    """The layers with the denoised photo and the uncertainty, of white noise unless told otherwise."""
    return call('denoise', image, *drawables,
                **{'noise_level': NOISE, 'brightness': 'uniform', 'grain_size': 0.0} | arguments)[:2]


def denoise_and_sample(image, layer, **arguments):
    """The same, and the samples, of which Python gets no list."""
    layers = denoise(image, layer, **arguments)
    pending = image.get_layers()
    for each in pending:
        if each.is_group():
            pending += each.get_children()
    return *layers, [each for each in pending if ', sample ' in each.get_name()]


def denoise_pixels(pixels):
    image, layer = new_image(pixels)
    denoise(image, layer, output='replace', uncertainty='none')
    return get_pixels(layer)


class GimpTest(unittest.TestCase):
    def setUp(self):
        self.before = set(Gimp.get_images())
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = pathlib.Path(temporary.name)

    def tearDown(self):
        for image in set(Gimp.get_images()) - self.before:
            image.delete()

    def assert_near(self, a, b, levels):
        self.assertEqual(a.shape, b.shape)
        self.assertLess(255 * np.abs(a - b).max(), levels)

    def assert_same(self, a, b):
        np.testing.assert_array_equal(a, b)


# ---- Precision ------------------------------------------------------------------------------------------------

class Precisions(GimpTest):
    # Largest difference from the command line's result, in levels: of the photo, of the uncertainty.
    PRECISIONS = {
        'U8_NON_LINEAR': (1.5, 0.5), 'U8_LINEAR': (3, 1),
        'U16_NON_LINEAR': (0.01, 0.01), 'U16_LINEAR': (0.02, 0.02), 'U32_NON_LINEAR': (0.01, 0.01),
        'HALF_NON_LINEAR': (0.15, 0.1), 'HALF_LINEAR': (0.15, 0.1),
        'FLOAT_NON_LINEAR': (0.01, 0.01), 'FLOAT_LINEAR': (0.01, 0.01)}

    def reference(self, channels):
        """A photo file of 16 bits, and what the command line makes of it."""
        names = [self.folder / name for name in ('photo.png', 'denoised.tif', 'sd.tif')]
        save(new_image(make_photo(channels=channels), Gimp.Precision.U16_NON_LINEAR)[0], names[0])
        subprocess.run([os.environ['GRAINWISE'], 'denoise', '--noise', str(NOISE), '--uncertainty', names[2], *names[:2]],
                       check=True, capture_output=True)
        denoised, sd = (tifffile.imread(name).reshape(64, 96, channels) for name in names[1:])
        return names[0], denoised / np.float32(65535), np.sqrt((sd ** 2).mean(axis=2, keepdims=True))

    def check(self, channels, alpha):
        path, denoised, sd = self.reference(channels)
        for name, tolerances in self.PRECISIONS.items():
            with self.subTest(precision=name):
                image = load(path)
                photo = image.get_layers()[0]
                if alpha:
                    photo.add_alpha()
                precision = getattr(Gimp.Precision, name)
                if image.get_precision() != precision:
                    image.convert_precision(precision)
                original = raw(photo)

                result, uncertainty = denoise(image, photo)

                self.assertEqual(image.get_layers(), [uncertainty, result, photo])
                self.assertEqual(raw(photo), original)
                self.assertEqual(result.has_alpha(), alpha)
                self.assertFalse(uncertainty.has_alpha())
                self.assert_near(get_pixels(result), denoised, tolerances[0])
                white = report(uncertainty)['white']
                shown = get_pixels(uncertainty, grey=True).clip(max=1)  # float layers go on beyond white
                self.assert_near(shown * white / 255, sd.clip(max=white / 255), tolerances[1])
                image.delete()

    def test_colour(self):
        self.check(3, False)

    def test_colour_with_alpha(self):
        self.check(3, True)

    def test_grey(self):
        self.check(1, False)

    def test_grey_with_alpha(self):
        self.check(1, True)


# ---- Layers ---------------------------------------------------------------------------------------------------

class Layers(GimpTest):
    def test_names_and_visibility(self):
        image, layer = new_image(make_photo())
        denoised, uncertainty = denoise(image, layer)
        self.assertEqual(denoised.get_name(), 'Photo, denoised')
        self.assertEqual(uncertainty.get_name(), f"Uncertainty, sd, white = {report(uncertainty)['white']:.4g} levels")
        self.assertEqual([each.get_visible() for each in image.get_layers()], [False, True, True])

    def test_denoised_layer_is_selected(self):
        """Not the uncertainty: whatever the user does next is meant for the photo."""
        image, layer = new_image(make_photo())
        denoised, _ = denoise(image, layer)
        self.assertEqual(image.get_selected_layers(), [denoised])

    def test_no_uncertainty(self):
        image, layer = new_image(make_photo())
        denoised, uncertainty = denoise(image, layer, uncertainty='none')
        self.assertIsNone(uncertainty)
        self.assertEqual(image.get_layers(), [denoised, layer])

    def test_quantities(self):
        """What they show, in units, follows from the standard deviation."""
        image, layer = new_image(make_photo())
        _, sd = denoise(image, layer)
        levels = get_pixels(sd, grey=True) * report(sd)['white']
        for name, title, unit, value in (('variance', 'Uncertainty, variance', 'levels²', levels ** 2),
                                         ('interval', 'Uncertainty, 95 % interval', 'levels', 3.92 * levels)):
            _, other = denoise(image, layer, uncertainty=name)
            white = report(other)['white']
            self.assertEqual(other.get_name(), f'{title}, white = {white:.4g} {unit}')
            np.testing.assert_allclose(get_pixels(other, grey=True) * white, value, rtol=1e-4)
        _, relative = denoise(image, layer, uncertainty='relative')
        self.assertEqual(relative.get_name(), 'Uncertainty over contrast, white = 100 %')

    def test_relative_to_contrast(self):
        """Where the denoised photo has strong contrast, the uncertainty is a small part of it."""
        photo = np.full((64, 96, 3), 0.5)
        photo[:, 48:] += 0.3 * np.sign(np.sin(np.arange(48) * np.pi / 4 + 0.1))[:, None]
        image, layer = new_image(photo + NOISE / 255 * np.random.default_rng(2).normal(size=photo.shape))
        _, relative = denoise(image, layer, uncertainty='relative')
        share = get_pixels(relative, grey=True)
        self.assertGreater(share.min(), 0)
        self.assertLess(share.max(), 1)
        self.assertLess(share[:, 60:84].mean(), 0.3 * share[:, 12:36].mean())

    def test_fixed_scale(self):
        image, layer = new_image(make_photo())
        _, automatic = denoise(image, layer)
        _, fixed = denoise(image, layer, scale_end=50.0)
        self.assertEqual(fixed.get_name(), 'Uncertainty, sd, white = 50 levels')
        np.testing.assert_allclose(get_pixels(fixed, grey=True) * 50,
                                   get_pixels(automatic, grey=True) * report(automatic)['white'], rtol=1e-4)
        _, percent = denoise(image, layer, uncertainty='relative', scale_end=50.0)
        self.assertEqual(report(percent)['white'], 0.5)

    def test_colours(self):
        """They can be read back into numbers; a grey image has none."""
        image, layer = new_image(make_photo(), Gimp.Precision.U8_NON_LINEAR)
        _, grey = denoise(image, layer, scale_end=20.0)
        wanted = call('read-uncertainty', image, grey)
        for name in 'magma', 'viridis', 'cividis':
            _, coloured = denoise(image, layer, colours=name, scale_end=20.0)
            pixels = get_pixels(coloured, grey=False)
            self.assertGreater(np.ptp(pixels, axis=2).mean(), 0.1)
            np.testing.assert_allclose(call('read-uncertainty', image, coloured), wanted, rtol=0.02)
        image, layer = new_image(make_photo(channels=1))
        _, coloured = denoise(image, layer, colours='magma')
        self.assertEqual(report(coloured)['colours'], 'grey')

    def test_scale_bar(self):
        image, layer = new_image(make_photo(400, 300))
        denoised, uncertainty = denoise(image, layer, scale_bar=True, show_uncertainty=True)
        scale = image.get_layers()[0]
        self.assertEqual(image.get_layers()[1:], [uncertainty, denoised, layer])
        self.assertEqual(scale.get_name(), 'Scale of the uncertainty')
        self.assertTrue(scale.get_visible() and uncertainty.get_visible())
        self.assertEqual(scale.get_offsets()[1:], (400 - scale.get_width(), 300 - scale.get_height()))
        self.assertLess(get_pixels(scale, grey=False).min(), 0.01)

    def test_mask(self):
        """Where the result is unsure, the noisy photo shows."""
        image, layer = new_image(make_photo())
        denoised, uncertainty = denoise(image, layer, mask=True)
        sd = get_pixels(uncertainty, grey=True).squeeze() * report(uncertainty)['white']
        mask = get_mask(denoised.get_mask(), 0, 0, 96, 64)
        np.testing.assert_allclose(mask, 1 - np.minimum(sd / NOISE, 1), atol=0.001)
        self.assertIsNone(uncertainty.get_mask())
        denoised, none = denoise(image, layer, mask=True, uncertainty='none')
        self.assertIsNone(none)
        np.testing.assert_array_equal(get_mask(denoised.get_mask(), 0, 0, 96, 64), mask)

        image.select_rectangle(REPLACE, 10, 10, 40, 30)
        denoised, _ = denoise(image, layer, mask=True)
        np.testing.assert_allclose(get_mask(denoised.get_mask(), 0, 0, 40, 30), mask[10:40, 10:50], atol=1e-6)

    def test_group_of_results(self):
        image, layer = new_image(make_photo())
        denoised, uncertainty = denoise(image, layer, group=True, scale_bar=True)
        group = image.get_layers()[0]
        self.assertEqual(image.get_layers(), [group, layer])
        self.assertEqual(group.get_name(), 'Photo, with confidence')
        self.assertEqual(group.get_children()[1:], [uncertainty, denoised])
        denoise(image, layer, group=True, output='replace', uncertainty='none')
        self.assertEqual(len(image.get_layers()), 2)  # no empty group

    def test_strength(self):
        image, layer = new_image(make_photo(120, 90))
        noisy = get_pixels(layer)
        full, uncertainty = denoise(image, layer)
        full, sd = get_pixels(full), get_pixels(uncertainty, grey=True) * report(uncertainty)['white']
        weights = np.array((0.2126, 0.7152, 0.0722))

        for luminance, colour in (0, 0), (40, 40), (0, 100), (100, 0):
            some, _ = denoise(image, layer, luminance_strength=float(luminance), colour_strength=float(colour))
            left = noisy - full
            grey = (left @ weights)[..., None]
            wanted = full + (1 - luminance / 100) * grey + (1 - colour / 100) * (left - grey)
            self.assert_near(get_pixels(some), wanted, 0.01)
            self.assertAlmostEqual(report(some)['luminance_strength'], luminance / 100)
            error = (report(uncertainty)['expected_error_levels'] ** 2 + (255 * (wanted - full)).var()) ** 0.5
            self.assertAlmostEqual(report(some)['expected_error_levels'], error, delta=0.02 * error)

        kept, _ = denoise(image, layer, keep_grain=100.0)
        self.assert_near(get_pixels(kept), full + (noisy - full) * np.minimum(sd / NOISE, 1), 0.05)

    def test_told_noise(self):
        """As measured, but for what is told."""
        photo = make_photo(300, 200)
        for channels in 1, 3:
            image, layer = new_image(photo[..., :channels])
            measured = get_pixels(denoise(image, layer, noise_level=0.0, brightness='measured', grain_size=-1.0)[0])
            level, *_ = call('estimate-noise', image, layer)
            for told in ({'noise_level': level, 'brightness': 'measured', 'grain_size': -1.0},):
                self.assert_near(get_pixels(denoise(image, layer, **told)[0]), measured, 0.02)
            for told in ({'noise_level': 2 * level}, {'brightness': 'uniform'}, {'grain_size': 1.0}):
                other = denoise(image, layer, **{'noise_level': 0.0, 'brightness': 'measured', 'grain_size': -1.0} | told)[0]
                self.assertGreater(255 * np.abs(get_pixels(other) - measured).max(), 0.05)

    def test_report(self):
        model = json.loads(subprocess.check_output([os.environ['GRAINWISE'], 'info', '--json']))
        image, layer = new_image(make_photo())
        layers = denoise(image, layer)
        save(image, self.folder / 'photo.xcf')
        loaded = load(self.folder / 'photo.xcf').get_layers()[1::-1]

        for each, quantity in zip(layers, ('posterior mean', 'standard deviation')):
            self.assertEqual(set(report(each)),
                             {'quantity', 'unit', 'white', 'colours', 'noise_level', 'noise_estimated', 'grain_size',
                              'self_check', 'luminance_strength', 'colour_strength', 'keep_grain',
                              'expected_error_levels', 'doubtful', 'model', 'model_version', 'grainwise'})
            self.assertEqual(report(each)['self_check']['noise'], 'agrees')
            self.assertEqual(report(each)['quantity'], quantity)
            self.assertAlmostEqual(report(each)['noise_level'], NOISE, places=4)
            self.assertEqual(report(each)['model'], model['name'])
            self.assertEqual(report(each)['model_version'], model['version'])
        self.assertEqual([report(each) for each in loaded], [report(each) for each in layers])
        self.assert_same(get_pixels(loaded[1], grey=True), get_pixels(layers[1], grey=True))

    def test_estimated_noise(self):
        for noise in (8, 12, 30):
            image, layer = new_image(make_photo(300, 200, noise=noise))
            denoised, _ = denoise(image, layer, noise_level=0.0)
            self.assertAlmostEqual(report(denoised)['noise_level'], noise, delta=noise / 4)

    def test_offsets(self):
        photo = make_photo()
        wanted = denoise_pixels(photo)
        for size, offsets in ((96, 64), (-10, -7)), ((300, 200), (50, 60)), ((20, 10), (-30, 5)), ((96, 64), (500, 500)):
            image, layer = new_image(photo)
            image.resize(*size, 0, 0)
            layer.set_offsets(*offsets)
            for each in denoise(image, layer):
                self.assertEqual(each.get_offsets()[1:], offsets)
                self.assertEqual((each.get_width(), each.get_height()), (96, 64))
            self.assert_same(get_pixels(image.get_layers()[1]), wanted)

    def test_group(self):
        image, layer = new_image(make_photo())
        outer = Gimp.GroupLayer.new(image, 'Outer')
        inner = Gimp.GroupLayer.new(image, 'Inner')
        below = layer.copy()
        image.insert_layer(outer, None, 0)
        image.insert_layer(inner, outer, 0)
        image.reorder_item(layer, inner, 0)
        image.insert_layer(below, inner, 1)
        denoised, uncertainty = denoise(image, below)
        self.assertEqual(inner.get_children(), [layer, uncertainty, denoised, below])


class Samples(GimpTest):
    def test_layers(self):
        """In a hidden group, and as the command line's."""
        image, layer = new_image(make_photo())
        denoised, uncertainty, samples = denoise_and_sample(image, layer, samples=2, steps=4, seed=5, model='fast')
        group = samples[0].get_parent()
        self.assertEqual(image.get_layers(), [uncertainty, group, denoised, layer])
        self.assertEqual(group.get_children(), samples)
        self.assertEqual((group.get_name(), group.get_visible()), ('Photo, samples', False))
        self.assertEqual([each.get_name() for each in samples], ['Photo, sample 1', 'Photo, sample 2'])
        self.assertEqual([report(samples[1])[name] for name in ('quantity', 'samples', 'seed')], ['posterior sample', 2, 5])
        self.assertIn(report(samples[1])['passes'], (3, 4))

        save(image, self.folder / 'photo.tif')
        tifffile.imwrite(self.folder / 'photo.tif', get_pixels(layer))
        subprocess.run([os.environ['GRAINWISE'], 'denoise', self.folder / 'photo.tif', self.folder / 'out.tif',
                        f'--noise={NOISE}', '--samples=2', '--steps=4', '--seed=5', '--model=fast',
                        f'--sample-prefix={self.folder}/sample'], check=True, capture_output=True)
        for number, sample in enumerate(samples, 1):
            self.assert_near(get_pixels(sample), tifffile.imread(self.folder / f'sample-{number}.tif'), 0.02)

    def test_mean(self):
        image, layer = new_image(make_photo())
        denoised, uncertainty, samples = denoise_and_sample(image, layer, samples=3, steps=4, model='fast', source='samples')
        pixels = np.stack([get_pixels(each) for each in samples])
        self.assert_near(get_pixels(denoised), pixels.mean(0), 0.01)
        sd = pixels.var(0, ddof=1).mean(2) ** 0.5
        np.testing.assert_allclose(get_pixels(uncertainty, grey=True).squeeze() * report(uncertainty)['white'], 255 * sd,
                                   atol=0.01)
        self.assertEqual(report(denoised)['denoised_from'], 'samples')

    def test_selection(self):
        image, layer = new_image(make_photo())
        image.select_rectangle(REPLACE, 10, 20, 30, 15)
        *_, samples = denoise_and_sample(image, layer, samples=1, steps=2, model='fast', group=True)
        self.assertEqual((samples[0].get_width(), samples[0].get_height()), (30, 15))
        self.assertEqual(samples[0].get_offsets()[1:], (10, 20))
        self.assertEqual(samples[0].get_parent().get_parent().get_name(), 'Photo, with confidence')

    def test_refusals(self):
        image, layer = new_image(make_photo())
        for message, arguments in (('takes two or more', {'samples': 1, 'source': 'samples'}),
                                   ('diverges', {'samples': 1, 'sampler': 'langevin', 'step_size': 2.5})):
            with self.assertRaisesRegex(Refused, message):
                denoise(image, layer, **arguments)
        self.assertEqual(image.get_layers(), [layer])


# ---- Selections and replacing ---------------------------------------------------------------------------------

class Selections(GimpTest):
    """On a photo that is wider than what one pixel depends on, so that only a part of it is computed."""
    SELECTED = (30, 10, 80, 40)

    def setUp(self):
        super().setUp()
        self.photo = make_photo(600, 64)
        self.image, self.layer = new_image(self.photo)
        self.inside = np.zeros((64, 600), bool)
        x, y, width, height = self.SELECTED
        self.inside[y:y + height, x:x + width] = True

    def select(self):
        self.image.select_rectangle(REPLACE, *self.SELECTED)

    def test_replace_all(self):
        denoised, uncertainty = denoise(self.image, self.layer, output='replace')
        self.assertEqual(denoised, self.layer)
        self.assertEqual(self.image.get_layers(), [uncertainty, self.layer])
        self.assertLess(get_pixels(self.layer).std(), 0.9 * self.photo.std())

    def test_replace_selection(self):
        whole = denoise_pixels(self.photo)
        self.select()
        denoise(self.image, self.layer, output='replace')
        pixels = get_pixels(self.layer)
        self.assert_same(pixels[~self.inside], self.photo[~self.inside])
        self.assertTrue((pixels[self.inside] != self.photo[self.inside]).mean() > 0.99)
        self.assert_near(pixels[self.inside], whole[self.inside], 0.01)

    def test_replace_feathered(self):
        whole = denoise_pixels(self.photo)
        self.select()
        Gimp.Selection.feather(self.image, 10)
        share = get_mask(self.image.get_selection(), 0, 0, 600, 64)[..., None]
        denoise(self.image, self.layer, output='replace')
        pixels = get_pixels(self.layer)
        self.assertGreater(((share > 0.2) & (share < 0.8)).sum(), 500)
        self.assert_near(pixels[share[..., 0] == 0], self.photo[share[..., 0] == 0], 0.01)
        before, after, blended = map(to_linear, (self.photo, whole, pixels))  # as GIMP blends
        self.assert_near(blended, before + share * (after - before), 0.01)

    def test_new_layer_with_selection(self):
        whole = denoise_pixels(self.photo)
        self.image.select_ellipse(REPLACE, *self.SELECTED)
        Gimp.Selection.feather(self.image, 6)
        layers = denoise(self.image, self.layer)
        x, y = layers[0].get_offsets()[1:]
        size = layers[0].get_width(), layers[0].get_height()
        bounds = Gimp.Selection.bounds(self.image)
        self.assertEqual((x, y, x + size[0], y + size[1]), tuple(bounds)[2:])
        for each in layers:
            self.assertEqual(each.get_offsets()[1:], (x, y))
            self.assert_same(get_mask(each.get_mask(), 0, 0, *size), get_mask(self.image.get_selection(), x, y, *size))
        self.assert_near(get_pixels(layers[0]), whole[y:y + size[1], x:x + size[0]], 0.01)

    def test_selection_on_moved_layer(self):
        whole = denoise_pixels(self.photo)
        self.layer.set_offsets(-20, 15)
        self.image.select_rectangle(REPLACE, 0, 0, 40, 30)
        denoised, _ = denoise(self.image, self.layer)
        self.assertEqual(denoised.get_offsets()[1:], (0, 15))
        self.assert_near(get_pixels(denoised), whole[:15, 20:60], 0.01)

    def test_one_selected_pixel(self):
        whole = denoise_pixels(self.photo)
        self.image.select_rectangle(REPLACE, 599, 63, 1, 1)
        denoised, uncertainty = denoise(self.image, self.layer)
        self.assertEqual((uncertainty.get_width(), uncertainty.get_height()), (1, 1))
        self.assert_near(get_pixels(denoised), whole[63:, 599:], 0.01)


class Readout(GimpTest):
    def test_point_and_selection(self):
        for quantity, power, widths in ('standard-deviation', 1, 1), ('variance', 2, 1), ('interval', 1, 3.92):
            image, layer = new_image(make_photo(120, 90))
            layer.set_offsets(-10, 5)
            denoised, uncertainty = denoise(image, layer, uncertainty=quantity)
            levels = (get_pixels(uncertainty, grey=True).squeeze() * report(uncertainty)['white'] / widths) ** (1 / power)

            sd, largest = call('read-uncertainty', image, uncertainty)
            np.testing.assert_allclose((sd, largest), ((levels ** 2).mean() ** 0.5, levels.max()), rtol=1e-4)
            np.testing.assert_allclose(call('read-uncertainty', image, uncertainty, x=30, y=40), [levels[35, 40]] * 2,
                                       rtol=1e-4)
            image.select_rectangle(REPLACE, 20, 30, 8, 4)
            part = levels[25:29, 30:38]
            np.testing.assert_allclose(call('read-uncertainty', image, uncertainty),
                                       ((part ** 2).mean() ** 0.5, part.max()), rtol=1e-4)

            for wrong, message in ((denoised, 'is no uncertainty layer'), (layer, 'is no uncertainty layer')):
                with self.assertRaisesRegex(Refused, message):
                    call('read-uncertainty', image, wrong)
            _, relative = denoise(image, layer, uncertainty='relative')
            with self.assertRaisesRegex(Refused, 'relative to the contrast'):
                call('read-uncertainty', image, relative)
            with self.assertRaisesRegex(Refused, 'nothing to read'):
                call('read-uncertainty', image, uncertainty, x=115, y=3)
            for half in {'x': 30}, {'y': 40}:
                with self.assertRaisesRegex(Refused, 'both x and y'):
                    call('read-uncertainty', image, uncertainty, **half)
            image.select_rectangle(REPLACE, 115, 0, 3, 3)
            with self.assertRaisesRegex(Refused, 'nothing to read'):
                call('read-uncertainty', image, uncertainty)


class Sizes(GimpTest):
    def test_sizes(self):
        for width, height in (1, 1), (1, 40), (5000, 8), (8, 5000):
            with self.subTest(width=width, height=height):
                photo = make_photo(width, height)
                image, layer = new_image(photo, Gimp.Precision.U8_NON_LINEAR)
                denoised, uncertainty = denoise(image, layer)
                pixels = get_pixels(denoised)
                self.assertEqual(pixels.shape, photo.shape)
                self.assertTrue((pixels != get_pixels(layer)).any())
                self.assertTrue(get_pixels(uncertainty, grey=True).any())


# ---- Pixels that are no photo ---------------------------------------------------------------------------------

class Holes(GimpTest):
    def setUp(self):
        super().setUp()
        self.hole = np.zeros((64, 96), bool)
        self.hole[20:40, 30:70] = True

    def transparent(self, colour):
        alpha = np.where(self.hole, 0, 0.25 + 0.75 * (np.arange(96) > 48))
        photo = make_photo()
        photo[self.hole] = colour
        return np.dstack((photo, alpha)).astype(np.float32)

    def test_transparent_pixels(self):
        results = []
        for colour in (0, 0, 0), (1, 0, 1), (5, -3, 1):
            pixels = self.transparent(colour)
            image, layer = new_image(pixels)
            _, uncertainty = denoise(image, layer, output='replace')
            result = get_pixels(layer, alpha=True)
            self.assert_same(result[self.hole], pixels[self.hole])
            self.assert_same(result[..., 3], pixels[..., 3])
            self.assertFalse(get_pixels(uncertainty, grey=True)[self.hole].any())
            results.append(result[~self.hole])
        self.assert_same(results[0], results[1])
        self.assert_same(results[0], results[2])

    def test_numbers_that_are_none(self):
        plain = make_photo()
        for value in np.nan, np.inf, -np.inf:
            photo = plain.copy()
            photo[10, 20] = value
            photo[40:44, 60:62, 1] = value
            hole = ~np.isfinite(photo).all(axis=2)
            image, layer = new_image(photo)
            denoised, uncertainty = denoise(image, layer)
            result, sd = get_pixels(denoised), get_pixels(uncertainty, grey=True)[..., 0]
            self.assert_same(np.isfinite(result).all(axis=2), ~hole)
            self.assertTrue(np.isfinite(sd).all())
            self.assertTrue((sd[~hole] > 0).all())
            self.assert_near(result[~hole], denoise_pixels(plain)[~hole], NOISE)


# ---- Refusals -------------------------------------------------------------------------------------------------

class Refusals(GimpTest):
    def setUp(self):
        super().setUp()
        self.image, self.layer = new_image(make_photo(), Gimp.Precision.U8_NON_LINEAR)

    def group(self):
        group = Gimp.GroupLayer.new(self.image, 'Group')
        self.image.insert_layer(group, None, 0)
        self.image.reorder_item(self.layer, group, 0)
        return group

    def text(self):
        text = Gimp.TextLayer.new(self.image, 'Text', Gimp.context_get_font(), 20, Gimp.Unit.pixel())
        self.image.insert_layer(text, None, 0)
        return text

    def assert_refused(self, message, *drawables, **arguments):
        self.image.clean_all()
        before = [(each.get_id(), raw(each)) for each in self.image.get_layers()]
        with self.assertRaisesRegex(Refused, message):
            denoise(self.image, *drawables, **arguments)
        self.assertEqual([(each.get_id(), raw(each)) for each in self.image.get_layers()], before)
        self.assertFalse(self.image.is_dirty())

    def test_indexed(self):
        self.image.convert_indexed(Gimp.ConvertDitherType.NONE, Gimp.ConvertPaletteType.GENERATE, 16, False, False, '')
        self.assert_refused('convert the image to RGB', self.layer)

    def test_group(self):
        self.assert_refused('is a layer group', self.group())

    def test_mask(self):
        mask = self.layer.create_mask(Gimp.AddMaskType.WHITE)
        self.layer.add_mask(mask)
        self.assert_refused('channel or a mask', mask)

    def test_channel(self):
        channel = Gimp.Channel.new(self.image, 'Channel', 96, 64, 50, Gegl.Color.new('red'))
        self.image.insert_channel(channel, None, 0)
        self.assert_refused('channel or a mask', channel)

    def test_two_layers(self):
        self.assert_refused('Choose one layer', self.layer, self.layer)

    def test_no_layer(self):
        self.assert_refused('Choose one layer')

    def test_locked_pixels(self):
        self.layer.set_lock_content(True)
        self.assert_refused('are locked', self.layer, output='replace')
        denoise(self.image, self.layer)
        self.assertEqual(len(self.image.get_layers()), 3)

    def test_locked_group(self):
        self.group().set_lock_content(True)
        self.assert_refused('are locked', self.layer, output='replace')

    def test_mask_without_layer(self):
        self.assert_refused('Only a new layer can get a mask', self.layer, output='replace', mask=True)

    def test_text(self):
        text = self.text()
        self.assert_refused('is a text layer', text, output='replace')
        denoise(self.image, text)
        self.assertTrue(text.is_text_layer())
        self.assertEqual(len(self.image.get_layers()), 4)

    def test_selection_elsewhere(self):
        self.image.resize(300, 200, 0, 0)
        self.image.select_rectangle(REPLACE, 200, 100, 20, 20)
        self.assert_refused('does not touch the layer', self.layer)

    def test_unknown_model(self):
        self.assert_refused('There is no model “nonsense”', self.layer, model='nonsense')

    def test_no_display(self):
        self.assert_refused('there is no display', self.layer, run_mode=Gimp.RunMode.INTERACTIVE)


# ---- Alternatives ---------------------------------------------------------------------------------------------

class Explore(GimpTest):
    BOX = 30, 20, 24, 16

    def explore(self, image, *drawables, **arguments):
        return call('explore', image, *drawables,
                    **{'noise_level': NOISE, 'brightness': 'uniform', 'grain_size': 0.0, 'model': 'fast'} | arguments)[0]

    def selected(self, channels=3):
        image, layer = new_image(make_photo(channels=channels))
        image.select_rectangle(REPLACE, *self.BOX)
        return image, layer

    def test_layer(self):
        """Where the selection is, with its mask, above the photo; and what it says of itself."""
        image, layer = self.selected()
        original = raw(layer)
        added = self.explore(image, layer, component=2, amount=-1.5)
        self.assertEqual(image.get_layers(), [added, layer])
        self.assertEqual(image.get_selected_layers(), [added])
        self.assertEqual(added.get_name(), 'Photo, alternative')
        self.assertEqual(tuple(added.get_offsets()[1:]), self.BOX[:2])
        self.assertEqual((added.get_width(), added.get_height()), self.BOX[2:])
        self.assertIsNotNone(added.get_mask())
        self.assertEqual(raw(layer), original)
        said = report(added)
        self.assertEqual(said['amounts'], [0, -1.5, 0, 0])
        self.assertEqual(said['standard_deviations'], sorted(said['standard_deviations'], reverse=True))
        self.assertEqual(said['noise_level'], NOISE)
        self.assertGreater(min(said['largest_changes']), 0.1)

    def test_layer_with_offsets(self):
        """A selection is of the image, not of the layer."""
        image, layer = self.selected()
        layer.set_offsets(40, 25)
        added = self.explore(image, layer)
        self.assertEqual(tuple(added.get_offsets()[1:]), (40, 25))
        self.assertEqual((added.get_width(), added.get_height()), (14, 11))

    def test_amounts(self):
        """To either side of the mean, which is the denoised photo; as far as the standard deviation says."""
        for channels in 1, 3:
            image, layer = self.selected(channels)
            denoised, _ = denoise(image, layer, model='fast')
            mean, less, more = (self.explore(image, layer, amount=amount) for amount in (0.0, -2.0, 2.0))
            pixels = [get_pixels(each) for each in (mean, less, more)]
            self.assert_near(pixels[0], get_pixels(denoised), 0.01)
            self.assert_near((pixels[1] + pixels[2]) / 2, pixels[0], 0.01)
            self.assertGreater(pixels[2].sum(), pixels[1].sum())
            change = 255 * (pixels[2] - pixels[0]) / 2
            said = report(more)
            self.assertAlmostEqual(np.sqrt((change ** 2).sum()), said['standard_deviations'][0], delta=0.01)
            self.assertAlmostEqual(np.abs(change).max(), said['largest_changes'][0], delta=0.01)
            np.testing.assert_allclose(said['mean_colour'], 255 * pixels[0].mean(axis=(0, 1)), atol=0.01)
            for error in said['mean_colour_error']:  # the photo alone knows the mean of 384 pixels to 1.02
                self.assertGreater(error, 0.3)
                self.assertLess(error, 1.3)

    def test_components_are_orthogonal(self):
        image, layer = self.selected()
        mean, first, second = (get_pixels(self.explore(image, layer, component=component, amount=amount))
                               for component, amount in ((1, 0.0), (1, 1.0), (2, 1.0)))
        a, b = (first - mean).ravel(), (second - mean).ravel()
        self.assertLess(abs(a @ b), 1e-3 * np.linalg.norm(a) * np.linalg.norm(b))

    def test_what_is_not_selected_stays(self):
        image, layer = new_image(make_photo())
        image.select_ellipse(REPLACE, *self.BOX)
        mean, moved = (get_pixels(self.explore(image, layer, amount=amount)) for amount in (0.0, 3.0))
        self.assert_same(moved[0, 0], mean[0, 0])
        self.assertGreater(np.abs(moved - mean).max(), 1 / 255)

    def test_no_selection(self):
        """The middle of the layer; all of a small one."""
        image, layer = new_image(make_photo(300, 270))
        added = self.explore(image, layer)
        self.assertEqual((*added.get_offsets()[1:], added.get_width(), added.get_height()), (22, 7, 256, 256))
        self.assertIsNone(added.get_mask())
        image, layer = new_image(make_photo())
        added = self.explore(image, layer)
        self.assertEqual((added.get_width(), added.get_height()), (96, 64))

    def test_alpha(self):
        """Is kept; and so is what it hides."""
        photo = np.dstack([make_photo(), np.ones((64, 96), np.float32)])
        photo[24:, :, 3] = 0
        image, layer = new_image(photo)
        image.select_rectangle(REPLACE, *self.BOX)
        added = get_pixels(self.explore(image, layer, amount=3.0), alpha=True)
        left, top, width, height = self.BOX
        self.assert_same(added[..., 3], photo[top:top + height, left:left + width, 3])
        self.assert_near(added[4:, :, :3], photo[24:top + height, left:left + width, :3], 0.01)
        self.assertGreater(np.abs(added[:4, :, :3] - photo[top:24, left:left + width, :3]).mean(), 2 / 255)

    def assert_refused(self, message, image, *drawables, **arguments):
        image.clean_all()
        layers = image.get_layers()
        with self.assertRaisesRegex(Refused, message):
            self.explore(image, *drawables, **arguments)
        self.assertEqual(image.get_layers(), layers)
        self.assertFalse(image.is_dirty())

    def test_refusals(self):
        image, layer = self.selected()
        self.assert_refused('There is no model “nonsense”', image, layer, model='nonsense')
        self.assert_refused('there is no display', image, layer, run_mode=Gimp.RunMode.INTERACTIVE)
        self.assert_refused('Choose one layer', image, layer, layer)
        image.select_rectangle(REPLACE, 5, 5, 1, 1)
        self.assert_refused('components up to number 3 only', image, layer, component=4)
        image.resize(200, 100, 0, 0)
        image.select_rectangle(REPLACE, 150, 80, 20, 20)
        self.assert_refused('does not touch the layer', image, layer)
        image, layer = new_image(np.full((600, 20, 1), 0.5))
        image.select_rectangle(REPLACE, 0, 0, 20, 520)
        self.assert_refused('selection is 20 × 520 pixels large', image, layer)


# ---- From a script --------------------------------------------------------------------------------------------

class Scripts(GimpTest):
    """GIMP started anew, for its exit code."""

    def denoise(self, arguments, **environment):
        save_photo(self.folder / 'photo.png', 96, 64)
        return gimp.run(os.environ | environment, f'''(script-fu-use-v3)
            (let ((image (gimp-file-load RUN-NONINTERACTIVE "{self.folder}/photo.png")))
              (plug-in-grainwise-denoise #:image image #:drawables (gimp-image-get-layers image) {arguments})
              (gimp-file-save RUN-NONINTERACTIVE image "{self.folder}/result.xcf"))''', gimp.SCHEME)

    def test_success(self):
        status, output = self.denoise('#:run-mode RUN-NONINTERACTIVE #:noise-level 20')
        self.assertEqual((status, output), (0, ''))
        self.assertEqual(len(load(self.folder / 'result.xcf').get_layers()), 3)

    def test_estimate(self):                       # as the command line's
        path = self.folder / 'photo.png'
        for channels in 1, 3:
            save(new_image(make_photo(160, 120, channels), Gimp.Precision.U16_NON_LINEAR)[0], path)
            expected = json.loads(subprocess.run([os.environ['GRAINWISE'], 'estimate', path, '--json'], check=True,
                                                 capture_output=True).stdout)
            status, output = gimp.run(os.environ, f'''(script-fu-use-v3)
                (let* ((image (gimp-file-load RUN-NONINTERACTIVE "{path}")) (layers (gimp-image-get-layers image))
                       (noise (plug-in-grainwise-estimate-noise #:run-mode RUN-NONINTERACTIVE #:image image
                                                                #:drawables layers)))
                  (gimp-message (string-append "level " (number->string (car noise))))
                  (gimp-message (string-append "error " (number->string (cadddr noise))))
                  (for-each (lambda (name numbers)
                              (gimp-message (apply string-append name
                                                   (map (lambda (n) (string-append " " (number->string n)))
                                                        (vector->list numbers)))))
                            '("curve" "grain") (list (cadr noise) (caddr noise))))''', gimp.SCHEME)
            self.assertEqual(status, 0, output)
            found = {name: [float(n) for n in re.search(name + r'((?: [-\d.e]+)+)', output)[1].split()]
                     for name in ('level', 'error', 'curve', 'grain')}
            np.testing.assert_allclose(found['level'], expected['noise_level'], rtol=1e-4)
            np.testing.assert_allclose(found['error'], expected['level_error'], rtol=1e-4)
            np.testing.assert_allclose(found['curve'], np.ravel(expected['level_over_brightness']), rtol=1e-4)
            np.testing.assert_allclose(found['grain'], expected['grain'], atol=1e-4)

    def test_refusal(self):
        status, output = self.denoise('#:run-mode RUN-NONINTERACTIVE #:model "nonsense"')
        self.assertEqual(status, gimp.FAILED)
        self.assertIn('There is no model “nonsense”', output)

    @unittest.skipUnless(shutil.which('localedef'), 'there is no localedef')
    def test_german(self):
        subprocess.run(['localedef', '-i', 'de_DE', '-f', 'UTF-8', self.folder / 'de_DE.UTF-8'], check=True)
        status, output = self.denoise('#:run-mode RUN-NONINTERACTIVE #:model "nonsense"',
                                      LOCPATH=str(self.folder), LANG='de_DE.UTF-8', LC_ALL='de_DE.UTF-8')
        self.assertEqual(status, gimp.FAILED)
        self.assertIn('Es gibt kein Modell „nonsense“', output)

    def test_no_display(self):
        status, output = self.denoise('#:run-mode RUN-INTERACTIVE')
        self.assertEqual(status, gimp.FAILED)
        self.assertIn('there is no display', output)
        self.assertNotIn('crashed', output)

    def test_noise_out_of_range(self):
        status, _ = self.denoise('#:run-mode RUN-NONINTERACTIVE #:noise-level 500')
        self.assertEqual(status, gimp.FAILED)
        self.assertFalse((self.folder / 'result.xcf').exists())

    def test_denoise_photo(self):
        photo, out = self.folder / 'photo.jpg', self.folder / 'out'
        save_photo(photo, 200, 150)
        status, output = gimp.run(os.environ, f'(load "{SCRIPT}") (denoise-photo "{photo}" 20 "{out}")', gimp.SCHEME)
        self.assertEqual((status, output), (0, ''))

        uncertainty, denoised, original = load(f'{out}-grainwise.xcf').get_layers()
        self.assertEqual([each.get_visible() for each in (uncertainty, denoised, original)], [False, True, True])
        self.assert_same(get_pixels(original), get_pixels(load(photo).get_layers()[0]))
        for name, layer in ('denoised', denoised), ('uncertainty', uncertainty):
            picture = load(f'{out}-{name}.png').get_layers()
            self.assertEqual(len(picture), 1)
            self.assert_near(get_pixels(picture[0], grey=False), get_pixels(layer, grey=False), 0.01)
        self.assertLess(255 * np.abs(get_pixels(denoised) - make_photo(200, 150, noise=0)).mean(), NOISE / 3)
