"""The command line, as its user meets it: files in, files out, figures, refusals.

    GRAINWISE=PROGRAM GRAINWISE_MODELS=FOLDER python3 test_command_line.py

SPDX-License-Identifier: GPL-3.0-or-later
"""
import io
import json
import os
import pathlib
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

try:
    import numpy as np
    import tifffile
    from PIL import Image, ImageCms
except ImportError as missing:
    print(missing)
    sys.exit(77)                                    # meson: skipped

PROGRAM = os.path.abspath(os.environ['GRAINWISE'])
DATA = pathlib.Path(__file__).resolve().parent / 'data'
MODELS = pathlib.Path(os.environ['GRAINWISE_MODELS']).resolve()
ENGLISH = dict(os.environ, GRAINWISE_MODELS=str(MODELS), LC_ALL='C.UTF-8', LANGUAGE='')
WIDTH, HEIGHT = 60, 44


# ---- Photos --------------------------------------------------------------------------------------------------

def scene(width=WIDTH, height=HEIGHT, channels=3):
    """A clean picture: discs before a soft background, well away from black and white."""
    random = np.random.default_rng(1)
    y, x = np.mgrid[:height, :width]
    picture = np.stack([0.5 + 0.15 * np.sin((x + 2 * y) / 40 + k) for k in range(3)], 2)
    for _ in range(width * height // 400):
        cx, cy, radius = random.uniform([0, 0, 3], [width, height, 12])
        picture[(x - cx) ** 2 + (y - cy) ** 2 < radius ** 2] = random.uniform(0.25, 0.75, 3)
    return picture[:, :, :channels].astype('f4')


def noise(picture, levels):
    return (picture + np.random.default_rng(2).normal(0, levels / 255, picture.shape)).astype('f4')


def noisy_bytes(channels=3):
    """8 bit; an even number of channels has alpha last, with all values from 0 to 255."""
    pixels = (255 * noise(scene(channels=3), 10)).clip(0, 255).round().astype('u1')
    pixels = pixels[:, :, :1] if channels < 3 else pixels
    if channels % 2 == 0:
        alpha = np.linspace(0, 255, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH, 1).astype('u1')
        pixels = np.concatenate([pixels, alpha], 2)
    return pixels.squeeze()


def save(path, pixels, **more):
    pixels = pixels.squeeze() if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    if str(path).endswith('.tif'):
        channels = 1 if pixels.ndim == 2 else pixels.shape[2]
        if channels % 2 == 0:
            more['extrasamples'] = ['unassalpha']
        tifffile.imwrite(path, pixels, photometric='rgb' if channels > 2 else 'minisblack', **more)
    else:
        Image.fromarray(pixels).save(path, **more)


def load(path):
    if str(path).endswith('.tif'):
        return tifffile.imread(path)
    with Image.open(path) as image:
        return np.array(image)


def png_header(path):
    """-> bit depth, colour type"""
    return tuple(pathlib.Path(path).read_bytes()[24:26])


def psnr(a, b):
    return -10 * np.log10(max(np.mean((a.astype(float) - b) ** 2), 1e-12))


# ---- Running -------------------------------------------------------------------------------------------------

def grainwise(*arguments, **more):
    return subprocess.run([PROGRAM, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=120, **{'env': ENGLISH, **more})


class Case(unittest.TestCase):
    """Every test has a folder of its own, and works in it."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(folder.name)

    def succeed(self, *arguments, **more):
        run = grainwise(*arguments, **more)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertNotIn('grainwise', run.stderr)   # neither its own complaints nor GLib's; libraries may chat
        return run.stdout

    def denoise(self, *arguments, **more):
        """-> the figures"""
        return json.loads(self.succeed('denoise', *arguments, '--json', **more))

    def fail_with(self, code, mention, *arguments, **more):
        """The run fails with @code and an explanation that contains @mention, and has changed nothing."""
        def files():
            return {path: path.read_bytes() for path in pathlib.Path('.').rglob('*') if path.is_file()}

        with self.subTest(arguments=arguments):
            before = files()
            run = grainwise(*arguments, **more)
            after = files()
            self.assertEqual(run.returncode, code, run.stderr)
            self.assertEqual(run.stdout, '')
            self.assertIn(mention, run.stderr)
            self.assertEqual(sorted(after), sorted(before))
            self.assertEqual(after, before)

    def assert_close(self, a, b, tolerance):
        self.assertEqual(a.shape, b.shape)
        self.assertLessEqual(np.abs(a.astype(float) - b).max(), tolerance)


# ---- Files ---------------------------------------------------------------------------------------------------

class Formats(Case):
    """At noise level 0 nothing may change, so what changes is the fault of reading and writing."""

    def assert_kept(self, path, pixels):
        save('in' + path, pixels)
        figures = self.denoise('in' + path, 'out' + path, '--noise', 0)
        self.assertEqual((figures['width'], figures['height']), (WIDTH, HEIGHT))
        out = load('out' + path)
        self.assertEqual(out.dtype, pixels.dtype)
        np.testing.assert_array_equal(out, pixels)

    def test_png_of_8_bits(self):
        for channels, colour_type in (1, 0), (2, 4), (3, 2), (4, 6):
            with self.subTest(channels=channels):
                self.assert_kept('.png', noisy_bytes(channels))
                self.assertEqual(png_header('out.png'), (8, colour_type))

    def test_png_of_16_bits(self):
        self.assert_kept('.png', (65535 * noise(scene(channels=1), 10)[:, :, 0]).astype('u2'))
        self.assertEqual(png_header('out.png'), (16, 0))

    def test_colour_png_of_16_bits(self):           # which PIL cannot read
        for channels, colour_type in (3, 2), (4, 6):
            with self.subTest(channels=channels):
                pixels = noisy_bytes(channels).astype('u2') * 255 + 13
                save('in.tif', pixels)
                self.denoise('in.tif', 'a.png', '--noise', 0)
                self.denoise('a.png', 'b.png', '--noise', 0)
                self.assertEqual(png_header('b.png'), (16, colour_type))
                self.denoise('b.png', 'out.tif', '--noise', 0)
                np.testing.assert_array_equal(load('out.tif'), pixels)

    def test_tiff_of_integers(self):
        for channels in 1, 2, 3, 4:
            for dtype, factor in ('u1', 1), ('u2', 257):
                with self.subTest(channels=channels, dtype=dtype):
                    self.assert_kept('.tif', noisy_bytes(channels).astype(dtype) * np.array(factor, dtype))

    def test_tiff_of_floats_beyond_black_and_white(self):
        for channels in 1, 2, 3, 4:
            with self.subTest(channels=channels):
                pixels = noisy_bytes(channels).astype('f4') / 255
                colours = pixels if channels % 2 else pixels[:, :, :-1]
                colours[...] = 4 * colours - 1.5
                self.assertTrue(colours.min() < 0 and colours.max() > 1)
                self.assert_kept('.tif', pixels)

    def test_lossy_files(self):
        for name, channels in ('.jpg', 1), ('.jpg', 3), ('.jpeg', 3), ('.webp', 3), ('.webp', 4):
            with self.subTest(name=name, channels=channels):
                pixels = (255 * scene(channels=3)).astype('u1')
                if channels == 4:
                    pixels = np.concatenate([pixels, noisy_bytes(4)[:, :, 3:]], 2)
                save('in' + name, pixels[:, :, 0] if channels == 1 else pixels)
                self.denoise('in' + name, 'out' + name, '--noise', 0)
                before, after = load('in' + name), load('out' + name)
                self.assertEqual(after.shape, before.shape)
                visible = np.ones((HEIGHT, WIDTH), bool)
                if channels == 4:
                    np.testing.assert_array_equal(after[:, :, 3], before[:, :, 3])
                    visible = before[:, :, 3] > 0
                self.assertGreater(psnr(after[visible] / 255, before[visible] / 255), 30)

    def test_exr(self):
        for channels in 1, 3:
            with self.subTest(channels=channels):
                pixels = 2 * noise(scene(channels=channels), 10).squeeze() - 0.6
                save('in.tif', pixels)
                self.denoise('in.tif', 'a.exr', '--noise', 0)
                self.denoise('a.exr', 'b.exr', '--noise', 0)
                self.assertEqual(pathlib.Path('b.exr').read_bytes()[:4], b'\x76\x2f\x31\x01')
                self.denoise('b.exr', 'out.tif', '--noise', 0)
                self.assert_close(load('out.tif'), pixels, 1e-5)

    def test_ending_that_lies(self):
        save('real.png', noisy_bytes())
        os.rename('real.png', 'in.jpg')
        self.denoise('in.jpg', 'out.png', '--noise', 0)
        np.testing.assert_array_equal(load('out.png'), noisy_bytes())

    def test_ending_in_capitals(self):
        save('in.png', noisy_bytes())
        self.denoise('in.png', 'OUT.PNG', '--noise', 0)
        np.testing.assert_array_equal(load('OUT.PNG'), noisy_bytes())

    def test_palette(self):
        Image.fromarray(noisy_bytes()).quantize(64).save('in.png')
        self.denoise('in.png', 'out.png', '--noise', 0)
        with Image.open('in.png') as image:
            np.testing.assert_array_equal(load('out.png'), np.array(image.convert('RGB')))

    def test_tiny_photos(self):
        for width, height in (1, 1), (1, 50), (3, 2):
            with self.subTest(width=width, height=height):
                pixels = (255 * scene(width, height)).astype('u1')
                Image.fromarray(pixels).save('in.png')
                self.denoise('in.png', 'out.png', '--noise', 10, '--uncertainty', 'sd.tif')
                self.assertEqual(load('out.png').shape, pixels.shape)
                self.assertTrue(np.isfinite(load('sd.tif')).all())
                self.denoise('in.png', 'out.png')   # with the level estimated

    def test_odd_names(self):
        save('a photo.png', noisy_bytes())
        for name in 'Zwölf Öre.png', 'a%20b %s.png', './-x.png':
            with self.subTest(name=name):
                self.denoise('a photo.png', name, '--noise', 0)
                self.denoise(name, 'out.png', '--noise', 0)
                np.testing.assert_array_equal(load('out.png'), noisy_bytes())
        self.succeed('denoise', '--noise', 0, '--', '-x.png', '-y.png')
        np.testing.assert_array_equal(load('-y.png'), noisy_bytes())

    def test_in_place(self):
        save('photo.png', noisy_bytes())
        save('same.png', noisy_bytes())
        self.denoise('photo.png', 'out.png', '--noise', 10)
        self.denoise('same.png', 'same.png', '--noise', 10)
        np.testing.assert_array_equal(load('same.png'), load('out.png'))
        self.assertTrue((load('same.png') != noisy_bytes()).any())


class Alpha(Case):
    def test_transparent_pixels(self):
        """They keep their colour, and no other pixel sees it."""
        for channels in 2, 4:
            with self.subTest(channels=channels):
                photo = noisy_bytes(channels)
                y, x = np.mgrid[:HEIGHT, :WIDTH]
                hole = (x - 25) ** 2 + (y - 20) ** 2 < 100
                photo[hole, -1] = 0
                other = photo.copy()
                other[hole, :-1] = 255 - other[hole, :-1]
                save('photo.png', photo)
                save('other.png', other)
                self.denoise('photo.png', 'a.png', '--noise', 25)
                self.denoise('other.png', 'b.png', '--noise', 25)
                a, b, seen = load('a.png'), load('b.png'), photo[:, :, -1] > 0
                np.testing.assert_array_equal(a[:, :, -1], photo[:, :, -1])
                np.testing.assert_array_equal(a[~seen], photo[~seen])
                np.testing.assert_array_equal(b[~seen], other[~seen])
                np.testing.assert_array_equal(a[seen], b[seen])
                self.assertTrue((a[seen] != photo[seen]).any())


class Metadata(Case):
    @staticmethod
    def wide_profile():
        """A made-up colour space: sRGB's curve with the primaries of Adobe RGB (1998)."""
        profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes())
        primaries = {b'rXYZ': (0.60974, 0.31111, 0.01947), b'gXYZ': (0.20528, 0.62567, 0.06087),
                     b'bXYZ': (0.14919, 0.06322, 0.74457)}
        for i in range(struct.unpack_from('>I', profile, 128)[0]):
            name, offset, _ = struct.unpack_from('>4sII', profile, 132 + 12 * i)
            if name in primaries:
                struct.pack_into('>3i', profile, offset + 8, *(round(65536 * v) for v in primaries[name]))
        profile[84:100] = bytes(16)                 # checksum: none
        return bytes(profile)

    @staticmethod
    def looks(path):
        """What the photo looks like, in sRGB."""
        with Image.open(path) as image:
            profile, pixels = image.info.get('icc_profile'), image.convert('RGB')
        if profile:
            space = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            pixels = ImageCms.profileToProfile(pixels, space, ImageCms.createProfile('sRGB'))
        return np.array(pixels) / 255

    def save_wide(self, path):
        """A soft picture, since lossy files blur colour edges."""
        y, x = np.mgrid[:HEIGHT, :WIDTH]
        pixels = np.stack([90 + x, 150 - y, 80 + x + y // 2], 2).astype('u1')
        Image.fromarray(pixels).save(path, icc_profile=self.wide_profile(), lossless=True)
        self.assertLess(psnr(self.looks(path), pixels / 255), 32)       # the profile matters
        return pixels

    def test_colour_profile(self):
        for source, target in ('.png', '.png'), ('.jpg', '.jpg'), ('.tif', '.tif'), ('.png', '.tif'):
            with self.subTest(source=source, target=target):
                pixels = self.save_wide('in' + source)
                self.denoise('in' + source, 'out' + target, '--noise', 0)
                with Image.open('out' + target) as image:
                    self.assertIn('icc_profile', image.info)
                self.assertGreater(psnr(self.looks('out' + target), self.looks('in' + source)), 40)
                if source != '.jpg':
                    np.testing.assert_array_equal(load('out' + target), pixels)

    def test_webp_looks_the_same(self):             # with the profile, or converted to sRGB
        for source, target in ('.png', '.webp'), ('.webp', '.png'):
            with self.subTest(source=source, target=target):
                self.save_wide('in' + source)
                self.denoise('in' + source, 'out' + target, '--noise', 0)
                self.assertGreater(psnr(self.looks('out' + target), self.looks('in' + source)), 35)

    def test_exif(self):
        exif = Image.Exif()
        exif[0x0112], exif[0x0110] = 6, 'Grainbox 3'        # orientation, camera model
        save('in.jpg', noisy_bytes(), exif=exif)
        for out in 'out.jpg', 'in.jpg':
            with self.subTest(out=out):
                self.denoise('in.jpg', out, '--noise', 10)
                with Image.open(out) as image:
                    self.assertEqual(image.size, (WIDTH, HEIGHT))
                    self.assertEqual((image.getexif().get(0x0112), image.getexif().get(0x0110)), (6, 'Grainbox 3'))


# ---- Results -------------------------------------------------------------------------------------------------

class Results(Case):
    def test_it_denoises_and_knows_how_well(self):
        for channels in 1, 3:
            with self.subTest(channels=channels):
                clean = scene(240, 180, channels).squeeze()
                noisy = noise(clean, 25)
                save('in.tif', noisy)
                figures = self.denoise('in.tif', 'out.tif', '--noise', 25, '--uncertainty', 'sd.tif')
                out, variance = load('out.tif'), load('sd.tif').astype(float) ** 2
                self.assertGreater(psnr(out, clean), psnr(noisy, clean) + 6)
                ratio = np.mean((out.astype(float) - clean) ** 2) / variance.mean()
                self.assertTrue(1 / 1.5 < ratio < 1.5, ratio)
                self.assertAlmostEqual(figures['predicted_psnr'], -10 * np.log10(variance.mean()), 3)
                self.assertAlmostEqual(figures['mean_sd_levels'], 255 * np.sqrt(variance).mean(), 3)

    def test_uncertainty_in_numbers(self):
        for channels in 1, 3:
            with self.subTest(channels=channels):
                pixels = noise(scene(channels=channels), 15).squeeze()
                save('in.tif', pixels)
                for name in 'sd.tif', 'sd.exr':
                    figures = self.denoise('in.tif', 'out.tif', '--noise', 15, '--uncertainty', name)
                sd = load('sd.tif')
                self.assertEqual((sd.dtype, sd.shape), (np.float32, pixels.shape))
                self.assertTrue((sd > 0).all())
                self.assertAlmostEqual(figures['mean_sd_levels'], 255 * sd.mean(dtype=float), 3)
                # OpenEXR's numbers are linear; what is read from them is encoded by sRGB's curve.
                self.denoise('sd.exr', 'encoded.tif', '--noise', 0)
                encoded = load('encoded.tif').astype(float)
                linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
                self.assert_close(linear, sd, 1e-6)

    def test_uncertainty_as_a_picture(self):
        save('in.png', noisy_bytes())
        for name in 'sd.png', 'sd.jpg', 'sd.webp':
            with self.subTest(name=name):
                self.denoise('in.png', 'out.png', '--noise', 10, '--uncertainty', name)
                picture = load(name)
                self.assertGreaterEqual(picture.shape[0], HEIGHT)
                self.assertGreater(picture.shape[1], WIDTH)             # the scale is beside it
                self.assertGreater(picture[:HEIGHT, :WIDTH].std(), 5)
                self.assertGreater(picture[:, WIDTH:].std(), 5)

    def test_figures(self):
        save('in.png', noisy_bytes())
        figures = self.denoise('in.png', 'out.png', '--noise', '12.5')
        self.assertEqual(set(figures), {
            'width', 'height', 'noise_level', 'noise_estimated', 'model', 'model_version', 'seconds',
            'megapixels_per_second',
            'peak_memory_bytes', 'mean_sd_levels', 'predicted_psnr', 'doubtful', 'grain_size', 'self_check'})
        self.assertEqual((figures['width'], figures['height']), (WIDTH, HEIGHT))
        self.assertAlmostEqual(figures['noise_level'], 12.5, 4)
        self.assertIs(figures['noise_estimated'], False)
        card = json.loads(self.succeed('info', '--json'))
        self.assertEqual([figures['model'], figures['model_version']], [card['name'], card['version']])
        self.assertTrue(0 < figures['seconds'] < 60)
        self.assertAlmostEqual(figures['megapixels_per_second'] * figures['seconds'], 1e-6 * WIDTH * HEIGHT, 6)
        self.assertTrue(10e6 < figures['peak_memory_bytes'] < 2e9)
        self.assertTrue(0 < figures['mean_sd_levels'] < 12.5)
        self.assertTrue(20 < figures['predicted_psnr'] < 60)

    def test_perfect_result(self):
        save('in.png', noisy_bytes())
        figures = self.denoise('in.png', 'out.png', '--noise', 0)
        self.assertEqual((figures['mean_sd_levels'], figures['predicted_psnr']), (0, None))

    def test_figures_for_people(self):
        save('in.png', noisy_bytes())
        text = self.succeed('denoise', 'in.png', 'out.png', '-n', '12.5')
        self.assertIn('12.50 levels\n', text)
        self.assertIn('60 × 44 pixels', text)
        self.assertIn('(estimated)', self.succeed('denoise', 'in.png', 'out.png'))

    def test_estimated_noise(self):
        y, x = np.mgrid[:128, :128]
        smooth = np.stack([0.5 + 0.1 * np.sin((x + k * y) / 50) for k in range(3)], 2)
        for channels in 1, 3:
            for levels in 5, 15, 40:
                with self.subTest(channels=channels, levels=levels):
                    save('in.tif', noise(smooth[:, :, :channels], levels))
                    figures = self.denoise('in.tif', 'out.tif')
                    self.assertIs(figures['noise_estimated'], True)
                    self.assertTrue(0.8 * levels < figures['noise_level'] < 1.2 * levels, figures['noise_level'])

    def test_estimate(self):
        smooth = np.full((256, 256, 3), np.linspace(0.2, 0.8, 256, dtype='f4')[:, None, None])
        level = 4 + 8 * smooth                             # levels, over brightness
        white = np.random.default_rng(5).standard_normal((257, 257, 3))
        coarse = (white[1:, 1:] + white[:-1, 1:] + white[1:, :-1] + white[:-1, :-1]) / 2
        for field, grain, unsure in (white[1:, 1:], (0, 0, 0), 0.25), (coarse, (0, 0.5, 0.75), 0.4):
            save('in.tif', (smooth + level / 255 * field).astype('f4'))
            figures = json.loads(self.succeed('estimate', 'in.tif', '--json'))
            curves = np.array(figures['level_over_brightness'])
            self.assertEqual(curves.shape, (3, 9))
            np.testing.assert_allclose(curves[:, 2:7], [4 + np.arange(2, 7)] * 3, rtol=0.15)
            np.testing.assert_allclose(figures['grain'], grain * 2, atol=0.15)
            self.assertTrue(0.05 < figures['level_error'] < unsure)
        lines = self.succeed('estimate', 'in.tif').splitlines()
        self.assertIn('Noise: ', lines[0])
        self.assertTrue(any(line.startswith('  blue ') for line in lines))
        save('in.png', noisy_bytes(1))
        self.assertIn('  grey ', self.succeed('estimate', 'in.png'))

    def test_texture_is_no_noise(self):
        """Where no place is smooth, the variance of the smoothest (16 levels here) tells nothing; and who has called so
        much of it texture is not sure of the rest. (A little white noise hides what JPEG did to this photo.)"""
        photo = load(DATA / 'texture.png') / 255
        white = np.random.default_rng(0).standard_normal((257, 257, 3))
        coarse = (white[1:, 1:] + white[:-1, 1:] + white[1:, :-1] + white[:-1, :-1]) / 2
        for name, added, least, most in (('little', 0.2 * white[1:, 1:], 0, 4), ('white', white[1:, 1:], 4, 7), ('coarse', coarse, 3, 7)):
            with self.subTest(noise=name):
                save('in.tif', (photo + 5 / 255 * added).astype('f4'))
                figures = json.loads(self.succeed('estimate', 'in.tif', '--json'))
                self.assertTrue(least < figures['noise_level'] < most, figures['noise_level'])
                self.assertGreater(figures['level_error'], 0.5)

    def test_self_check(self):
        y, x = np.mgrid[:160, :160]
        smooth = np.stack([0.5 + 0.1 * np.sin((x + k * y) / 50) for k in range(3)], 2)
        photo = noise(smooth, 12)
        save('in.tif', photo)
        widened = {}
        for told, verdict in (None, 'agrees'), (4, 'stronger'), (12, 'agrees'), (40, 'weaker'):
            with self.subTest(told=told):
                figures = self.denoise('in.tif', 'out.tif', '-u', 'sd.tif', *(('-n', told) if told else ()))
                check = figures['self_check']
                self.assertEqual(check['noise'], verdict)
                self.assertAlmostEqual(check['level_ratio'] * figures['noise_level'], 12, delta=1.5)
                error = ((load('out.tif') - smooth) ** 2).mean() / (load('sd.tif').astype('f8') ** 2).mean()
                widened[told] = check['error_ratio']
                self.assertLess(error, 1.3)                        # whatever was told, the uncertainty is no less
        self.assertGreater(widened[4], 3)
        self.assertEqual(widened[12], 1)
        text = self.succeed('denoise', 'in.tif', 'out.tif', '-n', '4')
        self.assertIn('stronger than assumed: about 1', text)
        self.assertIn('The uncertainty was made', text)
        self.assertNotIn('assumed', self.succeed('denoise', 'in.tif', 'out.tif'))

    def test_threads(self):
        save('in.tif', noise(scene(200, 150), 25))
        results = set()
        for threads in 1, 2, 3:
            self.denoise('in.tif', 'out.tif', '--noise', 25, '--uncertainty', 'sd.tif', '--threads', threads)
            results.add(pathlib.Path('out.tif').read_bytes() + pathlib.Path('sd.tif').read_bytes())
        self.assertEqual(len(results), 1)


class Samples(Case):
    def draw(self, *arguments):
        """-> two samples"""
        figures = self.denoise('in.tif', 'out.tif', '-n', 25, '-m', 'fast', '--samples', 2, '--sample-prefix', 's',
                               *arguments)
        self.assertEqual(figures['samples'], 2)
        self.assertGreater(figures['sample_seconds'], 0)
        samples = [load(f's-{k}.tif') for k in (1, 2)]
        sd = 255 * np.sqrt(np.var(samples, 0, ddof=1, dtype='f8').mean())
        self.assertAlmostEqual(figures['sample_sd_levels'], sd, places=3)
        return samples

    def test_samples(self):
        """A sample is another photo that the noise could have hidden: twice as far from the truth as the mean."""
        truth = scene(200, 150)
        save('in.tif', noise(truth, 25))
        samples = self.draw()
        mean = load('out.tif')
        for sample in samples:
            self.assertEqual(sample.dtype, np.dtype('f4'))
            self.assertAlmostEqual(psnr(mean, truth) - psnr(sample, truth), 3, delta=1)
        error, variance = [], []
        for side in 1, 2, 4:
            means = [photo[:148].reshape(148 // side, side, 200 // side, side, 3).mean((1, 3))
                     for photo in (mean - truth, samples[0] - samples[1])]
            error.append((means[0] ** 2).mean())
            variance.append((means[1] ** 2).mean() / 2)
        for predicted, found in zip(variance, error):
            self.assertAlmostEqual(np.log2(predicted / found), 0, delta=0.6)

    def test_seeds(self):
        save('in.tif', noise(scene(), 25))
        for sampler in 'reverse', 'langevin', 'ozaki':
            options = '--sampler', sampler, '--steps', 5
            first, second = self.draw(*options, '--threads', 1)
            again, _ = self.draw(*options, '--threads', 2, '--seed', 0)
            other, _ = self.draw(*options, '--seed', 12345678901)
            self.assertEqual(first.tobytes(), again.tobytes())
            self.assertGreater(np.abs(first - second).max(), 0.01)
            self.assertGreater(np.abs(first - other).max(), 0.01)

    def test_photos_of_any_kind(self):
        for channels in 1, 2, 3, 4:
            save('in.png', noisy_bytes(channels))
            self.succeed('denoise', 'in.png', 'out.png', '-m', 'fast', '--samples', 1, '--sample-prefix', 's', '--steps', 3)
            sample, photo = load('s-1.tif'), load('in.png')
            self.assertEqual(sample.shape, photo.shape)
            self.assertTrue(np.isfinite(sample).all())
            if channels % 2 == 0:
                self.assert_close(255 * sample[..., -1], photo[..., -1], 0.01)
                hidden = photo[..., -1] == 0
                self.assert_close(255 * sample[hidden], photo[hidden], 0.01)

    def test_no_noise(self):
        photo = scene()
        save('in.tif', photo)
        self.succeed('denoise', 'in.tif', 'out.tif', '-n', 0, '--samples', 1, '--sample-prefix', 's', '--steps', 4)
        self.assert_close(load('s-1.tif'), photo, 1e-6)

    def test_figures_for_people(self):
        save('in.png', noisy_bytes())
        text = self.succeed('denoise', 'in.png', 'out.png', '-m', 'fast', '--samples', 2, '--sample-prefix', 's', '--steps', 2)
        self.assertIn('Samples: 2 in ', text)

    def test_wrong_use(self):
        save('in.png', noisy_bytes())
        for samples in '-1', '1000', 'x':
            self.fail_with(2, 'samples', 'denoise', 'in.png', 'out.png', f'--samples={samples}', '--sample-prefix', 's')
        for steps in '0', '-3', '1000':
            self.fail_with(2, 'steps', 'denoise', 'in.png', 'out.png', '--samples=1', '--sample-prefix=s', f'--steps={steps}')
        self.fail_with(2, 'ozaki', 'denoise', 'in.png', 'out.png', '--samples=1', '--sample-prefix=s', '--sampler=x')
        self.fail_with(2, '--sample-prefix', 'denoise', 'in.png', 'out.png', '--samples=1')
        for option in '--sampler=ozaki', '--steps=8', '--seed=1', '--sample-prefix=s':
            self.fail_with(2, '--samples', 'denoise', 'in.png', 'out.png', option)
        self.fail_with(2, 'overwrite', 'denoise', 'in.png', 's-2.tif', '--samples=2', '--sample-prefix=s')
        self.fail_with(1, 'folder', 'denoise', 'in.png', 'out.png', '--samples=1', '--sample-prefix=folder/s')


class Explanations(Case):
    def test_version(self):
        self.assertRegex(self.succeed('--version'), r'^grainwise \d+\.\d+\.\d+\n$')

    def test_help(self):
        for arguments, mention in (['--help'], 'grainwise denoise'), (['-h'], 'grainwise info'), \
                (['denoise', '--help'], '--uncertainty=FILE'), (['info', '--help'], '--json'):
            with self.subTest(arguments=arguments):
                self.assertIn(mention, self.succeed(*arguments))

    def test_info(self):
        header = (MODELS / 'best.safetensors').read_bytes()
        tensors = json.loads(header[8:8 + struct.unpack_from('<Q', header)[0]])
        count = sum(int(np.prod(entry['shape'])) for name, entry in tensors.items() if name != '__metadata__')
        card = json.loads(self.succeed('info', '--json'))
        self.assertEqual(card['parameters'], count)
        self.assertGreater(card['multiply_adds_per_pixel'], 1000)
        self.assertIn(f'Parameters: {count}\n', self.succeed('info'))
        for model in 'best', 'fast':
            self.assertEqual(json.loads(self.succeed('info', model, '--json'))['name'], f'grainwise {model}')

    def test_info_of_a_file(self):
        shutil.copy(MODELS / 'best.safetensors', 'mine.safetensors')
        self.assertEqual(self.succeed('info', 'mine.safetensors'), self.succeed('info', 'best'))

    def test_another_language(self):
        """Where a comma parts whole and fraction, the command line and JSON still use the point."""
        german = dict(ENGLISH, LC_ALL='de_DE.UTF-8', LANG='de_DE.UTF-8', LANGUAGE='de')
        if shutil.which('localedef'):               # the locale, should the system have none
            subprocess.run(['localedef', '-i', 'de_DE', '-f', 'UTF-8', './de_DE.UTF-8'], capture_output=True)
            if os.path.isdir('de_DE.UTF-8'):
                german['LOCPATH'] = os.getcwd()
        save('in.png', noisy_bytes())
        run = grainwise('denoise', 'in.png', 'out.png', '--noise', '12.5', '--json', env=german)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertAlmostEqual(json.loads(run.stdout)['noise_level'], 12.5, 4)
        self.fail_with(2, '--help', 'denoise', 'in.png', 'never.png', '--noise', '12,5', env=german)


# ---- Failures ------------------------------------------------------------------------------------------------

class Refusals(Case):
    def setUp(self):
        super().setUp()
        save('in.png', noisy_bytes())
        pathlib.Path('out.png').write_text('was here before')

    def refuse(self, mention, *arguments, **more):
        self.fail_with(1, mention, 'denoise', *arguments, **more)

    def test_what_is_no_photo(self):
        os.mkdir('folder')
        pathlib.Path('text.png').write_text('This is no photo.\n' * 50)
        pathlib.Path('empty.png').touch()
        for name in 'missing.png', 'folder', 'text.png', 'empty.png':
            self.refuse(name, name, 'out.png')

    def test_truncated_photos(self):
        for name in 'short.png', 'short.jpg', 'short.tif', 'short.webp':
            save(name, noisy_bytes())
        self.denoise('in.png', 'short.exr', '--noise', 0)
        for path in list(pathlib.Path('.').glob('short.*')):
            whole = path.read_bytes()
            for share in 0.5, 0.9:
                path.write_bytes(whole[:int(share * len(whole))])
                self.refuse(path.name, path, 'out.png')

    def test_damaged_jpeg(self):
        save('damaged.jpg', noisy_bytes())
        content = bytearray(pathlib.Path('damaged.jpg').read_bytes())
        table = content.index(b'\xff\xc4')          # DHT: the Huffman tables
        content[table + 5:table + 21] = b'\xff' * 16
        pathlib.Path('damaged.jpg').write_bytes(content)
        self.refuse('damaged.jpg', 'damaged.jpg', 'out.png')

    def test_ink(self):
        for name in 'cmyk.jpg', 'cmyk.tif':
            Image.fromarray(noisy_bytes()).convert('CMYK').save(name)
            self.refuse('convert it to RGB', name, 'out.png')
            self.refuse(name, name, 'out.png')

    def test_where_nothing_can_be_written(self):
        os.mkdir('folder.png')
        for name in 'missing/out.png', 'folder.png', 'in.png/out.png', 'out.xyz':
            self.refuse(name, 'in.png', name)
            self.refuse(name, 'in.png', 'out.png', '--uncertainty', name)

    @unittest.skipIf(os.geteuid() == 0, 'root may write everywhere')
    def test_write_protected_folder(self):
        os.mkdir('locked', 0o555)
        self.refuse('locked/out.png', 'in.png', 'locked/out.png')

    @staticmethod
    def limit_files(size):
        """-> options to run with, so that no file can grow beyond @size bytes"""
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

        return {'preexec_fn': limit, 'restore_signals': False}

    def test_full_disk(self):
        for ending in '.png', '.jpg', '.tif', '.webp', '.exr':
            name = 'full' + ending
            pathlib.Path(name).write_text('was here before')
            self.refuse(name, 'in.png', name, '--noise', 5, **self.limit_files(1000))

    def test_disk_too_full_for_the_uncertainty(self):
        self.refuse('sd.tif', 'in.png', 'out.png', '--noise', 5, '--uncertainty', 'sd.tif', **self.limit_files(20000))

    def test_models(self):
        whole = (MODELS / 'best.safetensors').read_bytes()
        pathlib.Path('short.safetensors').write_bytes(whole[:100000])
        pathlib.Path('text.safetensors').write_text('This is no model.\n' * 50)
        pathlib.Path('empty.safetensors').touch()
        for name in 'missing', 'missing.safetensors', 'short.safetensors', 'text.safetensors', 'empty.safetensors':
            self.refuse(name, 'in.png', 'out.png', '--model', name)
        self.fail_with(1, 'short.safetensors', 'info', 'short.safetensors')

    def test_wrong_use(self):
        for level in '-1', '101', 'abc', 'nan', '', '5x':
            self.fail_with(2, 'noise', 'denoise', 'in.png', 'out.png', f'--noise={level}')
        for threads in '-1', '2000', '1.5':
            self.fail_with(2, 'threads', 'denoise', 'in.png', 'out.png', f'--threads={threads}')
        for arguments in [], ['in.png'], ['in.png', 'out.png', 'more.png']:
            self.fail_with(2, 'IN and OUT', 'denoise', *arguments)
        self.fail_with(2, '--colour', 'denoise', 'in.png', 'out.png', '--colour')
        self.fail_with(2, '--noise', 'denoise', 'in.png', 'out.png', '--noise')
        self.fail_with(2, 'one model', 'info', 'a', 'b')
        for arguments in [], ['a.png', 'b.png']:
            self.fail_with(2, 'one file', 'estimate', *arguments)
        self.fail_with(2, '--colour', 'estimate', '--colour')
        self.fail_with(1, 'missing.png', 'estimate', 'missing.png')
        self.fail_with(2, '--colour', 'info', '--colour')
        self.fail_with(2, '--help')
        for command in 'sharpen', '--colour':
            self.fail_with(2, '--help', command)


class Interrupted(Case):
    """Ctrl+C leaves nothing behind."""

    def start(self, height):
        pixels = np.random.default_rng(3).integers(0, 256, (height, 800, 3), dtype='u1')
        save('in.tif', pixels)
        return subprocess.Popen([PROGRAM, 'denoise', 'in.tif', 'out.png', '--noise', '10', '--threads', '1'],
                                env=ENGLISH, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def interrupt(self, run):
        run.send_signal(signal.SIGINT)
        if run.wait(60) == 0:
            self.skipTest('it had finished before')
        self.assertEqual(os.listdir(), ['in.tif'])

    def test_while_denoising(self):
        run = self.start(4000)
        time.sleep(1.5)
        self.interrupt(run)

    def test_while_writing(self):
        run = self.start(800)
        while run.poll() is None and not any('unfinished' in name for name in os.listdir()):
            time.sleep(0.002)
        self.interrupt(run)


if __name__ == '__main__':
    unittest.main()
