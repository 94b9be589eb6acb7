# SPDX-License-Identifier: GPL-3.0-or-later
"""GIMP for tests, with a profile of its own that holds the plug-in just built.

    python3 gimp.py TEST.py             runs unit tests in GIMP's own Python, without a display
    python3 gimp.py --screen TEST.py    runs them beside GIMP, with a screen that nobody sees

The environment names the plug-in's executable (GRAINWISE_PLUG_IN), the folder of the models
(GRAINWISE_MODELS) and that of the translations (GRAINWISE_LOCALE).
"""
import contextlib
import importlib.util
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

SKIPPED = 77
FAILED = 70  # GIMP's exit code after an error in its batch commands

PYTHON = 'python-fu-eval'
SCHEME = 'plug-in-script-fu-eval'

GIMPRC = '''(check-updates no)
(show-welcome-dialog no)
(color-profile-policy keep)
(save-session-info no)
'''

# What GIMP 3.0 says of itself on every start or end, of a theme that only its window sets up, and of the window that
# a dialog should be in front of.
HARMLESS = re.compile('|'.join((
    r'Failed to parse tag cache', r'^\(script-fu-interpreter:\d+\): .* cannot open display', r'^\s*$',
    r'gimp_wire_read\(\): unexpected EOF', r'gimp_flush\(\): error: Broken pipe', r'scriptfu-WARNING',
    r'Missing arg type: GimpExportOptions', r'^\(gimp:\d+\): .* g_object_unref: assertion', r'Welcome to GIMP',
    r'a stray image seems', r'gimp_finalize: list of contexts', r'^stale context:', r'theme\.css',
    r'gimp_window_transient_on_mapped', r'^batch command executed successfully')))


def require(programs, modules):
    """Ends this test as skipped unless all of them are there."""
    missing = [name for name in programs if not shutil.which(name)]
    missing += [name for name in modules if not importlib.util.find_spec(name)]
    if missing:
        print('skipped, for lack of', ', '.join(missing))
        sys.exit(SKIPPED)


@contextlib.contextmanager
def profile():
    """An environment for GIMP, in a new folder that is removed in the end."""
    with tempfile.TemporaryDirectory(prefix='grainwise-gimp-', ignore_cleanup_errors=True) as folder:
        home = pathlib.Path(folder)
        plug_in = home / 'gimp' / 'plug-ins' / 'grainwise'
        plug_in.mkdir(parents=True)
        shutil.copy2(os.environ['GRAINWISE_PLUG_IN'], plug_in)
        (plug_in / 'locale').symlink_to(os.environ['GRAINWISE_LOCALE'])
        for name in 'help', 'grainwise.svg':
            (plug_in / name).symlink_to(pathlib.Path(__file__).resolve().parent.parent / 'plugin' / name)
        (home / 'gimp' / 'gimprc').write_text(GIMPRC)
        (home / 'run').mkdir(mode=0o700)

        environment = {name: value for name, value in os.environ.items()
                       if name not in ('DISPLAY', 'WAYLAND_DISPLAY', 'NO_AT_BRIDGE', 'LANGUAGE')
                       and not name.startswith('XDG_')}
        environment |= {'HOME': folder, 'GIMP3_DIRECTORY': str(home / 'gimp'), 'XDG_RUNTIME_DIR': str(home / 'run')}
        yield environment


@contextlib.contextmanager
def german(environment):
    """The environment, in German; None where the system cannot be."""
    with tempfile.TemporaryDirectory() as folder:
        made = shutil.which('localedef') and subprocess.run(
            ['localedef', '-i', 'de_DE', '-f', 'UTF-8', f'{folder}/de_DE.UTF-8'], capture_output=True)
        yield environment | {'LOCPATH': folder, 'LANG': 'de_DE.UTF-8'} if made and made.returncode == 0 else None


def start(environment, code, interpreter=PYTHON, output=subprocess.PIPE):
    """A process of GIMP without its window."""
    no_display = [] if 'DISPLAY' in environment else ['--no-interface']
    return subprocess.Popen(['gimp-console', *no_display, '--no-data', '--no-splash', '--batch-interpreter', interpreter,
                             '--batch', code, '--quit'],
                            env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                            text=True, errors='replace')


def finish(process, timeout=300):
    """Its exit code, and what it said apart from GIMP's usual warnings."""
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        output += '\nGIMP did not come to an end.'
    return process.returncode, '\n'.join(line for line in output.splitlines() if not HARMLESS.search(line))


