# SPDX-License-Identifier: GPL-3.0-or-later
"""The plug-in in GIMP with its window: found by its name, undone in one step, cancelled without a trace."""
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time
import unittest

import gi
gi.require_version('Atspi', '2.0')
from gi.repository import Atspi

import gimp

LABEL = 'Denoise with Confidence'


def make_photo(path, width, height):
    """Inside of GIMP."""
    import test_gimp_batch as batch

    image, _ = batch.new_image(batch.make_photo(width, height), batch.Gimp.Precision.U8_NON_LINEAR)
    batch.save(image, path)


def xdotool(*arguments):
    return subprocess.run(['xdotool', *map(str, arguments)], capture_output=True, text=True, timeout=20).stdout


class FullGimpTest(unittest.TestCase):
    def open(self, width, height):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        photo = pathlib.Path(temporary.name, 'photo.png')
        status, output = gimp.run(os.environ, gimp.call('test_gimp_full', 'make_photo', str(photo), width, height))
        self.assertEqual(status, 0, output)
        self.log = open(pathlib.Path(temporary.name, 'log'), 'w+')
        self.gimp = subprocess.Popen(['gimp', '--new-instance', '--no-splash', '--console-messages', str(photo)],
                                     stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT,
                                     start_new_session=True)
        self.addCleanup(self.end)
        self.window = gimp.wait_for(lambda: gimp.find_window(r'^\[photo\].*layer'), 120)
        self.id = gimp.wait_for(lambda: xdotool('search', '--onlyvisible', '--name', r'^\[photo\].*layer').split())[0]
        xdotool('windowsize', self.id, 1200, 960, 'windowmove', self.id, 0, 0)

    def end(self):
        os.killpg(self.gimp.pid, signal.SIGKILL)
        self.gimp.wait()

    def title(self):
        return xdotool('getwindowname', self.id).strip()

    def layers(self):
        return int(re.search(r'(\d+) layer', self.title())[1])

    def shot(self, name):
        if 'GRAINWISE_SCREENSHOTS' in os.environ:
            gimp.screenshot(pathlib.Path(os.environ['GRAINWISE_SCREENSHOTS'], f'full-{name}.png'))

    def open_dialog(self):
        """By the action search, as "/" opens it."""
        for attempt in range(4):
            xdotool('windowactivate', self.id)
            time.sleep(1)
            xdotool('key', 'slash')
            time.sleep(2)
            xdotool('type', '--delay', '50', LABEL)
            time.sleep(2)
            self.shot(f'search-{attempt}')
            xdotool('key', 'Down', 'Return')
            try:
                return gimp.wait_for(lambda: gimp.find_window(f'^{LABEL}$'), 15)
            except TimeoutError:
                xdotool('key', 'Escape')
        self.shot('no-dialog')
        self.fail('the dialog does not open')

    def accept(self, dialog):
        gimp.press(gimp.find(dialog, ('push button', 'button'), '^OK$'))

    def test_denoise_and_undo(self):
        self.open(300, 200)
        self.assertEqual(self.layers(), 1)
        self.accept(self.open_dialog())
        gimp.wait_for(lambda: self.layers() == 3)
        self.assertTrue(self.title().startswith('*'))
        self.shot('denoised')
        for attempt in range(5):
            xdotool('windowactivate', self.id)
            time.sleep(0.5)
            if attempt == 0:
                xdotool('key', 'ctrl+z')
            time.sleep(1)
        self.shot('undone')
        self.assertEqual(self.layers(), 1)
        self.assertFalse(self.title().startswith('*'))

    def test_cancel(self):
        self.open(3000, 2000)
        self.accept(self.open_dialog())
        cancel = gimp.wait_for(lambda: next((each for each in gimp.widgets(self.window)
                                             if each.get_role_name() in ('push button', 'button')
                                             and each.get_name() == 'Cancel' and gimp.is_state(each, 'SHOWING')), None))
        time.sleep(2)
        self.shot('running')
        gimp.press(cancel)
        gimp.wait_for(lambda: not gimp.is_state(cancel, 'SHOWING'))
        self.shot('cancelled')
        time.sleep(2)
        self.assertEqual(self.layers(), 1)
        self.assertFalse(self.title().startswith('*'))
