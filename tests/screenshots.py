# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the pictures of the help pages and of README.md again, with the plug-in just built and tests/data/sample.png:

    meson compile -C build screenshots

It drives GIMP on a screen that nobody sees, and finds everything there by the names that screen readers get. Look at
the pictures afterwards. The environment is that of gimp.py; the argument is the folder that gets them.
"""
import contextlib
import gettext
import io
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from PIL import Image, ImageChops, ImageDraw, ImageFont

import gimp

SAMPLE = pathlib.Path(os.environ['GRAINWISE_TEST_DATA'], 'sample.png')
BATCH = pathlib.Path(__file__).resolve().parent.parent / 'plugin' / 'denoise-photo.scm'
DETAIL = 200, 130, 500, 390         # of the sample: where there is much to see
FACE = 296, 164, 32, 36              # the same of the painting's
WINDOW = 1160, 640
BUTTONS = 'push button', 'button'
LARGEST = 100_000                   # bytes
DARK, LIGHT = (43, 43, 43), (232, 232, 232)


# ---- Pictures -------------------------------------------------------------------------------------------------

def font(size, mono=False):
    name = 'DejaVuSansMono' if mono else 'DejaVuSans'
    return ImageFont.truetype(f'/usr/share/fonts/truetype/dejavu/{name}.ttf', size)


def save(picture, path):
    """As small as the limit demands; there are photos in all of them, so JPEG it is."""
    for quality in range(88, 40, -4):
        packed = io.BytesIO()
        picture.convert('RGB').save(packed, 'JPEG', quality=quality, optimize=True, progressive=True)
        if packed.tell() <= LARGEST:
            break
    path.write_bytes(packed.getvalue())
    print(f'{path}: {picture.width}x{picture.height}, {packed.tell() // 1000} kB, quality {quality}')


def row(pictures, captions):
    """Pictures of one size side by side, each above its caption."""
    width, height = pictures[0].size
    sheet = Image.new('RGB', (len(pictures) * (width + 8) - 8, height + 28), 'white')
    for i, (picture, caption) in enumerate(zip(pictures, captions)):
        sheet.paste(picture, (i * (width + 8), 0))
        ImageDraw.Draw(sheet).text((i * (width + 8) + width / 2, height + 14), caption, 'black', font(14), 'mm')
    return sheet


# ---- The screen -----------------------------------------------------------------------------------------------

def xdotool(*arguments):
    return subprocess.run(['xdotool', *map(str, arguments)], capture_output=True, text=True, timeout=20).stdout


def extents(widget):
    """Left, top, right and bottom edge on the screen."""
    area = widget.get_component_iface().get_extents(gimp.accessibility()[0].CoordType.SCREEN)
    return area.x, area.y, area.x + area.width, area.y + area.height


def look():
    """The screen as it is now."""
    with tempfile.NamedTemporaryFile(suffix='.png') as file:
        gimp.screenshot(file.name)
        return Image.open(file.name).convert('RGB')


def settled(widget, seconds=3):
    """The widget as the screen shows it, once nothing moves there and no label ends in an ellipsis."""
    def busy():
        return any(each.get_role_name() == 'label' and (each.get_name() or '').rstrip().endswith('…')
                   for each in gimp.widgets(widget))

    before, since = None, time.monotonic()
    end = since + 120
    while time.monotonic() < end:
        now = look().crop(extents(widget))
        if busy() or before is None or before.size != now.size or ImageChops.difference(before, now).getbbox():
            before, since = now, time.monotonic()
        elif time.monotonic() - since >= seconds:
            return now
        time.sleep(0.5)
    raise TimeoutError('the screen does not come to rest')


# ---- GIMP -----------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def gimp_window(environment=os.environ):
    """GIMP's window with the sample, and its number."""
    with open(os.devnull, 'w') as nowhere:
        process = subprocess.Popen(['gimp', '--new-instance', '--no-splash', '--console-messages', str(SAMPLE)],
                                   env=environment, stdin=subprocess.DEVNULL, stdout=nowhere, stderr=nowhere,
                                   start_new_session=True)
    try:
        title = r'^\[sample\].*676'
        window = gimp.wait_for(lambda: gimp.find_window(title), 120)
        number = gimp.wait_for(lambda: xdotool('search', '--onlyvisible', '--name', title).split())[0]
        xdotool('windowsize', number, *WINDOW, 'windowmove', number, 0, 0)
        time.sleep(3)
        for other in xdotool('search', '--onlyvisible', '--name', r'GIMP 3[.0-9]*$').split():  # "Welcome to GIMP 3..."
            if other != number:
                xdotool('windowclose', other)
        time.sleep(1)
        yield window, number
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # its plug-ins, too
        process.wait()


