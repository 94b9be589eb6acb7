# SPDX-License-Identifier: GPL-3.0-or-later
"""GIMP for tests, with a profile of its own that holds the plug-in just built.

    python3 gimp.py TEST.py...    runs unit tests in GIMP's own Python, without a display

The environment names the plug-in's executable (GRAINWISE_PLUG_IN), the folder of the models
(GRAINWISE_MODELS) and that of the translations (GRAINWISE_LOCALE).
"""
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

SKIPPED = 77
FAILED = 70  # GIMP's exit code after an error in its batch commands

PYTHON = 'python-fu-eval'
SCHEME = 'plug-in-script-fu-eval'

GIMPRC = '''(check-updates no)
(show-welcome-dialog no)
(color-profile-policy keep)
(save-session-info no)
'''

# What GIMP 3.0 says of itself on every start or end.
HARMLESS = re.compile('|'.join((
    r'Failed to parse tag cache', r'cannot open display', r'gimp_wire_read\(\): unexpected EOF',
    r'scriptfu-WARNING', r'gimp_flush\(\): error: Broken pipe', r'Missing arg type: GimpExportOptions',
    r'g_object_unref: assertion', r'Welcome to GIMP', r'a stray image seems', r'gimp_finalize: list of contexts',
    r'^stale context:', r'^batch command executed successfully', r'^\s*$')))


def require(*programs):
    """Ends this test as skipped unless all these programs are there."""
    missing = [program for program in programs if not shutil.which(program)]
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
        (home / 'gimp' / 'gimprc').write_text(GIMPRC)
        (home / 'run').mkdir(mode=0o700)

        environment = {name: value for name, value in os.environ.items()
                       if name not in ('DISPLAY', 'WAYLAND_DISPLAY', 'NO_AT_BRIDGE', 'LANGUAGE')
                       and not name.startswith('XDG_')}
        environment |= {'HOME': folder, 'GIMP3_DIRECTORY': str(home / 'gimp'), 'XDG_RUNTIME_DIR': str(home / 'run')}
        yield environment


def start(environment, code, interpreter=PYTHON):
    """A process of GIMP without its window; its output is a pipe."""
    no_display = [] if 'DISPLAY' in environment else ['--no-interface']
    return subprocess.Popen(['gimp-console', *no_display, '--no-data', '--no-splash', '--batch-interpreter', interpreter,
                             '--batch', code, '--quit'],
                            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
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


def run_tests(modules):
    """Runs unit tests; for use inside of GIMP, which needs an exception to fail."""
    import unittest

    suite = unittest.defaultTestLoader.loadTestsFromNames(modules)
    if not unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite).wasSuccessful():
        raise RuntimeError('some tests failed')


def main():
    require('gimp-console')
    with profile() as environment:
        status, output = run(environment, call('gimp', 'run_tests', [pathlib.Path(file).stem for file in sys.argv[1:]]),
                             timeout=900)
    print(output)
    return status


if __name__ == '__main__':
    sys.exit(main())
