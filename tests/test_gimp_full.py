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

import gimp

LABEL = 'Denoise with Confidence'
BUTTONS = 'push button', 'button'


def xdotool(*arguments):
    return subprocess.run(['xdotool', *map(str, arguments)], capture_output=True, text=True, timeout=20).stdout


class FullGimpTest(unittest.TestCase):
    def open(self, width, height):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        photo = pathlib.Path(temporary.name, 'photo.png')
        status, output = gimp.run(os.environ, gimp.call('test_gimp_batch', 'save_photo', str(photo), width, height))
        self.assertEqual(status, 0, output)
        self.gimp = subprocess.Popen(['gimp', '--new-instance', '--no-splash', '--console-messages', str(photo)],
                                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                     start_new_session=True)
        self.addCleanup(self.end)
        title = r'^\[photo\].*layer'
        self.window = gimp.wait_for(lambda: gimp.find_window(title), 120)
        self.id = gimp.wait_for(lambda: xdotool('search', '--onlyvisible', '--name', title).split())[0]
        xdotool('windowsize', self.id, 1200, 960, 'windowmove', self.id, 0, 0)

    def end(self):
        os.killpg(self.gimp.pid, signal.SIGKILL)  # its plug-ins, too
        self.gimp.wait()

    def title(self):
        return xdotool('getwindowname', self.id).strip()

    def layers(self):
        return int(re.search(r'(\d+) layer', self.title())[1])

    def assert_untouched(self):
        self.assertEqual(self.layers(), 1)
        self.assertFalse(self.title().startswith('*'))

    def screenshot(self, name):
        if 'GRAINWISE_SCREENSHOTS' in os.environ:
            gimp.screenshot(pathlib.Path(os.environ['GRAINWISE_SCREENSHOTS'], f'full-{name}.png'))

    def press_key(self, *keys):
        """In the image window; the pauses are for GIMP to take notice."""
        xdotool('windowactivate', self.id)
        time.sleep(1)
        xdotool('key', *keys)
        time.sleep(2)

    def open_dialog(self):
        """By the search for actions; a key that comes too early gets lost."""
        for _ in range(4):
            self.press_key('slash')
            xdotool('type', '--delay', '50', LABEL)
            time.sleep(2)
            self.screenshot('search')
            xdotool('key', 'Down', 'Return')
            try:
                return gimp.wait_for(lambda: gimp.find_window(f'^{LABEL}$'), 15)
            except TimeoutError:
                xdotool('key', 'Escape')
        self.fail('the dialog does not open')

    def install_browser(self):
        """A program that GIMP takes for the web browser; returns where that writes down what it is to open."""
        home = pathlib.Path(os.environ['HOME'])
        opened, program = home / 'opened', home / 'browser'
        program.write_text(f'#!/bin/sh\necho "$1" >{opened}\n')
        program.chmod(0o755)
        for path, text in (
                (home / '.local/share/applications/browser.desktop',
                 f'[Desktop Entry]\nType=Application\nName=Browser\nExec={program} %u\nMimeType=text/html;\n'),
                (home / '.config/mimeapps.list', '[Default Applications]\ntext/html=browser.desktop\n')):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            self.addCleanup(path.unlink)
        return opened

    def accept(self, dialog):
        gimp.press(gimp.find(dialog, BUTTONS, '^OK$'))

    def undo(self):
        for _ in range(4):
            self.press_key('ctrl+z')
            if self.layers() < 3:
                break

    def test_help_denoise_and_undo(self):
        opened = self.install_browser()
        self.open(300, 200)
        self.assert_untouched()
        dialog = self.open_dialog()
        gimp.wait_for(lambda: gimp.find(dialog, ('label',), '^Noise about'))
        self.screenshot('dialog')
        gimp.press(gimp.find(dialog, BUTTONS, '^Help$'))
        page = gimp.wait_for(lambda: opened.exists() and opened.read_text().strip())
        self.assertRegex(page, r'/grainwise/help/en/denoise\.html$')
        self.assertTrue(pathlib.Path(page).is_file())
        self.accept(dialog)
        gimp.wait_for(lambda: self.layers() == 3)
        self.assertTrue(self.title().startswith('*'))
        self.screenshot('denoised')
        self.undo()
        self.screenshot('undone')
        self.assert_untouched()

    def test_cancel(self):
        self.open(3000, 2000)
        dialog = self.open_dialog()
        before = [each for each in gimp.widgets(self.window)
                  if each.get_role_name() in BUTTONS and each.get_name() == 'Cancel']
        self.accept(dialog)
        cancel = gimp.wait_for(lambda: [each for each in before if gimp.is_state(each, 'SHOWING')])[0]
        self.screenshot('running')
        gimp.press(cancel)
        gimp.wait_for(lambda: not gimp.is_state(cancel, 'SHOWING'))
        time.sleep(2)  # for what must not come
        self.screenshot('cancelled')
        self.assert_untouched()