def denoise_item(window, translate=str):
    label = translate('_Denoise with Confidence...').replace('_', '').rstrip('.…')
    return gimp.wait_for(lambda: gimp.find(window, ('menu item',), '^' + label))


def open_dialog(window, translate=str):
    gimp.press(denoise_item(window, translate))
    dialog = gimp.wait_for(lambda: gimp.find_window(f"^{translate('Denoise with Confidence')}$"))
    time.sleep(1)
    xdotool('search', '--name', translate('Denoise with Confidence'), 'windowmove', 20, 40)
    return dialog


def photograph_menu(window, folder):
    menus = []
    for name in 'Filters', 'Enhance':
        menus.append(gimp.wait_for(lambda: gimp.find(window, ('menu',), f'^{name}$')))
        gimp.press(menus[-1])
        time.sleep(1)
    shown = [extents(each) for each in gimp.widgets(menus[0]) if gimp.is_state(each, 'SHOWING')]
    right = extents(denoise_item(window))[2]
    bottom = max(edges[3] for edges in shown)
    save(look().crop((min(edges[0] for edges in shown) - 90, 20, right + 40, bottom + 20)), folder / 'menu.jpg')
    xdotool('key', 'Escape', 'Escape', 'Escape')


def photograph_dialog(dialog, folder):
    """The views by their keys: 1 noisy, 2 denoised, 3 uncertainty, 4 noisy and denoised."""
    preview = gimp.find(dialog, ('drawing area',), '^Preview$')
    settled(dialog)
    preview.get_component_iface().grab_focus()
    views = []
    for key in '1234':
        xdotool('key', key)
        whole = settled(dialog)
        left, top, right, bottom = (a - b for a, b in zip(extents(preview), 2 * extents(dialog)[:2]))
        x, y = (left + right) // 2 - 110, (top + bottom) // 2 - 110
        views.append(whole.crop((x, y, x + 220, y + 220)))
    save(whole, folder / 'dialog.jpg')
    if any(not ImageChops.difference(a, b).getbbox() for a, b in zip(views, views[1:])):
        raise RuntimeError('the keys 1 to 4 do not change the view')
    save(row(views, ('1  noisy', '2  denoised', '3  uncertainty', '4  split')), folder / 'views.jpg')


def photograph_controls(dialog, folder):
    """All pages of its controls side by side."""
    tabs = [each for each in gimp.widgets(dialog) if each.get_role_name() == 'page tab']
    if not tabs:
        return
    notebook = tabs[0].get_parent()
    pages = []
    for i in range(len(tabs)):
        notebook.get_selection_iface().select_child(i)
        left, top, right, bottom = (a - b for a, b in zip(extents(notebook), 2 * extents(dialog)[:2]))
        pages.append(settled(dialog).crop((left, top, right, bottom)))
    notebook.get_selection_iface().select_child(0)
    save(row(pages, [tab.get_name() for tab in tabs]), folder / 'controls.jpg')


def photograph_layers(window, number, folder):
    """The panels wide enough for the names of layers; the first pane is the toolbox, the last the one above layers."""
    panes = sorted((each for each in gimp.widgets(window) if each.get_role_name() == 'split pane'),
                   key=lambda each: extents(each)[0])
    for pane, share in zip(panes, (0, 0.62, 0)):
        value = pane.get_value_iface()
        low, high = value.get_minimum_value(), value.get_maximum_value()
        value.set_current_value(low + share * (high - low))
        time.sleep(1)
    xdotool('windowactivate', number)
    time.sleep(1)
    xdotool('key', 'ctrl+shift+j')      # the whole photo
    left = extents(panes[1])[0]
    save(settled(window).crop((left, 0, *extents(window)[2:])), folder / 'layers.jpg')


def photograph_gimp(folder):
    with gimp_window() as (window, number):
        photograph_menu(window, folder)
        dialog = open_dialog(window)
        photograph_dialog(dialog, folder)
        photograph_controls(dialog, folder)
        gimp.press(gimp.find(dialog, BUTTONS, '^OK$'))
        gimp.wait_for(lambda: re.search(r'[2-9] layers', xdotool('getwindowname', number)), 120)
        photograph_layers(window, number, folder)


def photograph_german(folder):
    translations = gettext.translation('grainwise', os.environ['GRAINWISE_LOCALE'], ['de'])
    with gimp.german(os.environ) as environment:
        if not environment:
            print('no German locale, so no picture in German')
            return
        with gimp_window(environment) as (window, _):
            save(settled(open_dialog(window, translations.gettext)), folder / 'dialog-de.jpg')