def run(environment, code, interpreter=PYTHON, timeout=300):
    return finish(start(environment, code, interpreter), timeout)


def call(module, function, *arguments):
    """Code for GIMP's Python: function (*arguments) of a module beside this one."""
    folder = str(pathlib.Path(__file__).parent.resolve())
    return f'import sys; sys.path.insert(0, {folder!r}); import {module}; {module}.{function}(*{arguments!r})'


def run_tests(module):
    """Runs unit tests; for use inside of GIMP, which needs an exception to fail."""
    import unittest

    suite = unittest.defaultTestLoader.loadTestsFromName(module)
    if not unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite).wasSuccessful():
        raise RuntimeError('some tests failed')


# ---- The screen -----------------------------------------------------------------------------------------------

def end(process, seconds=20):
    """Ends it, even if it doesn't heed being asked to."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def screen(environment):
    """A free display with a window manager, in the environment."""
    read, write = os.pipe()
    server = subprocess.Popen(['Xvfb', '-displayfd', str(write), '-screen', '0', '1280x1024x24', '-nolisten', 'tcp',
                               '-noreset'],
                              pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as pipe:
        environment |= {'DISPLAY': ':' + pipe.readline().strip(), 'GDK_BACKEND': 'x11'}
    manager = subprocess.Popen(['openbox', '--sm-disable'], env=environment, stderr=subprocess.DEVNULL)
    subprocess.run(['xdotool', 'mousemove', '0', '1023'], env=environment)  # away from all tooltips
    try:
        yield
    finally:
        for process in manager, server:
            end(process)


def run_tests_on_screen(module):
    """Runs unit tests, and ends this process with no more ado: libraries have hung when Python took them apart."""
    import unittest

    passed = unittest.main(module, argv=[module], verbosity=2, exit=False).result.wasSuccessful()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0 if passed else 1)


def wait_for(what, seconds=60):
    """What the function returns as soon as that is true."""
    end = time.monotonic() + seconds
    while not (result := what()):
        if time.monotonic() > end:
            raise TimeoutError(f'waited {seconds} s in vain')
        time.sleep(0.1)
    return result


def accessibility():
    """The libraries that know of other programs' widgets; not for use inside of GIMP."""
    import gi
    gi.require_version('Atspi', '2.0')
    from gi.repository import Atspi, GLib

    return Atspi, GLib


def widgets(root):
    """The widget, and all that are inside of it."""
    _, GLib = accessibility()
    pending = [root]
    while pending:
        widget = pending.pop()
        try:
            yield widget
            pending += [child for i in reversed(range(widget.get_child_count()))
                        if (child := widget.get_child_at_index(i))]
        except GLib.Error:  # it went away
            pass


def find(root, roles, name=''):
    """The first widget that has one of the roles and a name like this."""
    for widget in widgets(root):
        if widget.get_role_name() in roles and re.search(name, widget.get_name() or ''):
            return widget
    return None


def find_window(title):
    """A window by its title, without a look into any window."""
    Atspi, GLib = accessibility()
    desktop = Atspi.get_desktop(0)
    for i in range(desktop.get_child_count()):
        try:
            application = desktop.get_child_at_index(i)
            for k in range(application.get_child_count() if application else 0):
                window = application.get_child_at_index(k)
                if window and re.search(title, window.get_name() or ''):
                    return window
        except GLib.Error:
            pass
    return None


def press(widget):
    widget.get_action_iface().do_action(0)


def is_state(widget, state):
    Atspi, _ = accessibility()
    return widget.get_state_set().contains(getattr(Atspi.StateType, state))


def screenshot(path):
    subprocess.run(['import', '-window', 'root', str(path)], check=True)


# ---------------------------------------------------------------------------------------------------------------

def main():
    on_screen = sys.argv[1] == '--screen'
    test = pathlib.Path(sys.argv[-1])

    require(['gimp-console'], ['gi', 'numpy', 'tifffile'])
    if on_screen:
        require(['gimp', 'Xvfb', 'openbox', 'dbus-run-session', 'import', 'xdotool'], ['PIL'])
    with profile() as environment:
        if on_screen:
            with screen(environment):
                code = f'import gimp; gimp.run_tests_on_screen({test.stem!r})'
                return subprocess.run(['dbus-run-session', '--', sys.executable, '-c', code],
                                      cwd=test.parent, env=environment).returncode
        status, output = run(environment, call('gimp', 'run_tests', test.stem), timeout=1100)
        print(output)
        return status


if __name__ == '__main__':
    sys.exit(main())