def explore(path, x, y, width, height):
    """Inside of GIMP."""
    import test_gimp_batch as batch

    image = batch.load(path)
    image.select_rectangle(batch.REPLACE, x, y, width, height)
    batch.call('explore', image, image.get_layers()[0], run_mode=batch.Gimp.RunMode.INTERACTIVE)
    image.delete()


def photograph_explorer(folder):
    """The widest component of a face, to either side."""
    process = gimp.start(os.environ, gimp.call('screenshots', 'explore', str(SAMPLE), *FACE))
    try:
        dialog = gimp.wait_for(lambda: gimp.find_window('^Explore Alternatives$'))
        gimp.wait_for(lambda: gimp.find(dialog, ('label',), '^The mean colour here is '), 120)
        amount = gimp.find(dialog, ('slider',), '^Component 1$').get_value_iface()
        states = []
        for value in -3, 0, 3:
            amount.set_current_value(value)
            whole = settled(dialog)
            left, top, right, bottom = (a - b for a, b in zip(
                extents(gimp.find(dialog, ('drawing area',), '^Preview$')), 2 * extents(dialog)[:2]))
            x, y, reach = (left + right) // 2, (top + bottom) // 2, 2 * max(FACE[2:]) + 40
            states.append(whole.crop((x - reach, y - reach, x + reach, y + reach)))
        save(whole, folder / 'explorer.jpg')
        save(row(states, ('three standard deviations down', 'mean', 'three up')), folder / 'alternatives.jpg')
        gimp.press(gimp.find(dialog, BUTTONS, '^OK$'))
        process.wait(60)
    finally:
        process.kill()


# ---- Without a window -----------------------------------------------------------------------------------------

def photograph_batch(folder):
    """A folder of two photos goes through GIMP; what is typed and printed, and what is there afterwards."""
    command = ('for photo in *.png; do\n'
               '  gimp-console -i -d -f -s --batch-interpreter plug-in-script-fu-eval -b "\n'
               '    (load \\"$GRAINWISE/denoise-photo.scm\\")\n'
               '    (denoise-photo \\"$photo\\" 0 \\"${photo%.*}\\")" --quit\n'
               'done')
    environment = {name: value for name, value in os.environ.items() if name != 'DISPLAY'}
    environment['GRAINWISE'] = str(BATCH.parent)
    with tempfile.TemporaryDirectory() as name:
        photos = pathlib.Path(name)
        whole = Image.open(SAMPLE).convert('RGB')
        whole.save(photos / 'room.png')
        whole.crop((0, 90, 330, 449)).save(photos / 'window.png')
        run = subprocess.run(['sh', '-c', command], cwd=photos, env=environment, capture_output=True, text=True,
                             timeout=600)
        output = [line for line in (run.stdout + run.stderr).splitlines() if not gimp.HARMLESS.search(line)]
        if run.returncode != 0 or output:
            raise RuntimeError('\n'.join(output))
        files = sorted(photos.iterdir())

        detail = [Image.open(photos / f'room{ending}.png').convert('RGB').crop(DETAIL)
                  for ending in ('', '-denoised', '-uncertainty')]
        save(row(detail, ('noisy', 'denoised', 'uncertainty: dark = sure')), folder / 'result.jpg')

        lines = ['$ ' + command.replace('\n', '\n> '), '$ ls', *(each.name for each in files), '$']
        thumbnails = []
        for each in files:
            if each.suffix == '.png':
                picture = Image.open(each).convert('RGB')
                picture.thumbnail((124, 124))
                thumbnails.append((each.name, picture))
    text = '\n'.join(lines)
    sheet = Image.new('RGB', (900, 19 * (text.count('\n') + 1) + 24 + 150), DARK)
    draw = ImageDraw.Draw(sheet)
    draw.multiline_text((14, 12), text, LIGHT, font(14, mono=True), spacing=5)
    for i, (name, picture) in enumerate(thumbnails):
        x = 14 + i * 147
        sheet.paste(picture, (x, sheet.height - 30 - picture.height))
        draw.text((x, sheet.height - 24), name, LIGHT, font(10))
    save(sheet, folder / 'batch.jpg')


def main():
    if sys.argv[1] == '--on-screen':
        folder = pathlib.Path(sys.argv[2])
        for photograph in photograph_batch, photograph_gimp, photograph_german, photograph_explorer:
            photograph(folder)
        return 0
    folder = pathlib.Path(sys.argv[1]).resolve()
    folder.mkdir(exist_ok=True)
    with gimp.profile() as environment, gimp.screen(environment):
        return subprocess.run(['dbus-run-session', '--', sys.executable, __file__, '--on-screen', folder],
                              env=environment).returncode


if __name__ == '__main__':
    sys.exit(main())
